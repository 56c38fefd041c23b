//! How far the journal was read, and which entries were read already when that place is gone. Pure.

use serde::{Deserialize, Serialize};
use watchward_protocol::time::Timestamp;

use super::entry::Entry;
use crate::access::connection::Kept;

/// How far the journal was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The last entry; none if there was none.
    pub(super) cursor: Option<String>,
    /// When journald took it.
    pub(super) at: Timestamp,
    /// The connections whose lines go on behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) open: Vec<Kept>,
}

impl Place {
    /// Behind the last entry; where there is none, whatever comes from now on.
    pub(super) fn after(last: Option<&Entry>, now: Timestamp) -> Self {
        let now = Self {
            cursor: None,
            at: now,
            open: Vec::new(),
        };
        last.map_or(now, Self::behind)
    }

    /// Behind an entry.
    pub(super) fn behind(entry: &Entry) -> Self {
        Self {
            cursor: Some(entry.cursor.clone()),
            at: entry.taken,
            open: Vec::new(),
        }
    }

    /// Whether an entry was read before this place was reached. `boot` is the boot that runs now.
    ///
    /// The journal's own numbers decide; the time only does between boots, where there is nothing
    /// else, and never against the boot that runs now: clocks are set back.
    pub(super) fn is_behind(&self, entry: &Entry, boot: u128) -> bool {
        let Some(own) = self.cursor.as_deref() else {
            return false;
        };
        if own == entry.cursor {
            return true;
        }
        let number = |cursor: &str, name: &str| {
            field(cursor, name).and_then(|value| u64::from_str_radix(value, 16).ok())
        };
        let same = |name: &str| {
            let field = field(own, name);
            field.is_some() && field == self::field(&entry.cursor, name)
        };
        if same("s") {
            return number(&entry.cursor, "i") <= number(own, "i");
        }
        if same("b") {
            return number(&entry.cursor, "m") <= number(own, "m");
        }
        entry.boot != boot && entry.taken <= self.at
    }
}

/// A part of a cursor: `s=` is the life of the numbers `i=`, `b=` the boot, `m=` its clock.
fn field<'a>(cursor: &'a str, name: &str) -> Option<&'a str> {
    cursor.split(';').find_map(|part| {
        let value = part.strip_prefix(name)?;
        value.strip_prefix('=')
    })
}

#[cfg(test)]
mod tests {
    use watchward_protocol::access::Trust;

    use super::*;

    fn entry(cursor: &str, taken: i64, boot: u128) -> Entry {
        Entry {
            service: watchward_protocol::access::Service::Sshd,
            cursor: cursor.to_owned(),
            taken: Timestamp::from_micros(taken),
            at: Timestamp::from_micros(taken),
            boot,
            pid: None,
            trust: Trust::Server,
            by_root: true,
            suppressed: false,
            message: None,
        }
    }

    #[test]
    fn the_journals_own_numbers_decide_and_not_the_clock() {
        let place = Place::behind(&entry("s=aa;i=1f;b=1;m=100;t=50;x=1", 50, 1));
        for (cursor, taken, boot, behind) in [
            ("s=aa;i=1f;b=1;m=100;t=50;x=1", 50, 1, true),
            ("s=aa;i=1e;b=1;m=90;t=60;x=2", 60, 1, true),
            ("s=aa;i=20;b=1;m=101;t=10;x=3", 10, 1, false),
            ("s=bb;i=1;b=1;m=99;t=70;x=4", 70, 1, true),
            ("s=bb;i=1;b=1;m=101;t=40;x=5", 40, 1, false),
            ("s=bb;i=1;b=2;m=1;t=40;x=6", 40, 2, false),
            ("s=bb;i=1;b=3;m=1;t=40;x=7", 40, 3, true),
            ("s=bb;i=1;b=3;m=1;t=60;x=8", 60, 3, false),
        ] {
            let entry = entry(cursor, taken, boot);
            assert_eq!(place.is_behind(&entry, 2), behind, "{cursor}");
        }
    }
}
