//! How long to gather lines while somebody waits for each: not at all, until too many looks follow each other. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A look in so long costs nothing worth saving.
const EVERY: Duration = Duration::from_millis(2);
/// So many looks may be saved up for when much happens at once.
const SAVED: u32 = 64;

/// Counts looks: one more may be had every two milliseconds.
#[derive(Debug, Default)]
pub(super) struct Haste {
    /// When all that were had will have been made up for.
    even: Option<Instant>,
}

impl Haste {
    /// How long to wait after a look.
    pub(super) fn after_look(&mut self, now: Instant) -> Duration {
        let most = now + EVERY * SAVED;
        let even = self.even.map_or(now, |even| even.max(now)) + EVERY;
        self.even = Some(even.min(most + EVERY));
        even.saturating_duration_since(most).min(EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_wait_for_nothing_and_a_stream_is_gathered() {
        let mut haste = Haste::default();
        let mut now = Instant::now();
        for _ in 0..SAVED {
            assert_eq!(haste.after_look(now), Duration::ZERO);
        }
        let began = now;
        for _ in 0..1000 {
            now += haste.after_look(now) + Duration::from_micros(10);
        }
        let each = (now - began) / 1000;
        assert!(each >= EVERY * 9 / 10, "a look every {each:?}");
        now += EVERY * SAVED;
        let free = (0..SAVED).all(|_| haste.after_look(now).is_zero());
        assert!(free, "it was quiet for long enough");
    }
}
