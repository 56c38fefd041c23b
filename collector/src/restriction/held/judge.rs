//! Whether a host holds what it should, and what newly listens on it for everybody. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use watchward_protocol::restriction::{Holding, Listener, Phase, Transport};
use watchward_protocol::time::Timestamp;

use crate::policy::networks::is_public;
use crate::restriction::rows::listener::Known;

/// Ports from here on are given out by Linux for a moment: `ip_local_port_range`.
const EPHEMERAL: u16 = 32_768;

/// What listened within this time is not new when it does again: services are restarted.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// What a service is reached by.
pub(super) type Door = (Transport, u16);

/// What changed of what listens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change<'a> {
    /// What listens for everybody and did not.
    pub(super) new: Vec<&'a Listener>,
    /// Where nothing listens for everybody any more.
    pub(super) gone: Vec<Door>,
}

/// What changed.
pub(super) fn change<'a>(known: &[Known], all: &'a [Listener], now: Timestamp) -> Change<'a> {
    let remembered = known.iter().filter(|one| {
        let gone = one.gone_at;
        gone.is_none_or(|gone| now.since(gone) < REMEMBERED)
    });
    let remembered = doors(remembered.map(|one| &one.listener));
    let stood = known.iter().filter(|one| one.gone_at.is_none());
    let stood = doors(stood.map(|one| &one.listener));
    let stand = doors(all.iter());
    let gone = stood.keys().filter(|door| !stand.contains_key(door));
    let new = stand
        .iter()
        .filter(|(door, _)| !remembered.contains_key(door));
    Change {
        gone: gone.copied().collect(),
        new: new.map(|(_, listener)| *listener).collect(),
    }
}

/// The doors that are open to everybody, as far as they last.
fn doors<'a>(all: impl Iterator<Item = &'a Listener>) -> BTreeMap<Door, &'a Listener> {
    all.filter(|one| is_for_everybody(one))
        .map(|one| (door(one), one))
        .collect()
}

/// What it is reached by.
pub(super) fn door(listener: &Listener) -> Door {
    (listener.transport, listener.port)
}

/// Whether it can be reached from the Internet, and is no socket of a moment.
pub(super) fn is_for_everybody(listener: &Listener) -> bool {
    let lasts = match listener.transport {
        Transport::Tcp => true,
        Transport::Udp => listener.port < EPHEMERAL,
    };
    lasts && is_public(listener.address)
}

/// Whether a host holds everything that it was ordered.
pub(super) fn is_whole(holding: &Holding) -> bool {
    let settled = matches!(holding.phase, Phase::Held | Phase::Open);
    holding.enforcer.is_some() && settled && holding.why.is_empty()
}

/// What listens, each once: several sockets of one program may share a port.
pub(super) fn each_once(all: &[Listener]) -> Vec<Listener> {
    let all = all.iter().map(|one| Listener {
        address: one.address.to_canonical(),
        ..one.clone()
    });
    let all: BTreeMap<_, _> = all.map(|one| (place(&one), one)).collect();
    all.into_values().collect()
}

/// Listeners that are no more.
pub(super) fn missing<'a>(known: &'a [Known], all: &[Listener]) -> Vec<&'a Listener> {
    let all: BTreeSet<_> = all.iter().map(place).collect();
    let stood = known.iter().filter(|one| one.gone_at.is_none());
    let stood = stood.map(|one| &one.listener);
    stood.filter(|one| !all.contains(&place(one))).collect()
}

fn place(one: &Listener) -> (Transport, IpAddr, u16) {
    (one.transport, one.address, one.port)
}
