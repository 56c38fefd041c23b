//! `watchward keys`: what opens each account, since when, and who used it last.

mod give_up;
mod glass;
mod peers;
mod proof;

use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};

use crate::args::{KeyCommand, KeyState, Keys};
use crate::client::{Client, Missing};
use crate::named::fingerprint;
use crate::row::Row;
use crate::screen::{Screen, safe};

/// How many the collector gives at once.
const PAGE: usize = 1000;

pub(crate) async fn run(
    collector: &Client,
    asked: Keys,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match asked.command {
        None => list(&all(collector, &asked).await?, screen),
        Some(KeyCommand::Show { key }) => show(collector, fingerprint(&key)?, screen).await,
        Some(KeyCommand::Prove { key, host, doors }) => {
            proof::run(collector, (&key, host, doors), screen).await
        }
        Some(KeyCommand::Peers) => peers::list(collector, screen).await,
        Some(KeyCommand::Revoked) => proof::revoked(collector, screen).await,
        Some(KeyCommand::BreakGlass) => glass::run(collector, screen).await,
        Some(KeyCommand::Reinstate { what, serial }) => {
            let what = crate::revoke::what(what.as_deref(), serial)?;
            proof::reinstate(collector, &what, screen).await
        }
        Some(KeyCommand::GiveUp { reason, yes }) => {
            give_up::run(collector, (&reason, yes), screen).await
        }
        Some(KeyCommand::Accept { key, host, account }) => {
            let wanted = json!({"key": accepted(key)?, "host": host, "account": account});
            accept(collector, &wanted, screen).await
        }
    }
}

/// Everything that is asked for, page by page.
async fn all(collector: &Client, asked: &Keys) -> anyhow::Result<Value> {
    let mut query = query(asked)?;
    let mut all: Vec<Value> = Vec::new();
    loop {
        let page: Vec<Value> = collector.fetch("/v1/keys", &query).await?;
        let full = page.len() == PAGE;
        let last = page.last().and_then(|last| Row::of(last).number("id"));
        all.extend(page);
        let Some(last) = last.filter(|_| full) else {
            return Ok(Value::Array(all));
        };
        query.retain(|(name, _)| *name != "after");
        query.push(("after", last.to_string()));
    }
}

fn query(asked: &Keys) -> anyhow::Result<Vec<(&'static str, String)>> {
    // A part of one would be found nowhere, which says nothing of the key.
    let key = asked.fingerprint.as_deref().map(fingerprint).transpose()?;
    let overdue = asked.overdue.then_some(KeyState::Overdue);
    let state = asked.state.or(overdue);
    let parts = [
        ("host", asked.host.clone()),
        ("account", asked.account.clone()),
        ("fingerprint", key),
        ("state", state.map(|state| state.name().to_owned())),
        ("unused", asked.unused.map(|days| format!("{days}d"))),
        ("gone", asked.gone.then(|| "true".to_owned())),
        ("limit", Some(PAGE.to_string())),
    ];
    let parts = parts.into_iter();
    Ok(parts
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
}

fn list(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let rows: Vec<_> = Row::all(answer)
        .map(|key| {
            [
                key.cell("host"),
                account(key),
                what(key),
                key.cell("comment"),
                day(key, "first_at"),
                day(key, "due_at"),
                day(key, "used_at"),
                state(key),
            ]
        })
        .collect();
    let heads = [
        "HOST",
        "ACCOUNT",
        "WHAT",
        "COMMENT",
        "SEEN SINCE",
        "DUE",
        "LAST USED",
        "STATE",
    ];
    Ok(screen.list(heads, &rows, "Nothing like this opens an account.")?)
}

async fn show(collector: &Client, fingerprint: String, screen: &mut Screen) -> anyhow::Result<()> {
    let query = [("fingerprint", fingerprint.clone())];
    let answer: anyhow::Result<Value> = collector.fetch("/v1/keys/places", &query).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) if why.is::<Missing>() => {
            return nowhere(collector, (&fingerprint, why), screen).await;
        }
        Err(why) => return Err(why),
    };
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    for place in Row::all(&answer) {
        one(place, screen)?;
    }
    Ok(())
}

/// Says of a key that no host has told of whether it is revoked; what was wrong, if it is not.
async fn nowhere(
    collector: &Client,
    (fingerprint, why): (&str, anyhow::Error),
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let answer: Value = match collector.fetch("/v1/keys/revoked", &[]).await {
        Ok(answer) => answer,
        Err(_) => return Err(why),
    };
    let mut all = Row::all(&answer);
    let Some(key) = all.find(|key| key.text("fingerprint") == fingerprint) else {
        return Err(why);
    };
    // A program reads places, and this is none.
    if screen.is_for_programs() {
        bail!("{}", unseen(key).join(" "));
    }
    unseen(key)
        .iter()
        .try_for_each(|line| Ok(screen.line(&safe(line))?))
}

/// A revoked key that no host has told of, in words.
fn unseen(key: Row<'_>) -> [String; 3] {
    let name = key.text("fingerprint");
    let (at, by, why) = (key.moment("at"), key.cell("author"), key.cell("reason"));
    [
        format!("{name} is revoked since {at} UTC by {by}: {why}."),
        "No host has told of it.".to_owned(),
        format!("`watchward receipt {name}` says what was done."),
    ]
}

/// One place where a key opens something, and what happened there.
fn one(place: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let line = place.number("line").map(|line| format!(":{line}"));
    let head = format!(
        "{} on {}: {}",
        account(place),
        place.cell("host"),
        what(place)
    );
    screen.line(&safe(&head))?;
    let used = match place.number("uses") {
        None | Some(0) => "never, as far as is known".to_owned(),
        Some(times) => format!(
            "{} from {}, {times} times in all",
            place.moment("used_at"),
            place.cell("used_from")
        ),
    };
    let facts = [
        (
            "in",
            format!("{}{}", place.cell("file"), line.unwrap_or_default()),
        ),
        ("comment", place.text("comment")),
        ("options", texts(place, "options").join(" | ")),
        ("names", texts(place, "principals").join(", ")),
        ("only", place.text("condition")),
        ("state", state(place)),
        ("revoked", revoked(place)),
        ("first seen", place.moment("first_at")),
        ("due", place.moment("due_at")),
        ("last used", used),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        screen.line(&format!("  {name:<11}{}", safe(fact)))?;
    }
    for change in place.list("changes") {
        let text = format!("  {} {}", change.moment("at"), change.text("what"));
        screen.line(&safe(&text))?;
    }
    Ok(screen.line("")?)
}

async fn accept(collector: &Client, wanted: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.post("/v1/keys/accept", wanted).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let text = match Row::of(&answer).number("places") {
        Some(1) | None => "Accepted in one place.".to_owned(),
        Some(places) => format!("Accepted in {places} places."),
    };
    Ok(screen.line(&text)?)
}

/// What is said to be right: the fingerprint of a public key that is here, or what was typed. A host's file
/// may be called as one, too.
fn accepted(key: String) -> anyhow::Result<String> {
    match key == "-" || (key.ends_with(".pub") && Path::new(&key).exists()) {
        true => fingerprint(&key),
        false => Ok(key),
    }
}

fn account(key: Row<'_>) -> String {
    let account = key.text("account");
    if account.is_empty() {
        "(host)".to_owned()
    } else {
        account
    }
}

/// The key, or what else opens the account.
fn what(key: Row<'_>) -> String {
    let means = key.text("means");
    let fingerprint = key.text("fingerprint");
    if fingerprint.is_empty() {
        return format!("{means} {}", key.cell("file"));
    }
    let bits = key.number("bits").filter(|bits| *bits > 0);
    let bits = bits.map_or_else(String::new, |bits| format!(" {bits}"));
    let what = format!("{}{bits} {fingerprint}", key.cell("kind"));
    if means == "authorized-key" {
        what
    } else {
        format!("{means} {what}")
    }
}

fn day(key: Row<'_>, name: &str) -> String {
    let moment = key.moment(name);
    let day = moment.split(' ').next().map(str::to_owned);
    day.unwrap_or(moment)
}

/// What is so of it, in a few words.
fn state(key: Row<'_>) -> String {
    let is = |name| key.text(name) == "true";
    let has = |name| !key.text(name).is_empty();
    let weak = key.text("weak");
    let widened = key.text("widened");
    let words = [
        has("gone_at").then(|| format!("gone since {}", day(key, "gone_at"))),
        has("revoked_at").then(|| format!("revoked since {}", day(key, "revoked_at"))),
        is("new").then(|| "new".to_owned()),
        is("overdue").then(|| "overdue".to_owned()),
        is("ended").then(|| "ended".to_owned()),
        has("weak").then(|| format!("weak: {weak}")),
        has("widened").then(|| format!("may do more: {widened}")),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join("; ")
    }
}

/// Since when, by whom and why it is revoked, if it is.
fn revoked(key: Row<'_>) -> String {
    if key.text("revoked_at").is_empty() {
        return String::new();
    }
    format!(
        "{} by {}: {}",
        key.moment("revoked_at"),
        key.text("revoked_by"),
        key.text("revoked_why")
    )
}

fn texts(key: Row<'_>, name: &str) -> Vec<String> {
    let list = key.value().get(name).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_in_a_few_words() {
        let key = json!({
            "account": null, "means": "host-key", "kind": "ssh-rsa", "bits": 1024,
            "fingerprint": "SHA256:a", "revoked_at": 0, "revoked_by": "ada", "revoked_why": "lost", "new": true, "overdue": false, "weak": "1024 bits"
        });
        let row = Row::of(&key);
        assert_eq!(account(row), "(host)");
        assert_eq!(what(row), "host-key ssh-rsa 1024 SHA256:a");
        assert_eq!(state(row), "revoked since 1970-01-01; new; weak: 1024 bits");
        assert_eq!(revoked(row), "1970-01-01 00:00:00 by ada: lost");
        let program = json!({"means": "command", "file": "/bin/keys", "fingerprint": null});
        assert_eq!(what(Row::of(&program)), "command /bin/keys");
        assert_eq!(state(Row::of(&program)), "-");
    }

    #[test]
    fn a_revoked_key_that_nobody_told_of_says_by_whom_and_where_more_is() {
        let key = json!({"fingerprint": "SHA256:a", "at": 0, "author": "ada", "reason": "lost"});
        let [first, _, last] = unseen(Row::of(&key));
        let said = "SHA256:a is revoked since 1970-01-01 00:00:00 UTC by ada: lost.";
        assert_eq!(first, said);
        assert!(last.contains("watchward receipt SHA256:a"));
    }

    #[test]
    fn what_is_right_is_named_by_a_file_of_a_key_that_is_here() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new.pub");
        let file = file.to_str().unwrap().to_owned();
        assert_eq!(accepted(file.clone()).unwrap(), file, "a host's");
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6aPrjGHqGkXqPu0OZ1dWy0QhPsOmWmDVbzH2kUQ2Hf";
        std::fs::write(&file, key).unwrap();
        assert!(accepted(file).unwrap().starts_with("SHA256:"));
        for other in ["/bin/keys", "SHA256:a"] {
            assert_eq!(accepted(other.to_owned()).unwrap(), other);
        }
    }
}
