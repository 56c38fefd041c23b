//! The words of messages: safe to show wherever they arrive.

pub(super) use watchward_protocol::text::escaped_once as safe;
use watchward_protocol::time::Timestamp;

use super::message::{Digest, Message};
use super::{Alert, kinds};

/// How long the parts of an alert are kept, in characters.
const TITLE: usize = 200;
const DETAIL: usize = 8000;

/// An alert as it is kept: nothing in it can deceive, break a line or be without end.
pub(super) fn storable(alert: &Alert) -> Alert {
    let lines = alert.detail.lines().map(safe).collect::<Vec<_>>();
    Alert {
        key: safe(&alert.key),
        severity: alert.severity,
        host: alert.host.as_deref().map(safe),
        title: cut(&safe(&alert.title), TITLE),
        detail: cut(&lines.join("\n"), DETAIL),
        advice: cut(&safe(&alert.advice), TITLE),
        since: alert.since,
    }
}

/// At most so many characters: what is too long ends at the end of a word, with two dots.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(2);
    let head: String = text.chars().take(room).collect();
    let next = text.chars().nth(room);
    let whole = match head.rfind(' ') {
        // A word that fills more than half of it is cut rather than left out.
        Some(end) if next != Some(' ') && end >= head.len() / 2 => head.get(..end),
        _ => None,
    };
    let head = whole.unwrap_or(&head);
    let head = head.trim_end_matches([' ', ',', ';', ':', '.', '(']);
    format!("{head}..").chars().take(most).collect()
}

/// A title with where it is: the host comes first unless the title names it.
pub(super) fn placed(title: &str, host: Option<&str>) -> String {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let mut words = title.split(|c: char| !in_name(c));
    match host {
        Some(host) if !words.any(|word| word.trim_end_matches('.') == host) => {
            format!("{host}: {title}")
        }
        _ => title.to_owned(),
    }
}

/// What and where, on one line.
pub(super) fn headline(message: &Message) -> String {
    let incident = &message.incident;
    placed(&incident.title, incident.host.as_deref())
}

/// How much a summary tells of, exactly: `240 more incidents, 12 of them over; 30 others over`.
pub(super) fn tally(digest: &Digest) -> String {
    let more = match digest.begun {
        0 => String::new(),
        1 => "1 more incident".to_owned(),
        count => format!("{count} more incidents"),
    };
    let over = match digest.over {
        0 => String::new(),
        count => format!(", {count} of them over"),
    };
    match (digest.begun, digest.ended) {
        (_, 0) => format!("{more}{over}"),
        (0, 1) => "1 incident over".to_owned(),
        (0, ended) => format!("{ended} incidents over"),
        (_, 1) => format!("{more}{over}; 1 other over"),
        (_, ended) => format!("{more}{over}; {ended} others over"),
    }
}

/// The kinds that a summary tells of: `2 logins after brute force, 13 services down`.
pub(super) fn kinds(digest: &Digest) -> String {
    let kinds = digest.kinds.iter();
    let kinds: Vec<_> = kinds
        .map(|(kind, count)| kinds::counted(kind, *count))
        .collect();
    kinds.join(", ")
}

/// Why a message is held back, and until when.
pub(super) fn held(why: &str, until: Timestamp) -> String {
    format!("{why}: it comes in a summary, by {}", full(until))
}

/// `03:04`, with the day before it if it is not today's.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_string(), now.to_string());
    let (day, time) = at.split_once('T').unwrap_or_default();
    let short: String = time.chars().take(5).collect();
    if now.starts_with(day) {
        return short;
    }
    let month_and_day: String = day.chars().skip(5).collect();
    format!("{month_and_day} {short}")
}

/// A moment for an email: `2026-11-21 03:04:05 UTC`.
pub(super) fn full(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', " UTC")
}
