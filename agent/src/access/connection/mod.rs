//! Remembers the connections that sshd's processes serve, so that each try is counted once. Pure.
//!
//! The address at first sight is pinned: a later line of the same process that names another one is
//! no news of a second address, but of somebody tampering with the log.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use watchward_protocol::access::{Outcome, Peer, Trust, User};
use watchward_protocol::time::Timestamp;

use super::sshd::Role;

mod kept;

pub(super) use kept::Kept;

/// How many connections are remembered; beyond it the one that came first is forgotten.
const MOST: usize = 16_384;

/// After this silence a process that never got anybody in is taken for another one with the same
/// number. sshd's `LoginGraceTime` is two minutes unless configured.
const SILENCE: Duration = Duration::from_secs(180);

/// A process, for as long as its host is up, as far as lines of one trust tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The boot of the host; zero where the source does not tell it.
    pub boot: u128,
    /// The number of the process.
    pub pid: u32,
    /// What is believed less must not change what is known of a process that is believed more.
    pub trust: Trust,
}

/// What a line says that matters for the connection it belongs to.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) at: Timestamp,
    pub(super) role: Role,
    pub(super) outcome: Outcome,
    pub(super) user: Option<User>,
    pub(super) peer: Option<Peer>,
}

/// What follows from a line for the connection it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The line fits to what was seen before.
    Fits {
        /// It is a try of its own.
        attempt: bool,
        /// Who and where, also as far as only earlier lines said it.
        user: Option<User>,
        /// Where it comes from.
        peer: Option<Peer>,
    },
    /// The line names another address than this, which was the first.
    Tampered(Peer),
}

/// The connections that are open, or were lately.
#[derive(Debug, Default)]
pub struct Connections {
    open: HashMap<Process, Connection>,
    order: VecDeque<Process>,
}

#[derive(Debug, Default)]
struct Connection {
    peer: Option<Peer>,
    user: Option<User>,
    last: Timestamp,
    /// Somebody asked to get in.
    asked: bool,
    /// A try was counted.
    counted: bool,
    opened: bool,
    ended: bool,
}

impl Connections {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a line of a process.
    pub(super) fn see(&mut self, process: Process, sighting: Sighting) -> Verdict {
        match sighting.role {
            Role::Listens => Verdict::Fits {
                attempt: false,
                user: sighting.user,
                peer: sighting.peer,
            },
            Role::Beside => self.beside(process, sighting),
            Role::Opens | Role::Tries | Role::Tells | Role::Ends | Role::Closes => {
                self.of_connection(process, sighting)
            }
        }
    }

    /// The listener says that it ended the connection of another process. Whether that was a try
    /// which no line has told yet, and whose.
    pub(super) fn end(&mut self, process: Process) -> (bool, Option<User>) {
        let Some(connection) = self.open.get_mut(&process).filter(|known| !known.ended) else {
            return (false, None);
        };
        connection.ended = true;
        let untold = connection.asked && !connection.counted && !connection.opened;
        connection.counted |= untold;
        (untold, connection.user.clone())
    }

    /// A line that may come from any process: it changes nothing, and learns what is known.
    fn beside(&self, process: Process, sighting: Sighting) -> Verdict {
        let Sighting {
            at,
            mut user,
            mut peer,
            ..
        } = sighting;
        if let Some(connection) = self.open.get(&process).filter(|known| known.alive(at)) {
            let same = match (&user, &connection.user) {
                (Some(said), Some(known)) => said.name == known.name,
                _ => true,
            };
            if same {
                user = connection.user.clone().or(user);
                peer = peer.or(connection.peer);
            }
        }
        Verdict::Fits {
            attempt: false,
            user,
            peer,
        }
    }

    fn of_connection(&mut self, process: Process, sighting: Sighting) -> Verdict {
        let connection = self.entry(process);
        if connection.is_over(&sighting) {
            *connection = Connection::default();
        }
        let differs = |pinned: Peer| {
            sighting
                .peer
                .is_some_and(|peer| peer.address != pinned.address)
        };
        if let Some(pinned) = connection.peer.filter(|pinned| differs(*pinned)) {
            return Verdict::Tampered(pinned);
        }
        connection.last = sighting.at;
        connection.peer = connection.peer.or(sighting.peer);
        if sighting.user.is_some() {
            connection.user.clone_from(&sighting.user);
        }
        let attempt = connection.count(&sighting);
        let user = sighting.user.or_else(|| connection.user.clone());
        Verdict::Fits {
            attempt,
            user,
            peer: sighting.peer.or(connection.peer),
        }
    }

    fn entry(&mut self, process: Process) -> &mut Connection {
        if !self.open.contains_key(&process) {
            if self.order.len() >= MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.open.remove(&oldest);
            }
            self.order.push_back(process);
        }
        self.open.entry(process).or_default()
    }
}

impl Connection {
    /// Whether what is known still holds for a line that does not say where it comes from.
    fn alive(&self, at: Timestamp) -> bool {
        !self.ended && (self.opened || at.since(self.last) <= SILENCE)
    }

    /// Whether the line must be of a new connection, in a process with the same number.
    fn is_over(&self, sighting: &Sighting) -> bool {
        let elsewhere = match (self.peer, sighting.peer) {
            (Some(pinned), Some(peer)) => {
                pinned.address != peer.address
                    || (pinned.port.is_some() && peer.port.is_some() && pinned.port != peer.port)
            }
            _ => false,
        };
        let same_address =
            self.peer.map(|peer| peer.address) == sighting.peer.map(|peer| peer.address);
        let begins = matches!(sighting.role, Role::Opens | Role::Tries | Role::Tells);
        let silent = sighting.at.since(self.last) > SILENCE;
        sighting.role == Role::Opens
            || (self.ended && (begins || elsewhere))
            || (elsewhere && (silent || same_address))
            || (self.opened && elsewhere && sighting.outcome != Outcome::Unknown)
    }

    /// Whether the line is a try of its own.
    fn count(&mut self, sighting: &Sighting) -> bool {
        self.asked |= self.user.is_some() || sighting.outcome == Outcome::Failure;
        let attempt = match sighting.role {
            Role::Tries => true,
            Role::Ends => self.asked && !self.counted && !self.opened,
            Role::Opens | Role::Tells | Role::Closes | Role::Beside | Role::Listens => false,
        };
        self.counted |= attempt;
        self.opened |= sighting.role == Role::Tries && sighting.outcome == Outcome::Success;
        self.ended |= matches!(sighting.role, Role::Ends | Role::Closes);
        attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let mut connections = Connections::new();
        let peer = Peer {
            address: [192, 0, 2, 1].into(),
            port: Some(1),
        };
        for pid in 0..u32::try_from(MOST).unwrap() + 10 {
            let (at, user) = (Timestamp::from_micros(0), None);
            let (role, outcome) = (Role::Tells, Outcome::Unknown);
            let process = Process {
                boot: 0,
                pid,
                trust: Trust::Text,
            };
            connections.see(
                process,
                Sighting {
                    at,
                    role,
                    outcome,
                    user,
                    peer: Some(peer),
                },
            );
        }
        assert_eq!(
            (connections.open.len(), connections.order.len()),
            (MOST, MOST)
        );
        let known = |pid| {
            let process = Process {
                boot: 0,
                pid,
                trust: Trust::Text,
            };
            connections.open.contains_key(&process)
        };
        assert!(!known(9) && known(10));
    }
}
