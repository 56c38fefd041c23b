//! What is told of whom sshd lets in. Pure.

use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::Gates;
use watchward_protocol::span::Span;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::{self, Change};
use crate::alerting::{Alert, Severity, cut};
use crate::restriction::rows::sshd::Kept;

/// How long a title is at most, in characters; and a value in it.
const TITLE: usize = 100;
const VALUE: usize = 30;
/// How many changes are told, and how much of each value.
const MOST: usize = 20;
const WHOLE: usize = 200;

const CHANGED: &str = "restriction.sshd";

/// The key of the incident that sshd's settings have changed.
pub(super) fn changed_key(host: HostId) -> String {
    format!("{CHANGED} {host}")
}

/// The host that such a key is of.
pub(super) fn changed_of(key: &str) -> Option<HostId> {
    let (kind, host) = key.split_once(' ')?;
    host.parse().ok().filter(|_| kind == CHANGED)
}

/// The key of the incident that sshd listens where no rule is about.
pub(super) fn port_key(host: HostId, port: u16) -> String {
    format!("restriction.sshd-port {host} {port}")
}

/// sshd's settings are others than those that were accepted: at least one is.
pub(super) fn changed(kept: &Kept, changes: &[Change], settle: Span) -> Alert {
    let name = shown(&kept.host_name);
    let worst = changes.iter().find(|one| one.widens);
    let first = worst
        .or(changes.first())
        .map_or_else(String::new, |one| words(one, VALUE));
    let more = match changes.len() {
        0 | 1 => String::new(),
        many => format!(", and {} more", many - 1),
    };
    let mut detail = format!("sshd's configuration on {name} is not what was accepted:\n");
    for change in changes.iter().take(MOST) {
        detail.push_str(&words(change, WHOLE));
        detail.push('\n');
    }
    if changes.len() > MOST {
        detail.push_str(&format!("... and {} more\n", changes.len() - MOST));
    }
    detail.push_str(&format!(
        "New connections go by it once sshd is reloaded.\nWhen: {}",
        kept.at
    ));
    Alert {
        key: changed_key(kept.host),
        severity: match worst {
            Some(_) => Severity::Critical,
            None => Severity::Warning,
        },
        host: Some(kept.host_name.clone()),
        title: cut(&format!("{name}: sshd's {first}{more}"), TITLE),
        detail,
        advice: format!(
            "Find out who did it. What is left so counts as accepted after {settle}; put back, it is over \
             at once."
        ),
        since: kept.at,
    }
}

fn words(change: &Change, longest: usize) -> String {
    let value = |value: &String| match value.is_empty() {
        true => "nothing".to_owned(),
        false => cut(value, longest),
    };
    let block = change.block.as_ref();
    let whom = block.map_or_else(String::new, |block| {
        format!(" for Match {}", cut(block, longest))
    });
    let name = format!("{}{whom}", change.name);
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            format!("{name} changed from {} to {}", value(before), value(after))
        }
        (None, Some(after)) => format!("{name} is {} now", value(after)),
        (Some(before), None) => format!("{name} was {}, and is gone", value(before)),
        (None, None) => name,
    }
}

/// sshd listens at a port that no rule is about.
pub(super) fn port(
    kept: &Kept,
    (port, shut): (u16, bool),
    (gates, now): (&Gates, Timestamp),
) -> Alert {
    let name = shown(&kept.host_name);
    let gate = judge::gate(gates);
    let others = judge::doors(&kept.lines);
    let others = others
        .iter()
        .any(|door| gate.is_some_and(|gate| judge::is_before(gate, *door)));
    let also = if others { "also " } else { "" };
    let ports = gate.into_iter().flat_map(|gate| &gate.ports);
    let ports: Vec<_> = ports.map(crate::restriction::services::written).collect();
    Alert {
        key: port_key(kept.host, port),
        severity: match shut {
            true => Severity::Critical,
            false => Severity::Warning,
        },
        host: Some(kept.host_name.clone()),
        title: cut(
            &format!("{name}: sshd {also}listens on port {port}, which no rule is about"),
            TITLE,
        ),
        detail: format!(
            "The gate of ssh on {name} is before {}. By its configuration sshd {also}listens on TCP port \
             {port}, where anybody comes to the same sshd.",
            ports.join(", ")
        ),
        advice: format!(
            "Close that port, or name it in the policy: \"tcp/{port}\" in the list \"ssh\" of \
             [restriction.services]."
        ),
        since: now,
    }
}

fn shown(host: &str) -> String {
    Foreign::from(host).shortened(30)
}
