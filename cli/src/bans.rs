//! `watchward bans` and `watchward ban`: who is shut out of every host, and who should be.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::bail;
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
    let ended = asked.ended;
    let mut query = vec![("limit", asked.limit.to_string())];
    query.extend(asked.host.map(|host| ("host", host)));
    query.extend(asked.address.map(|address| ("address", address)));
    query.extend(asked.ended.then(|| ("ended", true.to_string())));
    let answer: Value = collector.fetch("/v1/bans", &query).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(answer.get("bans").unwrap_or(&answer))?);
    }
    let rows: Vec<_> = Row::all(&answer).map(cells).collect();
    let heads = ["WHOM", "STATE", "SINCE (UTC)", "UNTIL (UTC)", "BY", "WHY"];
    let none = match (ended, query.len()) {
        (true, _) => "There was no ban like this.",
        (false, 1) => "Nobody is shut out.",
        (false, _) => "Nobody like this is shut out.",
    };
    screen.list(heads, &rows, none)?;
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
    words.extend(vetoes(ban).into_iter().map(|host| format!("not on {host}")));
    words.join("; ")
}

/// Does what somebody decided about a ban, and says what came of it.
pub(crate) async fn run(
    collector: &Client,
    command: Ban,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let (path, body) = match &command {
        Ban::Add {
            net,
            span,
            reason,
            even_so,
        } => (
            "/v1/bans",
            json!({ "net": net, "until": span, "reason": reason, "even_so": even_so,
                "from": from() }),
        ),
        Ban::Lift {
            net,
            reason,
            even_so,
        } => (
            "/v1/bans/lift",
            json!({ "net": net, "reason": reason, "even_so": even_so }),
        ),
        Ban::Pin { net, until } => ("/v1/bans/pin", json!({ "net": net, "until": until })),
    };
    let done: Value = collector.post(path, &body).await?;
    if screen.is_for_programs() {
        screen.json(&done)?;
    }
    if let Ban::Lift { net, .. } = &command {
        return lifted(Row::of(&done), net, screen);
    }
    if screen.is_for_programs() {
        return Ok(());
    }
    let done = Row::of(&done);
    let (net, until) = (done.text("net"), moment(done.number("until")));
    screen.line(&safe(&format!("{net} is shut out until {until} UTC.")))?;
    if matches!(command, Ban::Add { .. }) {
        tokio::time::sleep(SAID_BY).await;
    }
    let query = [("address", net.clone()), ("limit", "10000".to_owned())];
    let bans: Value = collector.fetch("/v1/bans", &query).await?;
    let vetoed = Row::all(&bans).filter(|ban| ban.text("net") == net);
    let vetoed: Vec<_> = vetoed.flat_map(vetoes).collect();
    let open = done.texts("open");
    let text = match done.number("shutting") {
        Some(0) => NOBODY.to_owned(),
        _ => but(&vetoed, &open),
    };
    Ok(screen.line(&safe(&text))?)
}

/// By then every host that is connected has said whether it holds a ban.
const SAID_BY: Duration = Duration::from_secs(3);
/// Said where it shuts nobody out.
const NOBODY: &str = "No host holds it: none has an enforcer yet. It counts from when one has.";
/// How many hosts are named.
const NAMED: usize = 16;

/// Says who was let in again; nobody is a failure.
fn lifted(done: Row<'_>, whom: &str, screen: &mut Screen) -> anyhow::Result<()> {
    let lifted = done.texts("lifted");
    if lifted.is_empty() {
        bail!(
            "no ban of {whom} held; a host that holds one the collector has not heard of lets it go"
        );
    }
    if !screen.is_for_programs() {
        let text = format!("Lifted everywhere: {}.", lifted.join(", "));
        screen.line(&safe(&text))?;
    }
    Ok(())
}

/// On which hosts it does not hold.
fn but(vetoed: &[String], open: &[String]) -> String {
    let some = |hosts: &[String]| {
        let more = hosts.len().saturating_sub(NAMED);
        let named: Vec<_> = hosts.iter().take(NAMED).cloned().collect();
        match more {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    };
    let mut said = Vec::new();
    if !vetoed.is_empty() {
        said.push(format!("Not on {}.", some(vetoed)));
    }
    if !open.is_empty() {
        said.push(format!("Not on hosts without an enforcer: {}.", some(open)));
    }
    match said.is_empty() {
        true => "No host says that it does not hold it.".to_owned(),
        false => said.join(" "),
    }
}

/// The hosts that do not hold a ban, and why not.
fn vetoes(ban: Row<'_>) -> Vec<String> {
    let vetoed = ban.list("vetoed");
    vetoed
        .map(|veto| format!("{} ({})", veto.text("host"), veto.text("why")))
        .collect()
}

/// From where whoever types this has come by SSH, as far as `sudo` lets that through.
fn from() -> Option<IpAddr> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    connection.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::answered;

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
    fn where_a_ban_does_not_hold_is_a_sentence() {
        assert_eq!(but(&[], &[]), "No host says that it does not hold it.");
        let vetoed = ["web-2 (vouched)".to_owned()];
        let open: Vec<_> = (0..18).map(|number| format!("db-{number}")).collect();
        assert_eq!(but(&vetoed, &[]), "Not on web-2 (vouched).");
        let both = but(&vetoed, &open);
        assert!(
            both.starts_with("Not on web-2 (vouched). Not on hosts without"),
            "{both}"
        );
        assert!(both.ends_with("db-15 and 2 more."), "{both}");
    }

    #[tokio::test]
    async fn to_let_nobody_in_is_a_failure_that_says_so() {
        let mut screen = Screen::new(true);
        let (_folder, collector) =
            answered("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"lifted\":[]}").await;
        let lift = Ban::Lift {
            net: "203.0.113.9".to_owned(),
            reason: "why".to_owned(),
            even_so: false,
        };
        let error = run(&collector, lift, &mut screen).await.unwrap_err();
        assert!(
            error.to_string().starts_with("no ban of 203.0.113.9 held"),
            "{error}"
        );
    }
}
