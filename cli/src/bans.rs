//! `watchward bans` and `watchward ban`: who is shut out of every host, and who should be.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::args::{Ban, Bans};
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, moment, safe};

/// The bans that hold, or all of them.
pub(crate) async fn list(
    collector: &Client,
    asked: Bans,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let mut query = vec![("limit", asked.limit.to_string())];
    query.extend(asked.host.map(|host| ("host", host)));
    query.extend(asked.address.map(|address| ("address", address)));
    query.extend(asked.ended.then(|| ("ended", true.to_string())));
    let answer: Value = collector.fetch("/v1/bans", &query).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(answer.get("bans").unwrap_or(&answer))?);
    }
    let rows: Vec<_> = Row::all(&answer).map(cells).collect();
    screen.table(
        ["WHOM", "STATE", "SINCE (UTC)", "UNTIL (UTC)", "BY", "WHY"],
        &rows,
    )?;
    for ban in Row::all(&answer).filter(|_| asked.lines) {
        for line in ban.texts("evidence") {
            screen.line(&format!("{}  {}", safe(&ban.text("net")), safe(&line)))?;
        }
    }
    Ok(())
}

fn cells(ban: Row<'_>) -> [String; 6] {
    let lifted = ban.number("lifted_at");
    let state = match (
        ban.text("holds").as_str(),
        lifted,
        ban.text("pinned").as_str(),
    ) {
        (_, Some(_), _) => "lifted",
        ("true", _, "true") => "pinned",
        ("true", ..) => "holds",
        _ => "over",
    };
    [
        ban.cell("net"),
        state.to_owned(),
        ban.moment("at"),
        moment(lifted.or(ban.number("until"))),
        by(ban),
        why(ban),
    ]
}

fn by(ban: Row<'_>) -> String {
    let mut who = ban.texts("hosts");
    who.extend(Some(ban.text("author")).filter(|author| !author.is_empty()));
    who.join(", ")
}

/// Why it was decided, and what is unusual about it.
fn why(ban: Row<'_>) -> String {
    let mut words = vec![ban.text("reason")];
    if ban.number("times").is_some_and(|times| times > 1) {
        words.push(format!("time {}", ban.text("times")));
    }
    if !ban.text("unspread").is_empty() {
        words.push(format!("not spread: {}", ban.text("unspread")));
    }
    if !ban.text("lifted_by").is_empty() {
        let (by, why) = (ban.text("lifted_by"), ban.text("lifted_why"));
        words.push(format!("lifted by {by}: {why}"));
    }
    let vetoed = ban.list("vetoed");
    words.extend(vetoed.map(|veto| format!("not on {} ({})", veto.text("host"), veto.text("why"))));
    words.join("; ")
}

pub(crate) async fn run(
    collector: &Client,
    command: Ban,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let (path, body) = match command {
        Ban::Add {
            net,
            span,
            reason,
            even_so,
        } => (
            "/v1/bans",
            json!({ "net": net, "until": span, "reason": reason, "even_so": even_so,
                "from": from(), "author": author() }),
        ),
        Ban::Lift { net, reason } => (
            "/v1/bans/lift",
            json!({ "net": net, "reason": reason, "author": author() }),
        ),
        Ban::Pin { net, until } => (
            "/v1/bans/pin",
            json!({ "net": net, "until": until, "author": author() }),
        ),
    };
    let done: Value = collector.post(path, &body).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&done)?);
    }
    Ok(screen.line(&safe(&told(Row::of(&done))))?)
}

/// What came of it, in a sentence.
fn told(done: Row<'_>) -> String {
    let lifted = done.texts("lifted");
    if !lifted.is_empty() {
        return format!("Lifted everywhere: {}.", lifted.join(", "));
    }
    match done.number("until") {
        Some(until) => {
            let (net, until) = (done.text("net"), moment(Some(until)));
            format!("{net} is shut out of every host until {until} UTC.")
        }
        None => "No ban held; hosts hear that they may hold none by themselves.".to_owned(),
    }
}

/// Who stands behind `sudo`, for the record; the collector sees only root.
fn author() -> Option<String> {
    std::env::var("SUDO_USER")
        .ok()
        .filter(|name| !name.is_empty())
}

/// From where whoever types this has come by SSH, as far as `sudo` lets that through.
fn from() -> Option<IpAddr> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    connection.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_is_a_row_that_can_be_read() {
        let ban = json!({"net": "203.0.113.7/32", "holds": true, "pinned": false, "at": 0,
            "until": 60_000_000, "hosts": ["web-1"], "author": null, "reason": "12 tries in 40s",
            "times": 2, "unspread": null, "lifted_at": null, "lifted_by": null,
            "vetoed": [{"host": "web-2", "why": "vouched"}]});
        let [whom, state, since, until, by, why] = cells(Row::of(&ban));
        assert_eq!(
            (whom.as_str(), state.as_str(), by.as_str()),
            ("203.0.113.7/32", "holds", "web-1")
        );
        assert_ne!(since, until);
        assert_eq!(why, "12 tries in 40s; time 2; not on web-2 (vouched)");
    }

    #[test]
    fn what_came_of_it_is_a_sentence() {
        let done = json!({"lifted": ["203.0.113.7/32"]});
        assert_eq!(told(Row::of(&done)), "Lifted everywhere: 203.0.113.7/32.");
        let done = json!({"net": "203.0.113.7/32", "until": 0});
        assert!(told(Row::of(&done)).starts_with("203.0.113.7/32 is shut out of every host until"));
        assert!(told(Row::of(&json!({"lifted": []}))).starts_with("No ban held"));
    }
}
