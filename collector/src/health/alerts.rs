//! What the room's alerts say. Pure.

use std::time::Duration;

use watchward_protocol::health::HealthReport;
use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::{Check, Trouble};
use super::rows::check::name;
use super::rows::late;
use crate::alerting::{Alert, Severity};
use crate::intake::Heard;

/// The key of the incident for this trouble of a check.
pub(super) fn key(trouble: Trouble, host: &HostId, check: &str) -> String {
    let trouble = match trouble {
        Trouble::Down => "down",
        Trouble::Flapping => "flapping",
        Trouble::Unrunnable => "unknown",
        Trouble::Mute => "mute",
    };
    format!("health.{trouble} {host} {}", shown(&name(check), 200))
}

/// Something is wrong with a check.
pub(super) fn alert(heard: &Heard<HealthReport>, trouble: Trouble, check: &Check) -> Alert {
    let report = &heard.report;
    let host = shown(&heard.host.name, 30);
    let what = shown(&report.check, 40);
    let found = shown(&report.detail, 500);
    let (severity, title, advice) = match trouble {
        Trouble::Down => (
            Severity::Critical,
            format!("{host}: {}", down(&what, &report.detail)),
            "Bring it back, or take the check out of the agent's configuration.",
        ),
        Trouble::Flapping => (
            Severity::Warning,
            format!("{host}: {what} goes up and down"),
            "See what it has in common each time; while it goes on, single failures are not told.",
        ),
        Trouble::Unrunnable => (
            Severity::Warning,
            format!("{host}: {what} cannot be checked"),
            "See that the agent can run this check.",
        ),
        Trouble::Mute => (Severity::Warning, no_more(&host, &what), LOOK),
    };
    let times = match trouble {
        Trouble::Down => format!("\nFailed {} times in a row.", check.failures),
        Trouble::Flapping | Trouble::Unrunnable | Trouble::Mute => String::new(),
    };
    Alert {
        key: key(trouble, &heard.host.id, &report.check),
        severity,
        host: Some(heard.host.name.clone()),
        title,
        detail: format!("{what} on {host}: {found}\nFound at {}.{times}", report.at),
        advice: advice.to_owned(),
        since: check.since,
    }
}

/// Nothing is heard of a check, while its host is heard.
pub(super) fn mute(check: &late::Check) -> Alert {
    let (host, what) = (shown(&check.host_name, 30), shown(&check.name, 40));
    Alert {
        key: key(Trouble::Mute, &check.host, &check.name),
        severity: Severity::Warning,
        host: Some(check.host_name.clone()),
        title: no_more(&host, &what),
        detail: format!(
            "{host} is heard, but not of {what}: its last result came at {}.",
            check.heard_at
        ),
        advice: LOOK.to_owned(),
        since: check.heard_at,
    }
}

fn no_more(host: &str, what: &str) -> String {
    format!("{host}: {what} is not reported any more")
}

const LOOK: &str = "Look at the agent's log on the host.";

fn down(what: &str, detail: &str) -> String {
    if detail.is_empty() {
        format!("{what} is down")
    } else {
        shown(detail, 66)
    }
}

/// Why it is over, and how long it was so.
pub(super) fn over(heard: &Heard<HealthReport>, check: &Check, since: Timestamp) -> String {
    let report = &heard.report;
    format!(
        "{} on {}: {}, after {}. {}",
        shown(&report.check, 40),
        shown(&heard.host.name, 30),
        match check.state {
            super::State::Up => "up again",
            super::State::Down => "down now",
            super::State::Flapping => "goes up and down now",
            super::State::Unknown => "unknown now",
        },
        lasted(check.since.since(since)),
        shown(&report.detail, 200),
    )
}

/// A span for people, in its two largest units.
fn lasted(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let from = units.iter().skip_while(|(count, _)| *count == 0);
    let text: Vec<_> = from
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() {
        "less than a second".to_owned()
    } else {
        text.join(" ")
    }
}

/// Text that an agent gave, safe to show and not too long.
fn shown(text: &str, longest: usize) -> String {
    Foreign::from(text).shortened(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_long_it_was() {
        for (seconds, text) in [
            (0, "less than a second"),
            (59, "59s"),
            (725, "12m 5s"),
            (3_600, "1h"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(lasted(Duration::from_secs(seconds)), text);
        }
    }
}
