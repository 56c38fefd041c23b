//! What is told of what hosts hold and of what listens on them. Pure.

use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Drift, Holding, Listener, Phase};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::{Door, door};
use crate::alerting::{Alert, Severity, cut};
use crate::intake::Host;

/// How long a title is at most, in characters.
const TITLE: usize = 100;

/// The key of the incident that a third hand changed what a host holds.
pub(super) fn drift_key(host: HostId) -> String {
    format!("restriction.drift {host}")
}

/// The key of the incident that a host does not hold its gates.
pub(super) fn unheld_key(host: HostId) -> String {
    format!("restriction.unheld {host}")
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

/// A host does not hold the gates that were ordered.
pub(super) fn unheld(host: &Host, holding: &Holding, at: Timestamp) -> Alert {
    // Generations are made of the moment in which their policy came into force.
    let since = i64::try_from(holding.generation).unwrap_or(i64::MAX);
    let (name, since) = (shown(host), Timestamp::from_micros(since));
    let then = match holding.phase {
        Phase::Undone => "took its gates back, because nobody confirmed them",
        Phase::Open | Phase::Trial | Phase::Held | Phase::Refused => "refused its gates",
    };
    let why = Foreign::from(holding.why.as_str());
    Alert {
        key: unheld_key(host.id),
        severity: Severity::Warning,
        host: Some(host.name.clone()),
        title: cut(&format!("{name} {then}"), TITLE),
        detail: format!("{name} {then}: the policy of {since} does not hold there.\n{why}"),
        advice: "Read why on the host's page; then change the policy, or the host's guard file."
            .to_owned(),
        since: at,
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
