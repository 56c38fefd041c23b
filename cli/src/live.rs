//! `watchward live`: everything as it happens, a line each.

use std::io;

use serde_json::Value;

use crate::client::Client;
use crate::hosts::finding_line;
use crate::row::Row;
use crate::screen::{Screen, Tone, safe};

pub(crate) async fn run(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let mut events = collector.stream("/v1/live").await?;
    while let Some(event) = events.next().await? {
        show(&event, screen)?;
    }
    anyhow::bail!("the collector has ended")
}

/// Shows one event.
pub(crate) fn show(event: &Value, screen: &mut Screen) -> io::Result<()> {
    if screen.is_for_programs() {
        return screen.json(event);
    }
    let row = Row::of(event);
    let line = match row.text("kind").as_str() {
        "access" => access(row, screen),
        "health" => health(row, screen),
        "incident" => incident(row, screen),
        "message" => message(row, screen),
        "host" => host(row, screen),
        "key" => key(row, screen),
        "ban" => ban(row, screen),
        "finding" => finding_line(row, screen),
        _ => return Ok(()),
    };
    screen.line(&line)
}

/// Whether an event only says once more what was said of a try already.
pub(crate) fn is_further(event: &Value) -> bool {
    let event = Row::of(event);
    event.text("kind") == "access"
        && event.text("attempt") == "false"
        && event.text("outcome") == "failure"
}

/// An access event, on a line. A further line about a try is pale.
pub(crate) fn access(event: Row<'_>, screen: &Screen) -> String {
    let is_try = event.text("attempt") != "false";
    let (tone, word) = match event.text("outcome").as_str() {
        "success" => (Tone::Good, "got in"),
        "failure" if is_try => (Tone::Warn, "failed"),
        "failure" => (Tone::Dim, "failed"),
        _ => (Tone::Dim, "seen"),
    };
    let mut what = Vec::new();
    for (before, name) in [
        ("", "user"),
        ("from ", "address"),
        ("port ", "port"),
        ("by ", "method"),
    ] {
        let value = event.text(name);
        if !value.is_empty() {
            what.push(format!("{before}{value}"));
        }
        if name == "user" && event.text("user_known") == "false" {
            what.push("(no such user)".to_owned());
        }
    }
    for name in ["key_fingerprint", "certificate_id"] {
        what.extend(Some(event.text(name)).filter(|value| !value.is_empty()));
    }
    what.extend(aim(event));
    what.push(format!("[{}]", event.text("form")));
    let service = match event.text("service").as_str() {
        "" | "sshd" => String::new(),
        other => format!(" {other}"),
    };
    entry(
        screen,
        event,
        tone,
        &format!("access{service} {word}"),
        &what.join(" "),
    )
}

/// Where it was to lead: as which account, to which command, to which addresses inside a VPN.
pub(crate) fn aim(event: Row<'_>) -> Option<String> {
    let parts = [
        ("as ", "target"),
        ("inside ", "tunnel_v4"),
        ("inside ", "tunnel_v6"),
        ("to run ", "command"),
    ];
    let said: Vec<String> = parts
        .into_iter()
        .map(|(before, name)| (before, event.text(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(before, value)| format!("{before}{value}"))
        .collect();
    (!said.is_empty()).then(|| said.join(" "))
}

fn health(event: Row<'_>, screen: &Screen) -> String {
    let state = event.text("state");
    let what = format!("{}: {}", event.text("check"), event.text("detail"));
    // Its first result was bad, and once is not enough to call it down.
    if state == "unknown" && event.text("before").is_empty() {
        let what = format!("{what} (too new to judge)");
        return entry(screen, event, Tone::Warn, "health new", &what);
    }
    entry(
        screen,
        event,
        state_tone(&state),
        &format!("health {state}"),
        &what,
    )
}

fn incident(event: Row<'_>, screen: &Screen) -> String {
    let what = event.text("event");
    let (tone, word) = match what.as_str() {
        "opened" | "risen" => (Tone::Bad, "ALERT"),
        "resolved" => (Tone::Good, "over"),
        other => (Tone::Warn, other),
    };
    let mut text = format!(
        "{} {}: {}",
        event.text("id"),
        event.text("severity"),
        event.text("title")
    );
    let detail = event.text("detail");
    if detail != event.text("title") {
        text = format!("{text} ({detail})");
    }
    entry(screen, event, tone, word, &text)
}

fn message(event: Row<'_>, screen: &Screen) -> String {
    let (tone, word) = match event.text("state").as_str() {
        "delivered" => (Tone::Good, "to"),
        "written" => (Tone::Warn, "only written, for"),
        "failed" => (Tone::Bad, "FAILED to"),
        "waiting" => (Tone::Warn, "waits for"),
        _ => (Tone::Dim, "not sent to"),
    };
    let text = format!(
        "{} {word} {} <{}>: {}",
        event.text("id"),
        event.text("contact"),
        event.text("to"),
        event.text("detail")
    );
    entry(screen, event, tone, &event.text("channel"), &text)
}

fn host(event: Row<'_>, screen: &Screen) -> String {
    let state = event.text("state");
    let what = format!("is {state}");
    entry(screen, event, state_tone(&state), "host", &what)
}

/// What happened to a key, and what it opens.
fn key(event: Row<'_>, screen: &Screen) -> String {
    let word = event.text("what");
    let tone = match word.as_str() {
        "gone" | "due soon" => Tone::Warn,
        "appeared" | "weak" | "overdue" => Tone::Bad,
        _ => Tone::Dim,
    };
    let account = event.text("account");
    let whom = match account.as_str() {
        "" => "the host itself".to_owned(),
        account => format!("as {account}"),
    };
    let mut parts = vec![whom, event.text("key")];
    parts.push(format!("in {}", event.text("place")));
    parts.push(event.text("comment"));
    parts.retain(|part| !part.is_empty() && part != "in ");
    let what = format!("{word}: {}", parts.join(" "));
    entry(screen, event, tone, "key", &what)
}

/// Who was shut out, by whose decision, why, and until when.
fn ban(event: Row<'_>, screen: &Screen) -> String {
    let mut parts = vec![event.text("net")];
    let author = event.text("author");
    if !author.is_empty() {
        parts.push(format!("by {author}"));
    }
    parts.push(format!("until {}", event.moment("until")));
    parts.push(format!("({})", event.text("reason")));
    if !event.text("unspread").is_empty() {
        parts.push("here only".to_owned());
    }
    entry(screen, event, Tone::Warn, "ban", &parts.join(" "))
}

fn entry(screen: &Screen, event: Row<'_>, tone: Tone, word: &str, what: &str) -> String {
    let clock = screen.paint(Tone::Dim, &event.clock("at"));
    let word = screen.paint(tone, &format!("{:<14}", safe(word)));
    let host = event.text("host");
    let host = if host.is_empty() {
        host
    } else {
        format!("{host}  ")
    };
    format!("{clock}  {word}  {}{}", safe(&host), safe(what))
}

fn state_tone(state: &str) -> Tone {
    match state {
        "up" | "connected" | "watched" => Tone::Good,
        "down" | "silent" | "revoked" | "failing" => Tone::Bad,
        _ => Tone::Warn,
    }
}
