//! What revoking keys would do: where they open something, and who would be left without a way in.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchward_protocol::keys::Means;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

/// Something that opens an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Way {
    pub(in crate::keys) host: String,
    pub(in crate::keys) account: Foreign,
    pub(in crate::keys) means: Means,
    pub(in crate::keys) fingerprint: Option<String>,
    pub(in crate::keys) comment: Foreign,
    pub(in crate::keys) not_after: Option<Timestamp>,
    pub(in crate::keys) used_at: Option<Timestamp>,
}

/// An account of a host. Safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in crate::keys) struct Account {
    pub(in crate::keys) host: String,
    pub(in crate::keys) account: String,
}

impl Way {
    pub(super) fn account(&self) -> Account {
        Account {
            host: self.host.clone(),
            account: match self.account.as_bytes() {
                [] => "(host)".to_owned(),
                _ => self.account.to_string(),
            },
        }
    }

    /// Whether it is this key.
    pub(in crate::keys) fn is(&self, fingerprint: &str) -> bool {
        self.fingerprint.as_deref() == Some(fingerprint)
    }

    /// Whether somebody could come by it. Which keys a program names, nobody knows beforehand: it
    /// is no way that could be counted on.
    fn opens(&self, now: Timestamp) -> bool {
        let counts = matches!(self.means, Means::AuthorizedKey | Means::Authority);
        counts && self.not_after.is_none_or(|end| end > now)
    }
}

/// The accounts that nothing would open any more that does now, of those that `ways` are about.
pub(in crate::keys) fn lonely(
    ways: &[Way],
    (revoking, revoked): (&BTreeSet<String>, &BTreeSet<String>),
    now: Timestamp,
) -> Vec<Account> {
    let mut accounts: BTreeMap<Account, (bool, bool)> = BTreeMap::new();
    for way in ways.iter().filter(|way| way.opens(now)) {
        let Some(fingerprint) = &way.fingerprint else {
            continue;
        };
        if revoked.contains(fingerprint) {
            continue;
        }
        let (loses, keeps) = accounts.entry(way.account()).or_default();
        match revoking.contains(fingerprint) {
            true => *loses = true,
            false => *keeps = true,
        }
    }
    let alone = accounts.into_iter().filter(|(_, it)| *it == (true, false));
    alone.map(|(account, _)| account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn way(account: &str, means: Means, key: &str) -> Way {
        Way {
            host: "web".into(),
            account: account.into(),
            means,
            fingerprint: (!key.is_empty()).then(|| key.to_owned()),
            comment: Foreign::default(),
            not_after: None,
            used_at: None,
        }
    }

    fn who(ways: &[Way], revoking: &[&str], revoked: &[&str]) -> Vec<String> {
        let set = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        let found = lonely(ways, (&set(revoking), &set(revoked)), NOW);
        found.into_iter().map(|it| it.account).collect()
    }

    #[test]
    fn who_has_nothing_else_would_be_left_without_a_way_in() {
        use Means::{Authority, AuthorizedKey as Key, Command, Principals};
        let ways = [
            way("ada", Key, "a"),
            way("ada", Key, "b"),
            way("bob", Key, "a"),
            way("bob", Command, ""),
            way("bob", Principals, ""),
            way("eve", Key, "a"),
            way("eve", Authority, "c"),
        ];
        assert_eq!(
            who(&ways, &["a"], &[]),
            ["bob"],
            "ada has b, eve an authority"
        );
        assert_eq!(
            who(&ways, &["a"], &["b"]),
            ["ada", "bob"],
            "b opens no more"
        );
        assert_eq!(who(&ways, &["a", "c"], &[]), ["bob", "eve"], "both at once");
        assert_eq!(
            who(&ways, &["a"], &["a", "b"]),
            [""; 0],
            "it opens nothing already"
        );
        let ended = Way {
            not_after: Some(NOW),
            ..way("ada", Key, "b")
        };
        let ways = [way("ada", Key, "a"), ended];
        assert_eq!(who(&ways, &["a"], &[]), ["ada"], "b has ended");
    }
}
