//! What is known of open connections, in the words in which a source's position keeps it: an agent
//! that is started again between a connection's lines goes on counting where it was. Pure.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use watchward_protocol::access::{Peer, Trust, User};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::{Connection, Connections, Process, SILENCE};

/// So many connections are kept, the newest: sshd lets no more than a hundred ask at a time, unless
/// `MaxStartups` says so.
const MOST: usize = 128;

/// So many of the newest are looked through for those that are open: most have ended.
const LOOK: usize = 1024;

/// How much of a name is kept: a longer one is left out, and who it was is in the events.
const NAME: usize = 64;

/// A connection that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::access) struct Kept {
    #[serde(default, skip_serializing_if = "is_zero")]
    boot: u128,
    pid: u32,
    trust: Trust,
    last: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<(IpAddr, Option<u16>)>,
    /// Each byte as the character with its number, and whether the server knew the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<(String, bool)>,
    asked: bool,
    counted: bool,
    opened: bool,
}

const fn is_zero(boot: &u128) -> bool {
    *boot == 0
}

impl Connections {
    /// What is known of the connections that were heard of lately and have not ended, the newest
    /// first.
    pub(in crate::access) fn kept(&self) -> Vec<Kept> {
        let newest = || self.order.iter().rev().take(LOOK);
        let known = || newest().filter_map(|process| Some((process, self.open.get(process)?)));
        let Some(now) = known().map(|(_, connection)| connection.last).max() else {
            return Vec::new();
        };
        known()
            .filter(|(_, known)| !known.ended && now.since(known.last) <= SILENCE)
            .take(MOST)
            .map(|(process, connection)| Kept::of(*process, connection))
            .collect()
    }

    /// Goes on where it was.
    pub(in crate::access) fn resume(kept: &[Kept]) -> Self {
        let mut connections = Self::new();
        for one in kept.iter().take(MOST).rev() {
            *connections.entry(one.process()) = one.connection();
        }
        connections
    }
}

impl Kept {
    fn of(process: Process, known: &Connection) -> Self {
        let name = |user: &User| -> Option<(String, bool)> {
            let bytes = user.name.as_bytes();
            let short = bytes.len() <= NAME;
            short.then(|| (bytes.iter().copied().map(char::from).collect(), user.known))
        };
        Self {
            boot: process.boot,
            pid: process.pid,
            trust: process.trust,
            last: known.last,
            from: known.peer.map(|peer| (peer.address, peer.port)),
            user: known.user.as_ref().and_then(name),
            asked: known.asked,
            counted: known.counted,
            opened: known.opened,
        }
    }

    const fn process(&self) -> Process {
        Process {
            boot: self.boot,
            pid: self.pid,
            trust: self.trust,
        }
    }

    fn connection(&self) -> Connection {
        let user = self.user.as_ref().and_then(|(name, known)| {
            let bytes: Option<Vec<u8>> = name.chars().map(|one| u8::try_from(one).ok()).collect();
            Some(User {
                name: Foreign::from(bytes?),
                known: *known,
            })
        });
        Connection {
            peer: self.from.map(|(address, port)| Peer { address, port }),
            user,
            last: self.last,
            asked: self.asked,
            counted: self.counted,
            opened: self.opened,
            ended: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::access::Outcome;

    use super::*;
    use crate::access::connection::{Sighting, Verdict};
    use crate::access::sshd::Role;

    fn see(connections: &mut Connections, pid: u32, second: i64, role: Role) -> bool {
        let process = Process {
            boot: u128::MAX,
            pid,
            trust: Trust::Server,
        };
        let sighting = Sighting {
            at: Timestamp::from_micros(second * 1_000_000),
            role,
            outcome: Outcome::Failure,
            user: Some(User {
                name: Foreign::from(vec![b'b', 0, 0xff]),
                known: true,
            }),
            peer: Some(Peer {
                address: [192, 0, 2, 1].into(),
                port: Some(5),
            }),
        };
        matches!(
            connections.see(process, sighting),
            Verdict::Fits { attempt: true, .. }
        )
    }

    /// As it is after a restart.
    fn again(connections: &Connections) -> Connections {
        let words = serde_json::to_vec(&connections.kept()).unwrap();
        Connections::resume(&serde_json::from_slice::<Vec<Kept>>(&words).unwrap())
    }

    #[test]
    fn a_connection_is_known_after_a_restart_as_it_was_before() {
        let mut before = Connections::new();
        see(&mut before, 7, 0, Role::Tries);
        see(&mut before, 8, 1, Role::Tells);
        let mut after = again(&before);
        assert_eq!(after.kept(), before.kept());
        assert!(!see(&mut after, 7, 2, Role::Ends), "counted before");
        assert!(see(&mut after, 8, 2, Role::Ends), "not counted yet");
    }

    #[test]
    fn what_has_ended_or_is_long_silent_is_not_kept() {
        let mut connections = Connections::new();
        see(&mut connections, 7, 0, Role::Tries);
        see(&mut connections, 8, 200, Role::Tries);
        see(&mut connections, 8, 201, Role::Ends);
        see(&mut connections, 9, 202, Role::Tries);
        let pids: Vec<_> = connections.kept().iter().map(|one| one.pid).collect();
        assert_eq!(pids, [9]);
    }

    #[test]
    fn what_is_kept_is_small_whoever_knocks() {
        let mut connections = Connections::new();
        for pid in 0..10_000 {
            see(&mut connections, pid, 0, Role::Tries);
        }
        let kept = connections.kept();
        assert_eq!((kept.len(), kept[0].pid), (MOST, 9_999));
        assert!(serde_json::to_vec(&kept).unwrap().len() < 32 * 1024);
        assert_eq!(again(&connections).kept(), kept);
    }
}
