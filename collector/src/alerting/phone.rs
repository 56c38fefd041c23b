//! The words of an SMS: what, where, since when, what to do and the code, in one piece of plain text.

use watchward_protocol::time::Timestamp;

use super::Severity;
use super::kinds;
use super::message::{Digest, Kind, Message};
use super::wording::{cut, headline, moment};

/// How long an SMS may be that arrives in one piece (3GPP TS 23.038: 160 septets).
const SMS: usize = 160;

/// The whole of an SMS. A link takes the place of the code where it costs nothing: it ends with it.
pub(super) fn sms(message: &Message, now: Timestamp) -> String {
    let text = match &message.digest {
        Some(digest) => summary(message, digest, now),
        None => incident(message, now),
    };
    let (Some(link), Some(head)) = (
        &message.link,
        text.strip_suffix(message.incident.code.as_str()),
    ) else {
        return text;
    };
    // Others, as the brackets of an IPv6 address, take the room of two.
    let short = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
    let limit = if text.len() <= SMS { SMS } else { TWO };
    let fits = head.len() + link.len() <= limit && link.bytes().all(short);
    if fits { format!("{head}{link}") } else { text }
}

fn incident(message: &Message, now: Timestamp) -> String {
    let incident = &message.incident;
    let head = format!("{} ", message.label());
    let (middle, advice) = match (message.kind, &incident.resolved) {
        (Kind::Resolved, Some((at, why))) => (
            format!(
                ", {} to {} UTC. ",
                moment(incident.since, now),
                moment(*at, now)
            ),
            // What was found then is for the email.
            sentence(why.split(": ").next().unwrap_or_default()),
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
        .min(room.saturating_sub(what.len()).max(room / 2));
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

/// How long it may be in two pieces. Only a summary of what is critical takes two, when it has too
/// many kinds to name for one.
const TWO: usize = 306;

/// How much of a summary is about the worst of it, if there is so much to say.
const WORST: usize = 40;

fn summary(message: &Message, digest: &Digest, now: Timestamp) -> String {
    let severity = match digest.begun {
        0 => String::new(),
        _ => format!("{} ", message.severity.name().to_uppercase()),
    };
    let since = moment(digest.since, now);
    let head = format!("SUMMARY {severity}{} since {since} UTC", tally(digest));
    let tail = format!(" {}", message.incident.code);
    let worst = gsm(&headline(message));
    let room = |limit: usize| limit.saturating_sub(head.len() + ". Worst: ".len() + tail.len());
    let for_worst = worst.len().min(WORST);
    let all = kinds_within(digest, usize::MAX);
    let (limit, kinds) = if all.len() + for_worst <= room(SMS) {
        (SMS, all)
    } else if message.severity == Severity::Critical {
        (
            TWO,
            kinds_within(digest, room(TWO).saturating_sub(for_worst)),
        )
    } else {
        (
            SMS,
            kinds_within(digest, room(SMS).saturating_sub(for_worst)),
        )
    };
    let worst = cut(&worst, room(limit).saturating_sub(kinds.len()));
    format!("{head}{kinds}. Worst: {worst}{tail}")
}

/// How much there is, in few words: `15 more, 1 over`.
fn tally(digest: &Digest) -> String {
    let over = match digest.over {
        0 => String::new(),
        over => format!(", {over} over"),
    };
    match (digest.begun, digest.ended) {
        (0, ended) => format!("{ended} over"),
        (begun, 0) => format!("{begun} more{over}"),
        (begun, ended) => format!("{begun} more{over}; {ended} others over"),
    }
}

/// As many kinds as there is room for, those first that matter most; the others are counted.
fn kinds_within(digest: &Digest, room: usize) -> String {
    let mut text = String::new();
    for (place, (kind, count)) in digest.kinds.iter().enumerate() {
        let before = if place == 0 { ": " } else { ", " };
        let one = format!("{before}{}", kinds::counted(kind, *count));
        let left = digest.kinds.len() - place;
        let more = format!("{before}{left} kinds more");
        let is_last = left == 1;
        let reserve = if is_last { 0 } else { more.len() };
        if text.len() + one.len() + reserve > room {
            if text.len() + more.len() <= room {
                text.push_str(&more);
            }
            break;
        }
        text.push_str(&one);
    }
    text
}

fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() {
        return String::new();
    }
    format!("{text}.")
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
    unlinked(&out)
}

/// Addresses without `https://`: phones make links of those, and a stranger may have chosen where one
/// leads.
fn unlinked(text: &str) -> String {
    let mut parts: Vec<_> = text.split("://").collect();
    let last = parts.pop().unwrap_or_default();
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let without = parts.iter().map(|part| part.trim_end_matches(of_scheme));
    without.chain([last]).collect()
}
