//! From what is seen of peers to who came, moved and went: WireGuard itself tells nobody. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use watchward_protocol::access::{self, AccessEvent, Action, Key, Outcome, Service, Trust, Tunnel};
use watchward_protocol::peers::Peer;
use watchward_protocol::time::Timestamp;

/// Whoever sends anything proves who they are again after two minutes, and after three nothing counts
/// any more (`REKEY_AFTER_TIME` and `REJECT_AFTER_TIME` of WireGuard); the rest is for tries and looks.
const SILENCE: Duration = Duration::from_secs(200);

/// So often it is told at most that one moved: between two networks it may do so all the time.
const PACE: Duration = Duration::from_secs(60);

/// Who is there, by interface and key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sessions(BTreeMap<String, Session>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    from: Option<IpAddr>,
    /// When it was last told, in microseconds since 1970.
    told: i64,
}

impl Sessions {
    /// What was kept of them; nobody, where that cannot be read.
    pub(super) fn of(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// To keep.
    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What happened until now, with the peers that stand.
    pub(super) fn follow(&mut self, peers: &[Peer], now: Timestamp) -> Vec<AccessEvent> {
        let mut before = std::mem::take(&mut self.0);
        let mut events = Vec::new();
        for peer in peers {
            let name = format!("{} {}", peer.interface, peer.key);
            let session = before.remove(&name);
            let (session, event) = step(peer, session, now);
            events.extend(event);
            self.0.extend(session.map(|it| (name, it)));
        }
        for name in before.into_keys() {
            let (interface, key) = name.split_once(' ').unwrap_or_default();
            let line = format!("{interface}: peer {key} stands no more");
            events.push(event((Action::SessionClosed, "gone"), (key, &line), now));
        }
        events
    }
}

fn step(
    peer: &Peer,
    before: Option<Session>,
    now: Timestamp,
) -> (Option<Session>, Option<AccessEvent>) {
    let from = peer.endpoint.map(|it| it.ip());
    let at = peer.proved_at.unwrap_or_default();
    let is_there = peer.proved_at.is_some() && now.since(at) < SILENCE;
    let (session, what, said, at) = match before {
        None if !is_there => return (None, None),
        Some(before) if !is_there => {
            let what = (Action::SessionClosed, "silent");
            (
                None,
                what,
                "has been silent for three minutes",
                (now, before.from),
            )
        }
        None => {
            let what = (Action::Authentication, "handshake");
            (Some(now), what, "proved who it is", (at, from))
        }
        Some(before) if before.from == from => return (Some(before), None),
        Some(before) if now.since(Timestamp::from_micros(before.told)) < PACE => {
            return (Some(before), None);
        }
        Some(_) => {
            let what = (Action::Authentication, "moved");
            (Some(now), what, "came from another address", (now, from))
        }
    };
    let key = peer.key.to_string();
    let place = peer.endpoint.map(|it| format!(" from {it}"));
    let line = format!(
        "{}: peer {key} {said}{}",
        peer.interface,
        place.unwrap_or_default()
    );
    let (at, address) = at;
    let mut event = event(what, (&key, &line), at);
    event.peer = address.map(|address| access::Peer {
        address,
        port: peer
            .endpoint
            .filter(|it| it.ip() == address)
            .map(|it| it.port()),
    });
    event.tunnel = inside(&peer.allowed);
    let session = session.map(|told| Session {
        from,
        told: told.as_micros(),
    });
    (session, Some(event))
}

fn event((action, form): (Action, &str), (key, line): (&str, &str), at: Timestamp) -> AccessEvent {
    let is_login = action == Action::Authentication;
    AccessEvent {
        at,
        service: Service::WireGuard,
        action,
        outcome: if is_login {
            Outcome::Success
        } else {
            Outcome::Unknown
        },
        attempt: is_login,
        form: form.to_owned(),
        user: Some(access::User {
            name: key.into(),
            known: true,
        }),
        target: None,
        peer: None,
        tunnel: Tunnel::default(),
        method: is_login.then(|| "publickey".to_owned()),
        key: Some(Key {
            kind: "WireGuard".to_owned(),
            fingerprint: key.to_owned(),
        }),
        certificate: None,
        command: None,
        pid: None,
        trust: Trust::Server,
        line: line.into(),
    }
}

/// The addresses that a peer has inside, where it has single ones.
fn inside(allowed: &[IpNet]) -> Tunnel {
    let mut tunnel = Tunnel::default();
    for net in allowed.iter().rev() {
        match net {
            IpNet::V4(net) if net.prefix_len() == 32 => tunnel.v4 = Some(net.addr()),
            IpNet::V6(net) if net.prefix_len() == 128 => tunnel.v6 = Some(net.addr()),
            IpNet::V4(_) | IpNet::V6(_) => {}
        }
    }
    tunnel
}

#[cfg(test)]
mod tests {
    use watchward_protocol::peers::PeerKey;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros((1_800_000_000 + seconds) * SECOND)
    }

    fn peer(proved: Option<i64>, from: &str) -> Peer {
        Peer {
            interface: "wg0".into(),
            key: PeerKey::from_bytes([7; 32]),
            allowed: vec![
                "10.9.0.2/32".parse().unwrap(),
                "10.1.0.0/16".parse().unwrap(),
            ],
            endpoint: Some(from.parse().unwrap()),
            proved_at: proved.map(at),
            received: 0,
            sent: 0,
            kept: None,
        }
    }

    /// What is said at each of these moments, in turn.
    fn said(looks: &[(i64, Option<i64>, &str)]) -> Vec<(i64, String, Option<String>)> {
        let mut sessions = Sessions::default();
        let mut all = Vec::new();
        for (now, proved, from) in looks {
            // As after a restart.
            sessions = Sessions::of(&sessions.bytes());
            for event in sessions.follow(&[peer(*proved, from)], at(*now)) {
                let from = event.peer.map(|it| it.address.to_string());
                all.push((*now, event.form, from));
            }
        }
        all
    }

    #[test]
    fn who_comes_after_a_silence_is_told_once_and_so_is_who_goes() {
        let (here, there) = ("192.0.2.7:1", "198.51.100.9:1");
        let some = |text: &str| Some(text.to_owned());
        let told = said(&[
            (0, None, here),
            (10, Some(8), here),
            (15, Some(8), "192.0.2.7:2"),
            (130, Some(128), here),
            (135, Some(128), there),
            (140, Some(128), here),
            (335, Some(128), here),
            (900, Some(890), here),
        ]);
        assert_eq!(
            told,
            [
                (10, "handshake".to_owned(), some("192.0.2.7")),
                (135, "moved".to_owned(), some("198.51.100.9")),
                (335, "silent".to_owned(), some("198.51.100.9")),
                (900, "handshake".to_owned(), some("192.0.2.7")),
            ]
        );
    }

    #[test]
    fn one_that_was_taken_away_has_gone() {
        let mut sessions = Sessions::default();
        let [came] = &sessions.follow(&[peer(Some(0), "192.0.2.7:1")], at(1))[..] else {
            panic!("it came");
        };
        assert_eq!((came.outcome, came.attempt), (Outcome::Success, true));
        assert_eq!(came.tunnel.v4, Some("10.9.0.2".parse().unwrap()));
        let [gone] = &sessions.follow(&[], at(2))[..] else {
            panic!("it went");
        };
        assert_eq!((gone.action, gone.attempt), (Action::SessionClosed, false));
        assert_eq!(gone.key, came.key);
        assert_eq!(sessions.follow(&[], at(3)), []);
    }
}
