//! Which refusals are kept: of each account a few a minute, so that nobody fills the trail. Pure.

use std::collections::HashMap;
use std::time::Duration;

use watchward_protocol::time::Timestamp;

/// The same is kept once in this time, and in all no more than [`MOST`].
const WHILE: Duration = Duration::from_secs(60);

/// How many different ones of an account are kept in that time: who looks around stands there, and
/// who goes on at it adds nothing to what is known.
const MOST: usize = 5;

/// What was kept just now, by account.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<i64, Vec<(String, Timestamp)>>);

impl Refusals {
    /// Whether this is to be kept; then it counts as kept.
    pub(super) fn is_news(&mut self, account: i64, what: &str, now: Timestamp) -> bool {
        self.0.retain(|_, kept| {
            kept.retain(|(_, at)| now.since(*at) < WHILE);
            !kept.is_empty()
        });
        let kept = self.0.entry(account).or_default();
        if kept.len() >= MOST || kept.iter().any(|(it, _)| it == what) {
            return false;
        }
        kept.push((what.to_owned(), now));
        true
    }
}
