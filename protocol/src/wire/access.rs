//! Access events.

use std::net::IpAddr;

use super::{Malformed, NAME, cut, short, v1};
use crate::access::{AccessEvent, Action, Certificate, Key, Outcome, Peer, Service, Trust, User};
use crate::time::Timestamp;
use v1::access as wire;

/// The longest line that is taken, in bytes; what a server writes is far shorter.
const LINE: usize = 8 << 10;

/// The longest user name, and the longest id of a certificate, in bytes.
const USER: usize = 1 << 10;

impl From<AccessEvent> for v1::Access {
    fn from(event: AccessEvent) -> Self {
        let Service::Sshd = event.service;
        Self {
            at: event.at.as_micros(),
            service: wire::Service::Sshd.into(),
            action: action(event.action).into(),
            outcome: outcome(event.outcome).into(),
            attempt: event.attempt,
            form: event.form,
            user: event.user.map(|user| wire::User {
                name: user.name.into_bytes(),
                known: user.known,
            }),
            peer: event.peer.map(Into::into),
            method: event.method,
            key: event
                .key
                .map(|Key { kind, fingerprint }| wire::Key { kind, fingerprint }),
            certificate: event.certificate.map(|certificate| wire::Certificate {
                id: certificate.id.into_bytes(),
                serial: certificate.serial,
                authority: certificate.authority,
            }),
            pid: event.pid,
            trust: trust(event.trust).into(),
            line: event.line.into_bytes(),
        }
    }
}

fn action(action: Action) -> wire::Action {
    match action {
        Action::Authentication => wire::Action::Authentication,
        Action::Refusal => wire::Action::Refusal,
        Action::Connection => wire::Action::Connection,
        Action::SessionOpened => wire::Action::SessionOpened,
        Action::SessionClosed => wire::Action::SessionClosed,
        Action::Notice => wire::Action::Notice,
    }
}

fn outcome(outcome: Outcome) -> wire::Outcome {
    match outcome {
        Outcome::Success => wire::Outcome::Success,
        Outcome::Failure => wire::Outcome::Failure,
        Outcome::Unknown => wire::Outcome::Unknown,
    }
}

fn trust(trust: Trust) -> wire::Trust {
    match trust {
        Trust::Text => wire::Trust::Text,
        Trust::Session => wire::Trust::Session,
        Trust::Server => wire::Trust::Server,
    }
}

impl TryFrom<v1::Access> for AccessEvent {
    type Error = Malformed;

    fn try_from(wire: v1::Access) -> Result<Self, Malformed> {
        let service = match wire.service() {
            wire::Service::Sshd => Service::Sshd,
            wire::Service::Unspecified => return Err(Malformed("service of an access event")),
        };
        let action = match wire.action() {
            wire::Action::Authentication => Action::Authentication,
            wire::Action::Refusal => Action::Refusal,
            wire::Action::Connection => Action::Connection,
            wire::Action::SessionOpened => Action::SessionOpened,
            wire::Action::SessionClosed => Action::SessionClosed,
            wire::Action::Notice => Action::Notice,
            wire::Action::Unspecified => return Err(Malformed("action of an access event")),
        };
        let outcome = match wire.outcome() {
            wire::Outcome::Success => Outcome::Success,
            wire::Outcome::Failure => Outcome::Failure,
            wire::Outcome::Unknown => Outcome::Unknown,
        };
        let trust = match wire.trust() {
            wire::Trust::Text => Trust::Text,
            wire::Trust::Session => Trust::Session,
            wire::Trust::Server => Trust::Server,
        };
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            service,
            action,
            outcome,
            attempt: wire.attempt,
            form: short(wire.form, NAME),
            user: wire.user.map(|user| User {
                name: cut(user.name, USER),
                known: user.known,
            }),
            peer: wire.peer.map(TryInto::try_into).transpose()?,
            method: wire.method.map(|method| short(method, NAME)),
            key: wire.key.map(|key| Key {
                kind: short(key.kind, NAME),
                fingerprint: short(key.fingerprint, NAME),
            }),
            certificate: wire.certificate.map(|certificate| Certificate {
                id: cut(certificate.id, USER),
                serial: certificate.serial,
                authority: short(certificate.authority, NAME),
            }),
            pid: wire.pid,
            trust,
            line: cut(wire.line, LINE),
        })
    }
}

impl From<Peer> for wire::Peer {
    fn from(peer: Peer) -> Self {
        let address = match peer.address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        Self {
            address,
            port: peer.port.map(Into::into),
        }
    }
}

impl TryFrom<wire::Peer> for Peer {
    type Error = Malformed;

    fn try_from(wire: wire::Peer) -> Result<Self, Malformed> {
        let four = <[u8; 4]>::try_from(wire.address.as_slice()).map(IpAddr::from);
        let address = four
            .or_else(|_| <[u8; 16]>::try_from(wire.address.as_slice()).map(IpAddr::from))
            .map_err(|_| Malformed("address"))?;
        let port = wire
            .port
            .map(|port| port.try_into().map_err(|_| Malformed("port")));
        Ok(Self {
            address: address.to_canonical(),
            port: port.transpose()?,
        })
    }
}
