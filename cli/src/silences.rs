//! `watchward silences` and `watchward silence`: for a while, nobody is told of what is expected.

use serde_json::{Value, json};

use crate::args::{AddSilence, Silence};
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, moment, safe};

/// The silences that hold, or all of them.
pub(crate) async fn list(collector: &Client, all: bool, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/silences", &[]).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(answer.get("silences").unwrap_or(&answer))?);
    }
    let rows: Vec<_> = Row::all(&answer)
        .filter(|silence| all || silence.text("state") == "holds")
        .map(|silence| {
            [
                silence.cell("id"),
                silence.cell("state"),
                silence.moment("created_at"),
                end(silence),
                silence.cell("author"),
                scope(silence),
                silence.cell("reason"),
            ]
        })
        .collect();
    let heads = [
        "ID",
        "STATE",
        "SINCE (UTC)",
        "UNTIL (UTC)",
        "BY",
        "WHAT",
        "WHY",
    ];
    let none = match all {
        true => "Nothing was silenced.",
        false => "Nothing is silenced.",
    };
    Ok(screen.list(heads, &rows, none)?)
}

pub(crate) async fn run(
    collector: &Client,
    command: Silence,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match command {
        Silence::Add(wanted) => add(collector, wanted, screen).await,
        Silence::End { id } => {
            let path = format!("/v1/silences/{id}/end");
            let answer: Value = collector.post(&path, &json!({})).await?;
            if screen.is_for_programs() {
                return Ok(screen.json(&answer)?);
            }
            Ok(screen.line(&format!("Silence {id} has ended."))?)
        }
    }
}

async fn add(collector: &Client, wanted: AddSilence, screen: &mut Screen) -> anyhow::Result<()> {
    let AddSilence {
        host,
        group,
        room,
        key,
        span,
        reason,
        also_critical,
    } = wanted;
    let body = json!({
        "host": host, "group": group, "room": room, "key": key, "for": span, "reason": reason,
        "also_critical": also_critical,
    });
    let made = collector.post_about("/v1/silences", host.as_deref(), &body);
    let made: Value = made.await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&made)?);
    }
    let row = Row::of(&made);
    let (id, until, what) = (row.cell("id"), moment(row.number("until")), scope(row));
    screen.line(&format!(
        "Silence {id} holds until {until} UTC: {}.",
        safe(&what)
    ))?;
    Ok(screen.line(&format!("End it with: watchward silence end {id}"))?)
}

fn end(silence: Row<'_>) -> String {
    let ended = silence.number("ended_at");
    moment(ended.or(silence.number("until")))
}

/// What a silence silences, in words.
pub(crate) fn scope(silence: Row<'_>) -> String {
    let mut words: Vec<_> = ["host", "group", "room", "key"]
        .into_iter()
        .map(|name| (name, silence.text(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if silence.text("also_critical") == "true" {
        words.push("also what is critical".to_owned());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_silenced() {
        let silence = json!({"host": "web-1", "group": null, "room": "health", "key": null,
            "also_critical": true});
        let words = scope(Row::of(&silence));
        assert_eq!(words, "host web-1, room health, also what is critical");
    }
}
