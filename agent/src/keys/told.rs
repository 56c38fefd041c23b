//! What was told already, so that only what is new is told, and nobody can have us talk all the time.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use watchward_protocol::keys::{Holder, Keys};
use watchward_protocol::record::{Record, Report};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire;

/// So many changes of one holder are told as they come; then one for each `EVERY`. Whoever changes
/// their own file all day fills nobody's disk.
const BURST: u32 = 20;
const EVERY: Duration = Duration::from_secs(60);

/// What each holder has, as it was told last.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<Option<Foreign>, Last>);

#[derive(Debug)]
struct Last {
    digest: [u8; 32],
    /// How many more may be told at once, and since when it is known.
    left: u32,
    since: Instant,
}

/// What is to be told now, and when there will be more at the latest.
#[derive(Debug, Default, PartialEq)]
pub(super) struct News {
    pub(super) keys: Vec<Keys>,
    pub(super) more_at: Option<Instant>,
}

impl Told {
    /// What of this is new; from now on it counts as told. What is missing has gone.
    pub(super) fn news(&mut self, seen: Vec<Keys>, now: Instant) -> News {
        let mut before = std::mem::take(&mut self.0);
        let mut news = News::default();
        for keys in seen {
            let name = match &keys.holder {
                Holder::Account(name) => Some(name.clone()),
                Holder::Host(_) => None,
            };
            let digest = digest(&keys);
            let Some(mut last) = before.remove(&name) else {
                let (left, since) = (BURST, now);
                self.0.insert(
                    name,
                    Last {
                        digest,
                        left,
                        since,
                    },
                );
                news.keys.push(keys);
                continue;
            };
            if last.digest != digest {
                match last.take(now) {
                    Ok(()) => {
                        last.digest = digest;
                        news.keys.push(keys);
                    }
                    Err(later) => {
                        let first = news.more_at.map_or(later, |at| at.min(later));
                        news.more_at = Some(first);
                    }
                }
            }
            self.0.insert(name, last);
        }
        news
    }
}

impl Last {
    /// Takes one of those that may be told; else says from when on there is one.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        while self.left < BURST && now >= self.since + EVERY {
            self.left += 1;
            self.since += EVERY;
        }
        if self.left == BURST {
            self.since = now;
        }
        self.left = self.left.checked_sub(1).ok_or(self.since + EVERY)?;
        Ok(())
    }
}

/// Of everything but when it was seen.
fn digest(keys: &Keys) -> [u8; 32] {
    let at = Timestamp::default();
    let bytes = wire::encode(Record {
        seq: 0,
        covers: 0,
        kept_at: at,
        boot: [0; 16],
        report: Report::Keys(Keys { at, ..keys.clone() }),
    });
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(name: &str, seen: i64, what: u32) -> Keys {
        Keys {
            at: Timestamp::from_micros(seen),
            holder: Holder::Account(name.into()),
            openings: Vec::new(),
            omitted: what,
            troubles: Vec::new(),
        }
    }

    #[tokio::test]
    async fn only_what_is_new_is_told() {
        let (mut told, now) = (Told::default(), Instant::now());
        let first = vec![keys("a", 1, 0), keys("b", 1, 0)];
        assert_eq!(told.news(first.clone(), now).keys, first);
        assert_eq!(
            told.news(vec![keys("a", 2, 0), keys("b", 2, 0)], now),
            News::default()
        );
        let second = told.news(vec![keys("a", 3, 7), keys("b", 3, 0)], now);
        assert_eq!(second.keys, [keys("a", 3, 7)]);
        told.news(vec![keys("b", 4, 0)], now);
        let back = told.news(vec![keys("a", 5, 7), keys("b", 5, 0)], now);
        assert_eq!(back.keys, [keys("a", 5, 7)], "it had gone");
    }

    #[tokio::test]
    async fn who_changes_all_the_time_is_told_now_and_then_and_the_last_is_never_lost() {
        let (mut told, start) = (Told::default(), Instant::now());
        let mut count = 0;
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            let what = u32::try_from(second).unwrap();
            count += told
                .news(vec![keys("a", 0, what), keys("b", 0, 0)], now)
                .keys
                .len();
        }
        assert!((28..=34).contains(&count), "{count}");
        let last = vec![keys("a", 0, 999)];
        let now = start + Duration::from_secs(600);
        let later = told.news(last.clone(), now);
        let at = later.more_at.map_or(now, |at| at);
        let told_then = told.news(last.clone(), at).keys;
        assert!(later.keys == last || told_then == last);
    }
}
