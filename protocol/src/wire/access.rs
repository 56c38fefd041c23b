//! Access events.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Malformed, NAME, address, bytes, cut, short, v1};
use crate::access::{
    AccessEvent, Action, Certificate, Key, Outcome, Peer, Service, Trust, Tunnel, User,
};
use crate::text::Foreign;
use crate::time::Timestamp;
use v1::access as wire;

/// The longest line that is taken, in bytes; what a server writes is far shorter.
const LINE: usize = 8 << 10;

/// The longest command, in bytes; sudo writes its lines in pieces that are far shorter.
const COMMAND: usize = 4 << 10;

/// The longest user name and target, and the longest id of a certificate, in bytes.
const USER: usize = 1 << 10;

impl From<AccessEvent> for v1::Access {
    fn from(event: AccessEvent) -> Self {
        Self {
            at: event.at.as_micros(),
            service: service(event.service).into(),
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
            target: event.target.map(Foreign::into_bytes),
            tunnel: tunnel(event.tunnel),
            command: event.command.map(Foreign::into_bytes),
        }
    }
}

fn service(service: Service) -> wire::Service {
    match service {
        Service::Sshd => wire::Service::Sshd,
        Service::Sudo => wire::Service::Sudo,
        Service::Su => wire::Service::Su,
        Service::OpenVpn => wire::Service::Openvpn,
        Service::WireGuard => wire::Service::Wireguard,
    }
}

fn tunnel(Tunnel { v4, v6 }: Tunnel) -> Option<wire::Tunnel> {
    (v4.is_some() || v6.is_some()).then(|| wire::Tunnel {
        v4: v4.map(|address| address.octets().to_vec()),
        v6: v6.map(|address| address.octets().to_vec()),
    })
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
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            service: wire.service().try_into()?,
            action: wire.action().try_into()?,
            outcome: wire.outcome().into(),
            trust: wire.trust().into(),
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
                authority: certificate.authority.map(|text| short(text, NAME)),
            }),
            pid: wire.pid,
            line: cut(wire.line, LINE),
            target: wire.target.map(|target| cut(target, USER)),
            tunnel: wire.tunnel.unwrap_or_default().try_into()?,
            command: wire.command.map(|command| cut(command, COMMAND)),
        })
    }
}

impl TryFrom<wire::Service> for Service {
    type Error = Malformed;

    fn try_from(wire: wire::Service) -> Result<Self, Malformed> {
        Ok(match wire {
            wire::Service::Sshd => Self::Sshd,
            wire::Service::Sudo => Self::Sudo,
            wire::Service::Su => Self::Su,
            wire::Service::Openvpn => Self::OpenVpn,
            wire::Service::Wireguard => Self::WireGuard,
            wire::Service::Unspecified => return Err(Malformed("service of an access event")),
        })
    }
}

impl TryFrom<wire::Action> for Action {
    type Error = Malformed;

    fn try_from(wire: wire::Action) -> Result<Self, Malformed> {
        Ok(match wire {
            wire::Action::Authentication => Self::Authentication,
            wire::Action::Refusal => Self::Refusal,
            wire::Action::Connection => Self::Connection,
            wire::Action::SessionOpened => Self::SessionOpened,
            wire::Action::SessionClosed => Self::SessionClosed,
            wire::Action::Notice => Self::Notice,
            wire::Action::Unspecified => return Err(Malformed("action of an access event")),
        })
    }
}

impl From<wire::Outcome> for Outcome {
    fn from(wire: wire::Outcome) -> Self {
        match wire {
            wire::Outcome::Success => Self::Success,
            wire::Outcome::Failure => Self::Failure,
            wire::Outcome::Unknown => Self::Unknown,
        }
    }
}

impl From<wire::Trust> for Trust {
    fn from(wire: wire::Trust) -> Self {
        match wire {
            wire::Trust::Text => Self::Text,
            wire::Trust::Session => Self::Session,
            wire::Trust::Server => Self::Server,
        }
    }
}

impl TryFrom<wire::Tunnel> for Tunnel {
    type Error = Malformed;

    fn try_from(wire: wire::Tunnel) -> Result<Self, Malformed> {
        let four = wire.v4.as_deref().map(<[u8; 4]>::try_from).transpose();
        let six = wire.v6.as_deref().map(<[u8; 16]>::try_from).transpose();
        let malformed = |_| Malformed("address in a tunnel");
        Ok(Self {
            v4: four.map_err(malformed)?.map(Ipv4Addr::from),
            v6: six.map_err(malformed)?.map(Ipv6Addr::from),
        })
    }
}

impl From<Peer> for wire::Peer {
    fn from(peer: Peer) -> Self {
        Self {
            address: bytes(peer.address),
            port: peer.port.map(Into::into),
        }
    }
}

impl TryFrom<wire::Peer> for Peer {
    type Error = Malformed;

    fn try_from(wire: wire::Peer) -> Result<Self, Malformed> {
        let port = wire
            .port
            .map(|port| port.try_into().map_err(|_| Malformed("port")));
        Ok(Self {
            address: address(&wire.address)?,
            port: port.transpose()?,
        })
    }
}
