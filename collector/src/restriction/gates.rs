//! From the policy to the gates of one host. Pure.

use ipnet::IpNet;
use watchward_protocol::restriction::{Exception, Gate, Gates, Mode};
use watchward_protocol::time::Timestamp;

use super::policy::Table;
use crate::policy::networks::Name;

/// How many ends of exceptions are counted: two versions lie further apart than that in time.
const MOST_OVER: usize = 9_999;

/// Which gates a host is to hold, without their networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) generation: u64,
    /// The services that are to be shut to others.
    pub(super) shut: Vec<String>,
    /// The services where others are only to be counted.
    pub(super) watched: Vec<String>,
}

impl Ordered {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.shut.is_empty() && self.watched.is_empty()
    }
}

impl Table {
    /// What a host is to hold at that moment, as of the policy that came into force `since`.
    pub fn gates(&self, host: &str, since: Timestamp, now: Timestamp) -> Gates {
        let gates = self.services.names();
        Gates {
            generation: self.generation(since, now),
            put_back: self.put_back,
            gates: gates
                .filter_map(|name| self.gate(host, name, now))
                .collect(),
        }
    }

    /// Which gates a host is to hold then, as of the policy that came into force `since`.
    pub(super) fn ordered(&self, host: &str, since: Timestamp, now: Timestamp) -> Ordered {
        let mut ordered = Ordered {
            generation: self.generation(since, now),
            ..Ordered::default()
        };
        for name in self.services.names().map(Name::as_str) {
            let list = match self.about(host, name).next().map(|rule| rule.mode) {
                Some(Mode::Enforce) => &mut ordered.shut,
                Some(Mode::Watch) => &mut ordered.watched,
                None => continue,
            };
            list.push(name.to_owned());
        }
        ordered
    }

    /// It grows with each policy, and with each exception that ends. It is made of the moment, and
    /// not of the number of the version: after an older database was put back, the next policy is
    /// newer than what hosts hold, whatever its number.
    fn generation(&self, since: Timestamp, now: Timestamp) -> u64 {
        let over = self.exceptions.iter().filter(|one| !one.holds(now)).count();
        let since = u64::try_from(since.as_micros()).unwrap_or(0);
        since.saturating_add(u64::try_from(over.min(MOST_OVER)).unwrap_or(0))
    }

    fn gate(&self, host: &str, service: &Name, now: Timestamp) -> Option<Gate> {
        let name = service.as_str();
        let rules: Vec<_> = self.about(host, name).collect();
        let mode = rules.first()?.mode;
        let from: Vec<_> = rules.iter().flat_map(|rule| rule.from.nets()).collect();
        let mut from = IpNet::aggregate(&from);
        from.sort_unstable();
        let exceptions = self.exceptions(host, name, (&from, now));
        Some(Gate {
            name: name.to_owned(),
            mode,
            ports: self.services.ports(service),
            from,
            exceptions,
        })
    }

    /// Those that permit more than the rules and than each other.
    fn exceptions(
        &self,
        host: &str,
        service: &str,
        (from, now): (&[IpNet], Timestamp),
    ) -> Vec<Exception> {
        let holding = self.excepted(host, service, now);
        let mut all: Vec<_> = holding
            .flat_map(|one| {
                let until = one.until.end();
                one.from.nets().map(move |from| Exception { from, until })
            })
            .filter(|one| !from.iter().any(|net| net.contains(&one.from)))
            .collect();
        // The longest first, and of those the widest: what follows can only be less.
        all.sort_by_key(|one| {
            (
                std::cmp::Reverse(one.until),
                one.from.prefix_len(),
                one.from,
            )
        });
        let mut more: Vec<Exception> = Vec::new();
        for one in all {
            if !more.iter().any(|longer| longer.from.contains(&one.from)) {
                more.push(one);
            }
        }
        more
    }
}
