//! How long entries may gather before the next read: long while few come, never in a flood. Pure.

use std::time::Duration;

/// While entries come one by one, they are gathered for so long: the first is handed on at once.
const LONGEST: Duration = Duration::from_millis(500);
/// After a flood it begins with this.
const SHORTEST: Duration = Duration::from_millis(5);
/// A read of so much is of a flood. A pipe holds 64 KiB (pipe(7)): while it is full, journalctl waits
/// for us, and falls behind.
const MUCH: usize = 16 * 1024;

/// The pause between reads.
#[derive(Debug)]
pub(super) struct Pace(Duration);

impl Pace {
    pub(super) fn new() -> Self {
        Self(LONGEST)
    }

    /// How long to wait after a read of so many bytes.
    pub(super) fn after(&mut self, bytes: usize) -> Duration {
        self.0 = if bytes >= MUCH {
            Duration::ZERO
        } else {
            (self.0 * 2).clamp(SHORTEST, LONGEST)
        };
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_entries_gather_and_a_flood_never_waits() {
        let mut pace = Pace::new();
        assert_eq!(pace.after(300), LONGEST);
        for _ in 0..3 {
            assert_eq!(pace.after(64 * 1024), Duration::ZERO);
        }
        let pauses: Vec<_> = (0..9).map(|_| pace.after(4096)).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses.first(), Some(&SHORTEST), "the flood may go on");
        assert_eq!(pauses.last(), Some(&LONGEST), "it is over");
    }
}
