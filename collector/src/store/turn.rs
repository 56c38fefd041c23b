//! How much of what is too old is forgotten in one turn: as much as others can wait for.

use std::time::Duration;

use tokio::time::Instant;

/// How long a turn goes on. Turns come every five seconds, so that a twentieth of the time is theirs.
const LONGEST: Duration = Duration::from_millis(250);

/// One turn, in which batch after batch is forgotten.
#[derive(Debug)]
pub(crate) struct Turn(Instant);

impl Turn {
    /// It begins now.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Whether another batch is to follow one that could have been so large, and had so many rows.
    pub(crate) fn goes_on(&self, full: u64, gone: u64) -> bool {
        gone >= full && self.0.elapsed() < LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_with_what_is_too_old_or_when_others_have_waited() {
        let turn = Turn::begin();
        assert!(turn.goes_on(100, 100));
        assert!(!turn.goes_on(100, 99), "there is no more");
        tokio::time::advance(LONGEST).await;
        assert!(!turn.goes_on(100, 100));
    }
}
