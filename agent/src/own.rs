//! Connections that this agent itself or another host of ours makes to servers of this host, so that
//! nobody takes them for a stranger's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use watchward_daemon::clock;
use watchward_protocol::access::{AccessEvent, Service};
use watchward_protocol::elsewhere::Expected;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

/// How long after a connection its lines may still be read: a log is read with some delay.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How long after its end sshd may still write of it. From then on its port may be somebody else's.
const WRITTEN: Duration = Duration::from_secs(10);
/// So much is remembered in all where others are foretold.
const MOST_FORETOLD: usize = 10_000;
/// How far the time of a line may lie before what it tells of: a text log knows seconds.
const ROUNDED: Duration = Duration::from_secs(1);

/// The agent's own connections to sshd. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Own(Arc<Mutex<HashMap<SocketAddr, Span>>>);

/// From when to when a connection was the agent's.
#[derive(Clone, Debug)]
struct Span {
    begun: Timestamp,
    ended: Option<Timestamp>,
    whose: Whose,
}

/// Who asks in a connection, and what.
#[derive(Clone, Debug)]
enum Whose {
    /// The agent itself.
    Own,
    /// Another host of ours, which asks whether keys open these accounts; none: any account.
    Visitor(Arc<[Foreign]>),
}

/// A connection of the agent's, until this is dropped.
#[derive(Debug)]
pub struct Call {
    own: Own,
    from: SocketAddr,
}

impl Own {
    /// A connection is about to be made from this address and port, which nobody else has until the
    /// connection is closed: what this gives has to be kept for as long.
    pub fn expect(&self, from: SocketAddr) -> Call {
        let now = clock::now();
        let mut all = self.all();
        all.retain(|_, span| span.ended.is_none_or(|at| now.since(at) < REMEMBERED));
        let span = Span {
            begun: now,
            ended: None,
            whose: Whose::Own,
        };
        all.insert(from, span);
        drop(all);
        Call {
            own: self.clone(),
            from,
        }
    }

    /// Another host of ours will come from there, and from nowhere else: it asks for the collector
    /// whether keys open accounts. Whoever comes from another port, or tries something else, is a
    /// stranger.
    pub fn foretell(&self, expected: Expected) {
        let now = clock::now();
        let mut all = self.all();
        all.retain(|_, span| span.ended.is_none_or(|at| now.since(at) < REMEMBERED));
        let span = Span {
            begun: now,
            ended: Some(now + expected.within),
            whose: Whose::Visitor(expected.accounts.into()),
        };
        let room = MOST_FORETOLD.saturating_sub(all.len());
        let from = expected.from.into_iter().take(room);
        all.extend(from.map(|from| (from, span.clone())));
    }

    /// What came of a connection of the agent's own is told like all else, but is nobody's try.
    pub(crate) fn mark(&self, event: &mut AccessEvent) {
        let Some(from) = event.peer.and_then(|peer| Some((peer.address, peer.port?))) else {
            return;
        };
        if event.attempt && event.service == Service::Sshd {
            let span = self.all().get(&from.into()).cloned();
            event.attempt =
                !span.is_some_and(|span| span.has(event.at) && span.whose.causes(event));
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SocketAddr, Span>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Span {
    fn has(&self, at: Timestamp) -> bool {
        at >= self.begun - ROUNDED && self.ended.is_none_or(|ended| at <= ended + WRITTEN)
    }
}

impl Whose {
    /// Whether what they ask may lead to such a line.
    fn causes(&self, event: &AccessEvent) -> bool {
        let Self::Visitor(accounts) = self else {
            return true;
        };
        let mut method = event.method.iter();
        let mut user = event.user.iter();
        method.all(|it| it == "publickey")
            && (accounts.is_empty() || user.all(|it| accounts.contains(&it.name)))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(span) = self.own.all().get_mut(&self.from) {
            span.ended = Some(clock::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::access::{Action, Outcome, Peer, Trust, Tunnel, User};

    use super::*;

    fn is_try(own: &Own, at: Timestamp, service: Service, from: (&str, u16)) -> bool {
        marked(own, failure(at, service, from))
    }

    fn marked(own: &Own, mut event: AccessEvent) -> bool {
        own.mark(&mut event);
        event.attempt
    }

    fn failure(at: Timestamp, service: Service, from: (&str, u16)) -> AccessEvent {
        AccessEvent {
            at,
            service,
            action: Action::Authentication,
            outcome: Outcome::Failure,
            attempt: true,
            form: "failed".to_owned(),
            user: None,
            target: None,
            peer: Some(Peer {
                address: from.0.parse().unwrap(),
                port: Some(from.1),
            }),
            tunnel: Tunnel::default(),
            method: None,
            key: None,
            certificate: None,
            command: None,
            pid: None,
            trust: Trust::Server,
            line: "Connection closed".into(),
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_what_sshd_writes_of_it_while_it_lasts_is_nobodys_try() {
        let own = Own::default();
        let is_try = |at, service, port| is_try(&own, at, service, ("127.8.9.10", port));
        let before = clock::now();
        let call = own.expect("127.8.9.10:40000".parse().unwrap());
        let long_after = clock::now() + REMEMBERED;
        assert!(!is_try(before, Service::Sshd, 40_000));
        assert!(!is_try(long_after, Service::Sshd, 40_000), "it lasts");
        assert!(is_try(before - SECOND * 2, Service::Sshd, 40_000));
        assert!(is_try(before, Service::Sshd, 40_001));
        assert!(is_try(before, Service::OpenVpn, 40_000));
        drop(call);
        let ended = clock::now();
        assert!(!is_try(ended, Service::Sshd, 40_000), "its last line");
        let late = ended + WRITTEN + SECOND;
        assert!(is_try(late, Service::Sshd, 40_000), "of who has it since");
    }

    #[test]
    fn another_host_is_known_by_its_port_and_for_a_while() {
        let own = Own::default();
        own.foretell(Expected {
            from: vec!["192.0.2.7:40000".parse().unwrap()],
            within: SECOND * 30,
            accounts: vec!["ada".into()],
        });
        let now = clock::now();
        let is_try = |at, host, port| is_try(&own, at, Service::Sshd, (host, port));
        assert!(!is_try(now + SECOND * 30, "192.0.2.7", 40_000));
        assert!(is_try(now, "192.0.2.7", 40_001), "another program there");
        assert!(is_try(now, "192.0.2.8", 40_000));
        assert!(is_try(now - SECOND * 2, "192.0.2.7", 40_000));
        let late = now + SECOND * 32 + WRITTEN;
        assert!(is_try(late, "192.0.2.7", 40_000));
    }
    #[test]
    fn another_host_tries_keys_of_the_accounts_it_said_and_nothing_else() {
        let own = Own::default();
        own.foretell(Expected {
            from: vec!["192.0.2.7:40000".parse().unwrap()],
            within: SECOND * 30,
            accounts: vec!["ada".into()],
        });
        let is_try = |method: &str, name: &str| {
            let user = User {
                name: name.into(),
                known: true,
            };
            let event = AccessEvent {
                method: Some(method.to_owned()),
                user: Some(user),
                ..failure(clock::now(), Service::Sshd, ("192.0.2.7", 40_000))
            };
            marked(&own, event)
        };
        assert!(!is_try("publickey", "ada"));
        assert!(is_try("password", "ada"));
        assert!(is_try("keyboard-interactive/pam", "ada"));
        assert!(is_try("publickey", "root"));
    }
}
