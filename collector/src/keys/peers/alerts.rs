//! What people are told of peers of WireGuard. Pure.

use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::alerting::{Alert, Severity, cut};
use crate::intake::Host;
use crate::keys::rows::peer::Kept;

/// How long a title is at most, in characters.
pub(super) const TITLE: usize = 100;

/// How many peers are listed.
pub(super) const LISTED: usize = 20;

/// The key of the incident of peers that became new at once.
pub(super) fn new_key(host: HostId, batch: Timestamp) -> String {
    format!("keys.peer {host} {}", batch.as_micros())
}

/// The key of the incident of a host's revoked peers that stand.
pub(super) fn kept_key(host: HostId) -> String {
    format!("keys.peer-kept {host}")
}

/// The key of the incident of a revoked peer that somebody puts back.
pub(super) fn back_key(host: HostId, (interface, peer): (&str, &str)) -> String {
    format!("keys.peer-back {host} {interface} {peer}")
}

/// Whoever has these keys may come into the network; none: nobody has.
pub(super) fn new(host: &Host, about: &[&Kept], batch: Timestamp, now: Timestamp) -> Option<Alert> {
    let first = about.first()?;
    let (name, interface) = (short(&host.name), &first.interface);
    let is_wider = first.news.as_ref().is_some_and(|it| it.was.is_some());
    let title = match (about.len(), is_wider) {
        (1, false) => format!("{name}: new peer of {interface}"),
        (1, true) => format!("{name}: a peer of {interface} may have other addresses"),
        (many, _) => {
            format!("{name}: {many} peers of WireGuard are new, or may have other addresses")
        }
    };
    let lines = about.iter().take(LISTED).map(|one| listed(one));
    let peer = match about {
        [one] => &one.peer,
        _ => "KEY",
    };
    Some(Alert {
        key: new_key(host.id, batch),
        severity: Severity::Warning,
        host: Some(host.name.clone()),
        title: cut(&title, TITLE),
        detail: lines
            .chain(more(about.len()))
            .collect::<Vec<_>>()
            .join("\n"),
        advice: format!(
            "If it is right: `watchward keys accept {peer}`, or name it in [[keys.peers]] of the policy. If \
             nobody knows it: `watchward revoke {peer}`."
        ),
        since: now,
    })
}

fn listed(peer: &Kept) -> String {
    let was = peer.news.as_ref().and_then(|news| news.was.as_ref());
    let before = was
        .map(|was| format!("\nBefore: {was}"))
        .unwrap_or_default();
    format!(
        "{} of {}\nAddresses inside: {}{before}\nHeard from: {}",
        peer.peer,
        peer.interface,
        match &*peer.allowed {
            "" => "none",
            allowed => allowed,
        },
        peer.endpoint.as_deref().unwrap_or("nowhere yet"),
    )
}

/// Those of a host's peers that stand although they are revoked, and why; none: none does.
pub(super) fn kept(host: &Host, peers: &[Kept], now: Timestamp) -> Option<Alert> {
    let why = |one: &Kept| one.kept.clone().filter(|_| one.left.is_none());
    let kept: Vec<_> = peers.iter().filter_map(|it| Some((it, why(it)?))).collect();
    let (first, _) = kept.first()?;
    let (name, interface) = (short(&host.name), &first.interface);
    let title = match kept.len() {
        1 => format!("{name}: a revoked peer of {interface} stands"),
        many => format!("{name}: {many} revoked peers of WireGuard stand"),
    };
    let line = |(one, why): &(&Kept, String)| {
        format!(
            "{} of {}\nIt is not taken away: {why}",
            one.peer, one.interface
        )
    };
    let lines = kept.iter().take(LISTED).map(line);
    let (interface, peer) = match kept.len() {
        1 => (interface.as_str(), first.peer.as_str()),
        _ => ("INTERFACE", "KEY"),
    };
    Some(Alert {
        key: kept_key(host.id),
        severity: Severity::Critical,
        host: Some(host.name.clone()),
        title: cut(&title, TITLE),
        detail: lines.chain(more(kept.len())).collect::<Vec<_>>().join("\n"),
        advice: format!("On the host: `wg set {interface} peer {peer} remove`."),
        since: now,
    })
}

/// That there are more than are listed.
pub(super) fn more(all: usize) -> Option<String> {
    let more = all.checked_sub(LISTED).filter(|more| *more > 0)?;
    Some(format!("{more} more: `watchward keys peers`"))
}

/// A revoked peer was put back, and taken away again.
pub(super) fn back(
    (host, name): (HostId, &str),
    place: (&str, &str),
    times: i64,
    now: Timestamp,
) -> Alert {
    let (interface, peer) = place;
    Alert {
        key: back_key(host, place),
        severity: Severity::Warning,
        host: Some(name.to_owned()),
        title: cut(
            &format!(
                "{}: a revoked peer of {interface} was put back",
                short(name)
            ),
            TITLE,
        ),
        detail: format!(
            "{peer}\nIt was taken away {times} times. Between, it could be used for seconds."
        ),
        advice: format!(
            "Something names it still: /etc/wireguard/{interface}.conf, or whatever sets up {interface}."
        ),
        since: now,
    }
}

pub(super) fn short(host: &str) -> String {
    Foreign::from(host).shortened(30)
}
