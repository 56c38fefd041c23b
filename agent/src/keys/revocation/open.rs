//! Which sockets a session left, and who may have them: the kernel says in which control group each was opened. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::sockets::opened::Opened;

/// So many sockets are named, and so many processes that may have one.
const MOST_SOCKETS: usize = 8;
const MOST_PROCESSES: usize = 3;

/// What is known of who may have opened something.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) account: Option<String>,
    /// The control group of the session itself.
    pub(super) own: Option<u64>,
    /// Those in which something runs that it left.
    pub(super) places: BTreeMap<u64, Place>,
    /// Whether what is only connected is said, too.
    pub(super) connected: bool,
}

/// A control group.
#[derive(Debug)]
pub(super) struct Place {
    /// What systemd calls it.
    pub(super) unit: String,
    /// The processes in it that the session left, with their names.
    pub(super) left: Vec<(u32, String)>,
    /// How many others are in it.
    pub(super) others: usize,
    /// Whether also what root opened there is the user's.
    pub(super) is_all_theirs: bool,
}

impl Place {
    /// One in which nothing is yet.
    pub(super) fn of(unit: &str) -> Self {
        Self {
            unit: unit.to_owned(),
            left: Vec::new(),
            others: 0,
            is_all_theirs: false,
        }
    }

    fn who(&self) -> String {
        let named = self.left.iter().take(MOST_PROCESSES);
        let named: Vec<String> = named
            .map(|(pid, name)| format!("process {pid} ({name})"))
            .collect();
        let named = named.join(" or ");
        match self.others > 0 || self.left.len() > MOST_PROCESSES {
            true => format!("{named} or another of {}", self.unit),
            false => named,
        }
    }
}

impl Open {
    /// What is open of it, one sentence each.
    pub(super) fn said(&self, sockets: &[Opened]) -> Vec<String> {
        let left = sockets.iter().filter(|it| self.who(it).is_some());
        let (connected, waiting): (Vec<&Opened>, Vec<&Opened>) =
            left.partition(|it| it.peer.is_some());
        let port = |it: &Opened| (it.group, it.transport, it.local.port());
        let waits: BTreeSet<_> = waiting.iter().map(|it| port(it)).collect();
        // Who came in where something listens is one more of that.
        let connected = connected
            .into_iter()
            .filter(|it| self.connected && !waits.contains(&port(it)));
        let all: BTreeSet<(bool, String)> = waiting
            .into_iter()
            .chain(connected)
            .map(|it| (it.peer.is_some(), self.sentence(it)))
            .collect();
        let more = all.len().saturating_sub(MOST_SOCKETS);
        let mut said: Vec<String> = all.into_iter().map(|it| it.1).take(MOST_SOCKETS).collect();
        if more > 0 {
            said.push(format!("{more} more sockets live on"));
        }
        said
    }

    /// Who may have a socket; none: nobody whom the session left.
    fn who(&self, socket: &Opened) -> Option<String> {
        let is_own = self.own == Some(socket.group);
        let place = self.places.get(&socket.group);
        let place = place.filter(|it| is_own || it.is_all_theirs || !socket.is_roots);
        match (place, &self.account) {
            (Some(place), Some(account)) => Some(format!("{} of {account}", place.who())),
            (Some(place), None) => Some(place.who()),
            (None, _) => {
                is_own.then(|| "a socket that it opened lives on elsewhere and".to_owned())
            }
        }
    }

    fn sentence(&self, socket: &Opened) -> String {
        let (who, by) = (
            self.who(socket).unwrap_or_default(),
            socket.transport.name(),
        );
        match socket.peer {
            Some(peer) => format!("{who} is connected to {peer} by {by}"),
            None => format!("{who} listens at {} by {by}", socket.local),
        }
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::restriction::Transport;

    use super::*;

    fn socket(group: u64, local: &str, peer: Option<&str>) -> Opened {
        Opened {
            transport: Transport::Tcp,
            local: local.parse().unwrap(),
            peer: peer.map(|it| it.parse().unwrap()),
            is_roots: false,
            group,
        }
    }

    fn open() -> Open {
        let place = |unit: &str, left: &[u32]| Place {
            left: left.iter().map(|pid| (*pid, "nc".to_owned())).collect(),
            ..Place::of(unit)
        };
        let service = Place {
            is_all_theirs: true,
            ..place("back.service", &[5])
        };
        let job = Place {
            others: 1,
            ..place("atd.service", &[6, 7])
        };
        Open {
            account: Some("ada".to_owned()),
            own: Some(1),
            places: BTreeMap::from([(2, service), (3, job)]),
            connected: true,
        }
    }

    #[test]
    fn each_socket_is_said_with_who_may_have_it_and_what_is_anothers_is_not() {
        let all = [
            socket(1, "0.0.0.0:1", None),
            socket(2, "0.0.0.0:2", None),
            // Somebody who came in there.
            socket(2, "192.0.2.1:2", Some("192.0.2.9:999")),
            socket(2, "192.0.2.1:777", Some("192.0.2.9:22")),
            socket(3, "[::]:3", None),
            socket(4, "0.0.0.0:4", None),
        ];
        assert_eq!(
            open().said(&all),
            [
                "a socket that it opened lives on elsewhere and listens at 0.0.0.0:1 by tcp",
                "process 5 (nc) of ada listens at 0.0.0.0:2 by tcp",
                "process 6 (nc) or process 7 (nc) or another of atd.service of ada listens at [::]:3 by tcp",
                "process 5 (nc) of ada is connected to 192.0.2.9:22 by tcp",
            ]
        );
        let listening = Open {
            connected: false,
            ..open()
        };
        assert_eq!(listening.said(&all).len(), 3);
    }

    #[test]
    fn what_root_opened_in_a_daemons_group_is_the_daemons() {
        let of_root = |group| Opened {
            is_roots: true,
            ..socket(group, "0.0.0.0:9", None)
        };
        assert!(open().said(&[of_root(3)]).is_empty());
        assert_eq!(open().said(&[of_root(2)]).len(), 1);
    }

    #[test]
    fn many_are_counted() {
        let all: Vec<_> = (0..20)
            .map(|port| socket(2, &format!("0.0.0.0:{}", 4000 + port), None))
            .collect();
        let said = open().said(&all);
        assert_eq!(said.len(), MOST_SOCKETS + 1);
        assert_eq!(
            said.last().map(String::as_str),
            Some("12 more sockets live on")
        );
    }
}
