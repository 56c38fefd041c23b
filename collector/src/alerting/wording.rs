//! The words of messages: safe to show wherever they arrive, and short enough for a phone.

use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::Alert;
use super::message::{Digest, Kind, Message};

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

/// One line without characters that deceive. What was escaped before stays as it is.
pub(super) fn safe(text: &str) -> String {
    let parts: Vec<_> = text
        .split('\\')
        .map(|part| Foreign::from(part).to_string())
        .collect();
    parts.join("\\")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most.saturating_sub(2)).collect();
    format!("{}..", head.trim_end())
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

/// How long an SMS may be that arrives in one piece (3GPP TS 23.038: 160 septets).
pub(super) const SMS: usize = 160;

/// The whole of an SMS. A link takes the place of the code where it costs nothing: it ends with it.
pub(super) fn sms(message: &Message, now: Timestamp) -> String {
    let text = match &message.digest {
        Some(digest) => summary_sms(message, digest, now),
        None => incident_sms(message, now),
    };
    let (Some(link), Some(head)) = (
        &message.link,
        text.strip_suffix(message.incident.code.as_str()),
    ) else {
        return text;
    };
    // Others, as the brackets of an IPv6 address, take the room of two.
    let short = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
    let fits = head.len() + link.len() <= SMS && link.bytes().all(short);
    if fits { format!("{head}{link}") } else { text }
}

fn incident_sms(message: &Message, now: Timestamp) -> String {
    let incident = &message.incident;
    let head = format!("{} ", message.label());
    let (middle, advice) = match (message.kind, &incident.resolved) {
        (Kind::Resolved, Some((at, why))) => (
            format!(
                ", {} to {} UTC. ",
                moment(incident.since, now),
                moment(*at, now)
            ),
            sentence(why),
        ),
        _ => (
            format!(
                " since {} UTC{}. ",
                moment(incident.since, now),
                silenced(message, now)
            ),
            sentence(&incident.advice),
        ),
    };
    let tail = format!(" {}", incident.code);
    let (what, advice) = (gsm(&headline(message)), gsm(&advice));
    let room = SMS.saturating_sub(head.len() + middle.len() + tail.len());
    let for_advice = advice
        .len()
        .min(room.saturating_sub(what.len()).max(room / 3));
    let what = cut(&what, room - for_advice);
    let text = format!("{head}{what}{middle}{}{tail}", cut(&advice, for_advice));
    text.replace("  ", " ")
}

/// Why somebody is told only now.
fn silenced(message: &Message, now: Timestamp) -> String {
    let Some((until, by)) = &message.incident.silenced else {
        return String::new();
    };
    format!(
        ", silenced until {} by {}",
        moment(*until, now),
        cut(&gsm(by), 20)
    )
}

fn summary_sms(message: &Message, digest: &Digest, now: Timestamp) -> String {
    let severity = message.severity.name().to_uppercase();
    let head = format!("SUMMARY {severity} {}", tally(digest));
    let since = format!(" since {} UTC. Worst: ", moment(digest.since, now));
    let tail = format!(" {}", message.incident.code);
    let room = SMS.saturating_sub(head.len() + since.len() + tail.len());
    format!("{head}{since}{}{tail}", cut(&gsm(&headline(message)), room))
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

/// The kinds that a summary tells of: `200 health.down, 40 access.brute-force`.
pub(super) fn kinds(digest: &Digest) -> String {
    let kinds = digest.kinds.iter().take(20);
    let kinds: Vec<_> = kinds
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    kinds.join(", ")
}

fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() {
        return String::new();
    }
    format!("{text}.")
}

/// `03:04`, with the day before it if it is not today's.
fn moment(at: Timestamp, now: Timestamp) -> String {
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

/// Text in characters that take one septet each in the GSM 7-bit alphabet and are ASCII as well.
/// What is not there is replaced by what looks or reads like it, else by a question mark.
fn gsm(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '[' | '{' => out.push('('),
            ']' | '}' => out.push(')'),
            '\\' | '|' => out.push('/'),
            '~' | '^' => out.push('-'),
            '`' | '‘' | '’' => out.push('\''),
            '“' | '”' => out.push('"'),
            '–' | '—' | '…' => out.push('-'),
            ' '..='~' => out.push(character),
            'ä' | 'á' | 'à' | 'â' | 'ã' | 'å' | 'ą' => out.push('a'),
            'ç' | 'ć' | 'č' => out.push('c'),
            'é' | 'è' | 'ê' | 'ë' | 'ę' | 'ě' => out.push('e'),
            'í' | 'ì' | 'î' | 'ï' => out.push('i'),
            'ñ' | 'ń' => out.push('n'),
            'ö' | 'ó' | 'ò' | 'ô' | 'õ' | 'ø' => out.push('o'),
            'ü' | 'ú' | 'ù' | 'û' | 'ů' => out.push('u'),
            'ß' => out.push_str("ss"),
            'š' | 'ś' => out.push('s'),
            'ž' | 'ź' | 'ż' => out.push('z'),
            'Ä' | 'Á' | 'À' | 'Å' => out.push('A'),
            'É' | 'È' => out.push('E'),
            'Ö' | 'Ó' | 'Ø' => out.push('O'),
            'Ü' | 'Ú' => out.push('U'),
            _ if character.is_whitespace() || character.is_control() => out.push(' '),
            _ => out.push('?'),
        }
    }
    // Phones make links of these, and a stranger may have chosen where one leads.
    out.replace("://", ":")
}
