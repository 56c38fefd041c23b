//! What was told already, so that only what is new is told, and nobody can have us talk all the time.

use std::collections::{HashMap, HashSet};
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
    /// When what was not told may be.
    later: Option<Instant>,
}

impl Told {
    /// Whether this is to be told now; if so, it counts as told from now on.
    pub(super) fn is_news(&mut self, keys: &Keys, now: Instant) -> bool {
        let name = match &keys.holder {
            Holder::Account(name) => Some(name.clone()),
            Holder::Host(_) => None,
        };
        let digest = digest(keys);
        let Some(last) = self.0.get_mut(&name) else {
            let last = Last {
                digest,
                left: BURST,
                since: now,
                later: None,
            };
            self.0.insert(name, last);
            return true;
        };
        if last.digest == digest {
            last.later = None;
            return false;
        }
        last.later = last.take(now).err();
        if last.later.is_none() {
            last.digest = digest;
        }
        last.later.is_none()
    }

    /// Forgets all but these accounts: if one comes back, all of it is news.
    pub(super) fn keep<'a>(&mut self, accounts: impl Iterator<Item = &'a Foreign>) {
        let accounts: HashSet<_> = accounts.collect();
        let known = |name: &Option<Foreign>| name.as_ref().is_none_or(|it| accounts.contains(it));
        self.0.retain(|name, _| known(name));
    }

    /// When there will be more at the latest.
    pub(super) fn more_at(&self) -> Option<Instant> {
        self.0.values().filter_map(|it| it.later).min()
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
        let news = |told: &mut Told, name, seen, what| told.is_news(&keys(name, seen, what), now);
        assert!(news(&mut told, "a", 1, 0) && news(&mut told, "b", 1, 0));
        assert!(!news(&mut told, "a", 2, 0) && !news(&mut told, "b", 2, 0));
        assert!(news(&mut told, "a", 3, 7) && !news(&mut told, "b", 3, 0));
        told.keep([Foreign::from("b")].iter());
        assert!(news(&mut told, "a", 5, 7), "it had gone");
        assert!(!news(&mut told, "b", 5, 0));
        assert_eq!(told.more_at(), None);
    }

    #[tokio::test]
    async fn who_changes_all_the_time_is_told_now_and_then_and_the_last_is_never_lost() {
        let (mut told, start) = (Told::default(), Instant::now());
        let mut count = 0;
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            let what = u32::try_from(second).unwrap();
            count += u32::from(told.is_news(&keys("a", 0, what), now));
            told.is_news(&keys("b", 0, 0), now);
        }
        assert!((28..=34).contains(&count), "{count}");
        let last = keys("a", 0, 999);
        let now = start + Duration::from_secs(600);
        let at_once = told.is_news(&last, now);
        let at = told.more_at().unwrap_or(now);
        assert!(at_once || told.is_news(&last, at));
        assert_eq!(told.more_at(), None);
    }
}
