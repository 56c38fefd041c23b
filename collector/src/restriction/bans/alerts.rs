//! What is told of bans that may be wrong. Pure.

use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;

use crate::alerting::{Alert, Severity, cut};
use crate::restriction::rows::ban::Row;

/// A host shut out somebody of ours.
pub(super) fn inside(ban: &Row, (id, host): (HostId, &str), whose: &str) -> Alert {
    let (net, until) = (ban.net, ban.until);
    let shown = Foreign::from(host).shortened(30);
    let detail = format!(
        "{shown} shut out {net} until {until}, after {}.\n\
         Not spread: it is {whose}, so it holds on {shown} alone.",
        ban.reason
    );
    Alert {
        key: format!("restriction.ban-inside {id} {net}"),
        severity: Severity::Warning,
        host: Some(host.to_owned()),
        title: cut(&format!("{shown} shut out {net}, which is {whose}"), 100),
        detail,
        advice: format!(
            "Find out what tries to get in from there. To let it in again: watchward ban lift {net} --reason WHY"
        ),
        since: ban.decided_at,
    }
}
