//! What changed of whom sshd lets in, whether that is more, and what it says beside the policy. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use watchward_protocol::restriction::{Gate, Gates, Mode, Setting, Sshd, Transport};

use crate::restriction::rows::sshd::Line;

/// The service that rules name.
const SSH: &str = "ssh";

/// What `sshd -T` says only where it is set; of others it always says something, so that one which
/// was not said is of another version of OpenSSH or of Watchward.
const SELDOM: [&str; 5] = [
    "AllowUsers",
    "DenyUsers",
    "AllowGroups",
    "DenyGroups",
    BEYOND,
];

/// What is said of lines that are too many to be told.
const BEYOND: &str = "lines that are not told";

/// Something that is set to something else than what was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) block: Option<String>,
    pub(super) name: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// Whether somebody may come in by it who could not.
    pub(super) widens: bool,
}

/// What a host told, as it is kept.
pub(super) fn lines(sshd: &Sshd) -> Vec<Line> {
    let line = |one: &Setting| Line {
        block: one.block.as_ref().map(ToString::to_string),
        name: one.name.clone(),
        value: one.value.to_string(),
    };
    let beyond = (sshd.omitted > 0).then(|| Line {
        block: None,
        name: BEYOND.to_owned(),
        value: sshd.omitted.to_string(),
    });
    sshd.settings.iter().map(line).chain(beyond).collect()
}

/// What is not as it was accepted.
pub(super) fn changes(accepted: &[Line], lines: &[Line]) -> Vec<Change> {
    let (before, after) = (sums(accepted), sums(lines));
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |(block, name): &Subject<'_>| {
        let subject = &(*block, *name);
        let (before, after) = (before.get(subject), after.get(subject));
        let is_other_version =
            block.is_none() && !SELDOM.contains(name) && (before.is_none() || after.is_none());
        (before != after && !is_other_version).then(|| Change {
            block: block.map(ToOwned::to_owned),
            name: (*name).to_owned(),
            before: before.map(|it| it.join(" ")),
            after: after.map(|it| it.join(" ")),
            widens: widens(name, before.map(Vec::as_slice), after.map(Vec::as_slice)),
        })
    };
    all.into_iter().filter_map(change).collect()
}

/// What the enforcer has sshd told, as its own orders say: the file of revocations, and the files of lines
/// that open accounts.
const REVOKED: &str = "/etc/ssh/watchward/now/revoked_keys";
const MANAGED: &str = "/etc/ssh/watchward/now/keys/%u";

/// Whether it is no more than what was ordered: of that nobody has to be told. That sshd does not look at
/// what is revoked any more, nobody orders.
fn is_ordered(name: &str, before: Option<&[&str]>, after: Option<&[&str]>) -> bool {
    let others = |values: Option<&[&str]>| -> Vec<String> {
        let words = values.unwrap_or_default().iter();
        let words = words.flat_map(|it| it.split_whitespace());
        let others = words.filter(|it| *it != MANAGED && *it != "none");
        others.map(str::to_owned).collect()
    };
    match name {
        "RevokedKeys" => others(before).is_empty() && after == Some(&[REVOKED][..]),
        "AuthorizedKeysFile" => others(before) == others(after),
        _ => false,
    }
}

/// Takes what was ordered for accepted, whatever else has changed: who undoes it changes something then.
pub(super) fn accept_ordered(accepted: &mut Vec<Line>, lines: &[Line]) {
    let (before, after) = (sums(accepted), sums(lines));
    let is_new = |name: &&str| {
        let [before, after] = [&before, &after].map(|it| it.get(&(None, *name)));
        let is_said = after.is_some() && before != after;
        is_said && is_ordered(name, before.map(Vec::as_slice), after.map(Vec::as_slice))
    };
    let names = ["RevokedKeys", "AuthorizedKeysFile"];
    let names: Vec<&str> = names.into_iter().filter(is_new).collect();
    let is_it = |line: &Line| line.block.is_none() && names.contains(&&*line.name);
    accepted.retain(|line| !is_it(line));
    accepted.extend(lines.iter().filter(|line| is_it(line)).cloned());
}

type Subject<'a> = (Option<&'a str>, &'a str);

/// What each is set to, by all lines together.
fn sums(lines: &[Line]) -> BTreeMap<Subject<'_>, Vec<&str>> {
    let mut sums: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let subject = (line.block.as_deref(), line.name.as_str());
        sums.entry(subject).or_default().push(&line.value);
    }
    sums
}

/// Whether somebody may come in who could not. What cannot be told may.
fn widens(name: &str, before: Option<&[&str]>, after: Option<&[&str]>) -> bool {
    let first =
        |values: Option<&[&str]>| values.and_then(|it| it.first().copied().map(str::to_owned));
    let (was, is) = (first(before), first(after));
    let words = |values: Option<&[&str]>| -> BTreeSet<String> {
        let all = values.unwrap_or_default().iter();
        all.flat_map(|it| it.split_whitespace().map(str::to_owned))
            .collect()
    };
    match name {
        "Port"
        | "ListenAddress"
        | "LogLevel"
        | "SyslogFacility"
        | "UseDNS"
        | "LoginGraceTime"
        | "MaxAuthTries"
        | "PermitTunnel"
        | "GatewayPorts"
        | "AllowTcpForwarding"
        | "AllowStreamLocalForwarding" => false,
        "StrictModes" | "IgnoreRhosts" | "RefuseConnection" | "DisableForwarding" | "UsePAM" => {
            is.as_deref() != Some("yes")
        }
        "PermitRootLogin" => rank(is.as_deref()) > rank(was.as_deref()),
        "AllowUsers" | "AllowGroups" => {
            after.is_none() || before.is_some() && !words(after).is_subset(&words(before))
        }
        "DenyUsers" | "DenyGroups" => !words(before).is_subset(&words(after)),
        _ => is.as_deref() != Some("no"),
    }
}

/// How far root may come.
fn rank(value: Option<&str>) -> u8 {
    match value {
        Some("no") => 0,
        Some("forced-commands-only") => 1,
        Some("without-password" | "prohibit-password") | None => 2,
        Some(_) => 3,
    }
}

/// The ports at which sshd listens for others, and that no gate is before although one is before SSH:
/// each with whether that one is shut.
pub(super) fn uncovered(gates: &Gates, lines: &[Line]) -> Vec<(u16, bool)> {
    let Some(ssh) = gates.gates.iter().find(|gate| gate.name == SSH) else {
        return Vec::new();
    };
    let covered = |port: u16| gates.gates.iter().any(|gate| is_before(gate, port));
    let open = doors(lines).into_iter().filter(|port| !covered(*port));
    open.map(|port| (port, ssh.mode == Mode::Enforce)).collect()
}

/// The gate before SSH.
pub(super) fn gate(gates: &Gates) -> Option<&Gate> {
    gates.gates.iter().find(|gate| gate.name == SSH)
}

pub(super) fn is_before(gate: &Gate, port: u16) -> bool {
    let mut ports = gate.ports.iter();
    ports.any(|one| one.transport == Transport::Tcp && (one.first..=one.last).contains(&port))
}

/// The ports at which sshd listens, but for what only the host itself reaches.
pub(in crate::restriction) fn doors(lines: &[Line]) -> BTreeSet<u16> {
    let general = lines.iter().filter(|line| line.block.is_none());
    let places = general.clone().filter(|line| line.name == "ListenAddress");
    let port = |place: &Line| {
        let (_, port) = place.value.rsplit_once(':')?;
        // Behind it a routing domain may stand.
        let port = port.split_whitespace().next()?.parse().ok()?;
        let address = place.value.parse::<SocketAddr>();
        let inside = address.is_ok_and(|it| it.ip().to_canonical().is_loopback());
        (!inside).then_some(port)
    };
    let has_places = places.clone().next().is_some();
    if has_places {
        return places.filter_map(port).collect();
    }
    let ports = general.filter(|line| line.name == "Port");
    ports.filter_map(|line| line.value.parse().ok()).collect()
}

/// What the lists of users say beside a gate, each in a sentence.
pub(super) fn beside(gate: &Gate, lines: &[Line]) -> Vec<String> {
    let general = lines.iter().filter(|line| line.block.is_none());
    let lists = general.filter(|line| line.name == "AllowUsers");
    let patterns = lists.flat_map(|line| line.value.split_whitespace());
    let patterns: Vec<_> = patterns
        .map(|it| (it, it.rsplit_once('@').map(|it| it.1)))
        .collect();
    let mut said = Vec::new();
    let (mut nets, mut everywhere) = (Vec::new(), patterns.is_empty());
    for (pattern, host) in patterns {
        let Some(host) = host else {
            everywhere = true;
            continue;
        };
        let Some(net) = network(host) else {
            said.push(format!(
                "AllowUsers {pattern} cannot be compared with the policy."
            ));
            everywhere = true;
            continue;
        };
        if !gate.from.iter().any(|own| own.contains(&net)) {
            said.push(format!(
                "AllowUsers {pattern} lets in more than the policy permits."
            ));
        }
        nets.push(net);
    }
    if !everywhere {
        let nets = IpNet::aggregate(&nets);
        let lacking = gate
            .from
            .iter()
            .filter(|own| !nets.iter().any(|net| net.contains(*own)));
        for own in lacking {
            said.push(format!(
                "AllowUsers lets nobody in from all of {own}, which the policy permits."
            ));
        }
    }
    said
}

/// The addresses that a pattern means, where these are one network.
fn network(pattern: &str) -> Option<IpNet> {
    if let Ok(address) = pattern.parse::<IpAddr>() {
        return Some(address.into());
    }
    if let Ok(net) = pattern.parse::<IpNet>() {
        return (net.trunc() == net).then_some(net);
    }
    let parts: Vec<&str> = pattern.strip_suffix(".*")?.split('.').collect();
    let mut octets = [0; 4];
    if parts.len() > 3 {
        return None;
    }
    for (octet, part) in octets.iter_mut().zip(&parts) {
        *octet = part.parse().ok()?;
    }
    let length = u8::try_from(parts.len() * 8).ok()?;
    let net = Ipv4Net::new(Ipv4Addr::from(octets), length).ok()?;
    Some(net.into())
}
