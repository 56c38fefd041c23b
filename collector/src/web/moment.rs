//! A moment as a page shows it: in UTC, with a hint of how long ago that was.

use std::fmt;

use askama::filters::HtmlSafe;
use watchward_protocol::time::Timestamp;

/// A moment, seen from another: `2026-11-21 03:04:05 5 min ago`, as HTML.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    at: Timestamp,
    now: Timestamp,
}

impl Moment {
    /// This moment, seen from `now`.
    pub const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// Only how long ago that was: `5 min ago`.
    pub fn hint(self) -> String {
        Hint(self).to_string()
    }
}

impl HtmlSafe for Moment {}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.at.to_string();
        let plain = exact.replace('T', " ").replace('Z', "");
        let hint = Hint(*self);
        write!(
            f,
            "<time datetime=\"{exact}\">{plain} <small>{hint}</small></time>"
        )
    }
}

/// How long ago, or in how long, as one number and its unit.
struct Hint(Moment);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
        let Moment { at, now } = self.0;
        let (ago, ahead) = (now.since(at).as_secs(), at.since(now).as_secs());
        let seconds = ago.max(ahead);
        let fits = UNITS.into_iter().find(|(length, _)| seconds >= *length);
        match fits {
            None => f.write_str("now"),
            Some((length, unit)) if ago > 0 => write!(f, "{} {unit} ago", ago / length),
            Some((length, unit)) => write!(f, "in {} {unit}", ahead / length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_at_how_long_ago() {
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        for (then, hint) in [
            (1_000_000, "now"),
            (999_999, "1 s ago"),
            (999_000, "16 min ago"),
            (990_000, "2 h ago"),
            (0, "11 d ago"),
            (1_000_061, "in 1 min"),
            (2_000_000, "in 11 d"),
        ] {
            let moment = Moment::new(at(then), at(1_000_000));
            assert_eq!(Hint(moment).to_string(), hint);
        }
        assert_eq!(
            Moment::new(at(0), at(60)).to_string(),
            "<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00:00 <small>1 min ago</small></time>"
        );
    }
}
