//! What is told of gates that are not as they should be, with who saw it from where. Pure.

use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::Said;
use super::plan::{Site, tried};
use crate::alerting::{Alert, Severity, cut};
use crate::restriction::Policy;
use crate::restriction::policy::Place;
use crate::restriction::rows::vantage::Seen;

/// How long a title is at most, in characters.
const TITLE: usize = 100;

/// What to tell of this, if there is something.
pub(super) fn of(
    policy: &Policy,
    (target, seen, said): (&Site, &Seen, Said),
    now: Timestamp,
) -> Option<Alert> {
    let (kind, severity) = match said {
        Said::Leaks => ("restriction.leak", Severity::Critical),
        Said::Blocks => ("restriction.blocked", Severity::Warning),
        Said::Right | Said::Nothing => return None,
    };
    let probe = seen.probed.probe;
    let (from, gate) = (seen.probed.from?, tried(target, &probe)?);
    let name = |name: &str| Foreign::from(name).shortened(30);
    let (host, vantage, service) = (name(&target.name), name(&seen.host_name), name(&gate.name));
    let (address, port) = (probe.address, probe.port);
    let permitted = match policy.table.place((&target.name, &gate.name), from, now) {
        Place::Outside(names) => listed(names.iter().map(|name| name.as_str())),
        Place::Inside | Place::Open => listed(gate.from.iter().map(ToString::to_string)),
    };
    let (title, what, advice) = match said {
        Said::Leaks => (
            format!("{host}: {service} is open to {vantage} ({from}), and should be shut"),
            "reached, and should not have,",
            "See which rule let it in: the host's page, and `nft list ruleset` there. If it should \
             pass, permit its network.",
        ),
        Said::Blocks | Said::Right | Said::Nothing => (
            format!("{host}: {service} is shut to {vantage} ({from}), which may pass"),
            "did not reach, and should have,",
            "See what else turns it away: another firewall, a route, a host that is down.",
        ),
    };
    let mut detail = format!(
        "{vantage} {what} port {port} of {address} ({host}) from {from} at {}.\n\
         Permitted there: {permitted}.",
        seen.at
    );
    if let Some(banner) = &seen.probed.banner {
        detail.push_str("\nIt was greeted with: ");
        detail.push_str(&banner.shortened(100));
    }
    Some(Alert {
        key: format!("{kind} {} {} {port} {}", target.id, gate.name, seen.host),
        severity,
        host: Some(target.name.clone()),
        title: cut(&title, TITLE),
        detail,
        advice: advice.to_owned(),
        since: seen.at,
    })
}

fn listed<T: AsRef<str>>(names: impl Iterator<Item = T>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<T> = names.collect();
    let mut few: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    if names.len() > SHOWN {
        few.push("and others");
    }
    few.join(", ")
}
