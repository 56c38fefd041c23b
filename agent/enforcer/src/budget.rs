//! A budget: so many a minute, and no more than a minute's worth at once.

use std::time::Duration;

/// How many may be had now.
#[derive(Debug)]
pub(crate) struct Budget {
    left: f64,
    at: Duration,
}

impl Budget {
    /// Begins full.
    pub(crate) const fn new() -> Self {
        Self {
            left: f64::INFINITY,
            at: Duration::ZERO,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, per_minute: u32, now: Duration) -> bool {
        let gained = now.saturating_sub(self.at).as_secs_f64() * f64::from(per_minute) / 60.0;
        (self.left, self.at) = ((self.left + gained).min(per_minute.into()), now);
        let some = self.left >= 1.0;
        self.left -= f64::from(u8::from(some));
        some
    }
}
