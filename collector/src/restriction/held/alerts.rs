//! What is told of what hosts hold and of what listens on them. Pure.

use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Drift, Listener};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::{Door, door};
use super::stand::{self, Stand};
use crate::alerting::{Alert, Severity, cut};
use crate::intake::Host;
use crate::restriction::gates::Ordered;
use crate::restriction::rows::held::Held;

/// How long a title is at most, in characters.
const TITLE: usize = 100;

/// The first word of the keys of hosts that do not hold their gates.
pub(super) const UNHELD: &str = "restriction.unheld";

/// The key of the incident that a third hand changed what a host holds.
pub(super) fn drift_key(host: HostId) -> String {
    format!("restriction.drift {host}")
}

/// The key of the incident that a host does not hold its gates.
pub(super) fn unheld_key(host: HostId) -> String {
    format!("{UNHELD} {host}")
}

/// The key of the incident that a host can do nothing new.
pub(super) fn trouble_key(host: HostId) -> String {
    format!("restriction.trouble {host}")
}

/// The key of the incident that something newly listens.
pub(super) fn listening_key(host: HostId, (transport, port): Door) -> String {
    format!("restriction.listening {host} {} {port}", transport.name())
}

/// A third hand changed what a host holds.
pub(super) fn drift(host: &Host, drift: &Drift, at: Timestamp) -> Alert {
    let (severity, then) = match drift.put_back {
        true => (Severity::Warning, "put back"),
        false => (Severity::Critical, "not put back"),
    };
    let (name, what) = (shown(host), Foreign::from(drift.what.as_str()));
    Alert {
        key: drift_key(host.id),
        severity,
        host: Some(host.name.clone()),
        title: cut(
            &format!("{name}: its restrictions were changed, {then}"),
            TITLE,
        ),
        detail: format!("{what}\nIt was {then}.\nWhen: {at}"),
        advice: "Find out who or what did it; a person with root's rights, or another firewall."
            .to_owned(),
        since: at,
    }
}

/// A host does not hold the gates that are to be shut, and stands so since then.
pub(super) fn unheld(
    (host, ordered): (&Host, &Ordered),
    (stand, held): (Stand, Option<&Held>),
    since: Timestamp,
) -> Alert {
    let (name, open) = (shown(host), stand::open(ordered, held));
    let severity = match open.is_empty() || stand == Stand::Away {
        true => Severity::Warning,
        false => Severity::Critical,
    };
    let (short, advice) = unheld_words(stand);
    let title = match open.is_empty() {
        true => format!("{name}: only older gates hold: {short}"),
        false => format!("{} of {name} not shut: {short}", listed(&open)),
    };
    // Generations are made of the moment in which their policy came into force.
    let policy = i64::try_from(ordered.generation).unwrap_or(i64::MAX);
    let policy = Timestamp::from_micros(policy);
    let mut detail = format!(
        "By the policy of {policy} these are to be shut to others on {name}: {}. But {short}.",
        ordered.shut.join(", ")
    );
    if stand == Stand::NoEnforcer {
        detail.push_str(
            "\nIf an enforcer ran there and was stopped, what it left in the kernel still holds, and \
             nobody looks after it.",
        );
    }
    if let Some(why) = held
        .map(|held| held.why.as_str())
        .filter(|why| !why.is_empty())
    {
        detail.push_str(&format!("\nThe host says: {}", Foreign::from(why)));
    }
    Alert {
        key: unheld_key(host.id),
        severity,
        host: Some(host.name.clone()),
        title: cut(&title, TITLE),
        detail,
        advice: advice.to_owned(),
        since,
    }
}

/// What is wrong with a host that does not hold its gates, and what to do.
const fn unheld_words(stand: Stand) -> (&'static str, &'static str) {
    match stand {
        Stand::NoEnforcer => (
            "no enforcer runs there",
            "Install watchward-enforcer there, or start it: `systemctl status watchward-enforcer`.",
        ),
        Stand::Mute => (
            "its agent says nothing of gates",
            "Update its agent, and install watchward-enforcer beside it.",
        ),
        Stand::Away => (
            "the host is silent",
            "Bring it back: it hears of its gates when it connects.",
        ),
        Stand::Undone => (
            "it took its gates back, because nobody confirmed them",
            "See whether the collector can be reached from there; then apply the policy again.",
        ),
        Stand::Refused => (
            "it refused its gates",
            "Read why on the host's page; then change the policy, or the host's guard file.",
        ),
        Stand::Held | Stand::Trial | Stand::Waiting => (
            "it has not said that it took its gates",
            "See what its agent says: `journalctl -u watchward-agent`.",
        ),
    }
}

/// The first of some services.
fn listed(services: &[&str]) -> String {
    match services {
        [one, two, _, ..] => format!("{one}, {two} and {} more", services.len() - 2),
        _ => services.join(", "),
    }
}

/// A host does nothing new, as its guard file or its kernel cannot be used.
pub(super) fn trouble(host: &Host, trouble: &str, at: Timestamp) -> Alert {
    let (name, why) = (shown(host), Foreign::from(trouble));
    Alert {
        key: trouble_key(host.id),
        severity: Severity::Warning,
        host: Some(host.name.clone()),
        title: cut(&format!("{name} shuts nobody new out"), TITLE),
        detail: format!(
            "{why}\nWhat the host holds stays; no ban and no gate comes to it before that is mended."
        ),
        advice: "Mend it on the host; `watchward-enforcer check` says there whether it is right. \
            It counts again within seconds."
            .to_owned(),
        since: at,
    }
}

/// Something newly listens for everybody.
pub(super) fn listening(host: &Host, listener: &Listener, now: Timestamp) -> Alert {
    let name = shown(host);
    let program = listener.program.as_deref();
    let program = program.map_or_else(
        || "something".to_owned(),
        |program| Foreign::from(program).shortened(30),
    );
    let (transport, port) = (listener.transport.name().to_uppercase(), listener.port);
    let place = match listener.address.is_unspecified() {
        true => "every address".to_owned(),
        false => listener.address.to_string(),
    };
    Alert {
        key: listening_key(host.id, door(listener)),
        severity: Severity::Warning,
        host: Some(host.name.clone()),
        title: cut(
            &format!("{name}: {program} listens on {transport} port {port} now"),
            TITLE,
        ),
        detail: format!(
            "{program} listens on {transport} port {port} of {place}. In the last 7 days nothing \
             did there that could be reached from everywhere."
        ),
        advice:
            "Ask who started it; close it, have it listen on 127.0.0.1, or put a gate before it."
                .to_owned(),
        since: now,
    }
}

fn shown(host: &Host) -> String {
    Foreign::from(host.name.as_str()).shortened(30)
}
