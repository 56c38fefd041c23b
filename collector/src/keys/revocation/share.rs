//! How much the policy revokes by itself: hosts that make up keys, and wait until these are too old, must
//! not take the room that orders have.

use std::collections::BTreeMap;

use crate::keys::rows::cause::{self, Sort};
use crate::store::Store;

/// How many it may of each host, and of all together: half of what an order has room for.
const MOST_KEYS: (usize, usize) = (1_000, 10_000);
const MOST_PEERS: (usize, usize) = (500, 2_500);

/// How much of that is left.
#[derive(Clone, Debug)]
pub(in crate::keys) struct Share {
    most: (usize, usize),
    /// How many it has revoked, by the host that told of them.
    taken: BTreeMap<String, usize>,
}

impl Share {
    /// What is left now.
    pub(in crate::keys) async fn read(store: &Store, sort: Sort) -> sqlx::Result<Self> {
        let most = match sort {
            Sort::Keys => MOST_KEYS,
            Sort::Peers => MOST_PEERS,
        };
        let taken = cause::by_policy(store, sort).await?;
        Ok(Self { most, taken })
    }

    /// Takes room for a key that these hosts have told of; says of which of them.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub(in crate::keys) fn take<'a>(
        &mut self,
        hosts: impl IntoIterator<Item = &'a str>,
    ) -> Result<&'a str, String> {
        let (of_host, in_all) = self.most;
        if self.taken.values().sum::<usize>() >= in_all {
            return Err(format!(
                "The policy has revoked {in_all} by itself, and revokes no more."
            ));
        }
        for host in hosts {
            let taken = self.taken.entry(host.to_owned()).or_default();
            if *taken < of_host {
                *taken += 1;
                return Ok(host);
            }
        }
        Err(format!(
            "The policy has revoked {of_host} of this host by itself, and revokes no more of it."
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_takes_no_more_than_its_share_and_no_other_hosts() {
        let mut share = Share {
            most: (2, 5),
            taken: BTreeMap::new(),
        };
        let mut take = |hosts: &[&'static str]| share.take(hosts.iter().copied());
        assert_eq!([take(&["a"]), take(&["a"])], [Ok("a"), Ok("a")]);
        let why = take(&["a"]).unwrap_err();
        assert!(why.contains("2 of this host"), "{why}");
        assert_eq!(take(&["a", "b"]), Ok("b"), "it stands there, too");
        assert_eq!([take(&["b"]), take(&["c"])], [Ok("b"), Ok("c")]);
        let why = take(&["c"]).unwrap_err();
        assert!(why.contains("has revoked 5 by itself"), "{why}");
    }
}
