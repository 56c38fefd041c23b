//! Whether a host is silent: what follows from when it was last heard.

use std::time::Duration;

use watchward_protocol::time::Timestamp;

use crate::alerting::{Alert, Severity};
use crate::intake::Host;

/// What was known of a host's last sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) host: Host,
    pub(super) last: Timestamp,
}

/// Under which key a host's silence is an incident.
pub(super) fn key(host: &Host) -> String {
    format!("hosts.silent {}", host.id)
}

/// The alert for a host whose deadline has passed.
pub(super) fn silent(seen: &Seen, now: Timestamp) -> Alert {
    let name = &seen.host.name;
    let span = spoken(now.since(seen.last));
    Alert {
        key: key(&seen.host),
        severity: Severity::Critical,
        host: Some(name.clone()),
        title: format!("{name} is silent"),
        detail: format!(
            "Nothing was heard from {name} for {span}.\nThe host, its network or its agent is down; \
             what happens there meanwhile is reported when it is back."
        ),
        advice: "Check that it is up and its watchward-agent runs.".to_owned(),
        since: seen.last,
    }
}

/// Why the incident is over, if the host was silent and is heard again.
pub(super) fn back((was_silent, last): (bool, Timestamp), now: Timestamp) -> Option<String> {
    was_silent.then(|| format!("heard again after {}", spoken(now.since(last))))
}

/// A span as people say it, in its largest unit.
fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
