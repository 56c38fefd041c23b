//! What the room's alerts say. Pure.

use std::time::Duration;

use watchward_protocol::health::HealthReport;
use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::advice::advice;
use super::judge::{Check, Trouble};
use super::rows::check::name;
use super::rows::late;
use crate::alerting::{Alert, Severity, cut};
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
            down(&host, &what, &report.detail),
            advice(&report.check),
        ),
        Trouble::Flapping => (
            Severity::Warning,
            format!("{host}: {what} goes up and down"),
            "See what it has in common each time; single failures are not told.",
        ),
        Trouble::Unrunnable => (
            Severity::Warning,
            cannot(&host, &what, &report.detail),
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
        detail: format!(
            "{what} on {host}: {found}\nFound at {}.{times}\n\
             The check is set in policy.toml or in the agent's own agent.toml.",
            report.at
        ),
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
            "{host} is heard, but not of {what}: its last result is of {}.",
            check.last_at
        ),
        advice: LOOK.to_owned(),
        since: check.last_at,
    }
}

fn no_more(host: &str, what: &str) -> String {
    format!("{host}: {what} is not reported any more")
}

const LOOK: &str = "Look at the agent's log on the host.";

/// How long a title is at most, in characters.
const TITLE: usize = 100;

/// `web-1: tcp.db: connection refused by 10.0.0.5:5432`.
fn down(host: &str, what: &str, detail: &str) -> String {
    match detail {
        "" => format!("{host}: {what} is down"),
        _ => reasoned(host, what, detail),
    }
}

/// The same of a check that cannot be run.
fn cannot(host: &str, what: &str, detail: &str) -> String {
    let head = format!("{what} cannot be checked");
    match detail {
        "" => format!("{host}: {head}"),
        _ => reasoned(host, &head, detail),
    }
}

/// A title with as much of what was found as there is room for, up to the end of a word. What comes
/// after a semicolon is for the email.
fn reasoned(host: &str, what: &str, detail: &str) -> String {
    let detail = shown(detail, 500);
    let reason = detail.split("; ").next().unwrap_or_default();
    // A plugin's own word for it would stand beside ours.
    let plugin = ["CRITICAL: ", "WARNING: "];
    let reason = plugin
        .iter()
        .find_map(|word| reason.strip_prefix(word))
        .unwrap_or(reason);
    let head = match reason.starts_with(what) {
        true => format!("{host}: "),
        false => format!("{host}: {what}: "),
    };
    let room = TITLE.saturating_sub(head.chars().count());
    format!("{head}{}", cut(reason, room))
}

/// Why it is over, and how long it was so.
pub(super) fn over(heard: &Heard<HealthReport>, check: &Check, since: Timestamp) -> String {
    let report = &heard.report;
    let now = match check.state {
        super::State::Up => "up again",
        super::State::Down => "down now",
        super::State::Flapping => "goes up and down now",
        super::State::Unknown => "unknown now",
    };
    let lasted = lasted(check.since.since(since));
    match report.detail.as_str() {
        "" => format!("{now} after {lasted}"),
        detail => format!("{now} after {lasted}: {}", shown(detail, 200)),
    }
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
