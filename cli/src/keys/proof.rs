//! `watchward keys prove`, `revoked`: whether any account of any host still takes a key.

use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};

use crate::client::Client;
use crate::named::read;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(super) async fn run(
    collector: &Client,
    (key, host, doors): (&Path, Option<String>, bool),
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let wanted = json!({"key": read(key)?, "host": host});
    let answer = collector.post_about("/v1/keys/prove", host.as_deref(), &wanted);
    let answer: Value = answer.await?;
    judge(&answer, doors, screen)
}

pub(super) async fn reinstate(
    collector: &Client,
    what: &Value,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let answer: Value = collector.post("/v1/keys/reinstate", what).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    for key in Row::of(&answer).texts("fingerprints") {
        screen.line(&format!(
            "{} may open something again: hosts take it where it still stands, and nobody asks about it.",
            safe(&key)
        ))?;
    }
    Ok(())
}

/// Lists the revoked keys; an error, unless it is known of each that it opens nothing.
pub(super) async fn revoked(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/keys/revoked", &[]).await?;
    if screen.is_for_programs() {
        screen.json(&answer)?;
        return verdict(&answer).map(drop);
    }
    let rows: Vec<_> = Row::all(&answer).map(line).collect();
    if rows.is_empty() {
        return Ok(screen.line("No key is revoked: `watchward revoke KEY --reason ...`")?);
    }
    screen.table(
        [
            "KEY",
            "REVOKED (UTC)",
            "HOSTS",
            "DOORS",
            "REFUSE IT",
            "UNKNOWN",
            "OPENS",
            "ASKED (UTC)",
            "REASON",
        ],
        &rows,
    )?;
    for key in Row::all(&answer) {
        for trouble in key.list("troubles") {
            let (host, why) = (trouble.cell("host"), trouble.cell("why"));
            screen.line(&format!("\n{}: {host}: {why}", key.cell("fingerprint")))?;
        }
    }
    screen.line("")?;
    Ok(screen.line(&verdict(&answer)?)?)
}

/// What is known of all of them; an error, unless that is enough.
fn verdict(answer: &Value) -> anyhow::Result<String> {
    let is_certificate = |key: &Row<'_>| key.text("is_certificate") == "true";
    let asked = || Row::all(answer).filter(|key| !is_certificate(key));
    let sum = |name| {
        let numbers = asked().filter_map(|key| key.number(name));
        usize::try_from(numbers.sum::<i64>()).unwrap_or_default()
    };
    let list = |name| asked().map(|key| key.list(name).count()).sum();
    let keys = counted(asked().count(), "revoked key");
    let keys = match Row::all(answer).filter(is_certificate).count() {
        0 => keys,
        some => format!("{}, {keys}", counted(some, "revoked certificate")),
    };
    let doors = counted(sum("doors"), "door");
    let (opens, troubles): (usize, usize) = (list("opens"), list("troubles"));
    let untold = sum("unknown").max(sum("doors").saturating_sub(sum("refused") + opens));
    let unasked = asked().filter(|key| key.number("doors") == Some(0));
    let reasons: Vec<_> = [
        (untold, "door that cannot be told"),
        (troubles, "answer with a gap"),
        (sum("silent"), "host that says nothing"),
        (unasked.count(), "key that no door was asked about"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} × {what}"))
    .collect();
    match (opens, &reasons[..]) {
        (0, []) => Ok(format!("{keys}, {doors}, none opens.")),
        (0, _) => bail!(
            "{keys}, {doors}: not proven, though none is known to open: {}",
            reasons.join(", ")
        ),
        (opens, _) => bail!("{keys}, {doors}: {opens} open"),
    }
}

fn line(key: Row<'_>) -> [String; 9] {
    let number = |name| key.number(name).unwrap_or_default().to_string();
    let opens = key.list("opens");
    let opens = opens.map(|door| format!("{}@{}", door.cell("account"), door.cell("host")));
    let opens: Vec<_> = opens.collect();
    [
        key.cell("fingerprint"),
        key.moment("at"),
        number("hosts"),
        number("doors"),
        number("refused"),
        number("unknown"),
        match opens.is_empty() {
            true => "-".to_owned(),
            false => opens.join(" "),
        },
        key.moment("asked_at"),
        key.cell("reason"),
    ]
}

/// Shows what was said; an error, unless every door refuses it.
fn judge(answer: &Value, doors: bool, screen: &mut Screen) -> anyhow::Result<()> {
    let proven = Row::of(answer);
    let [opens, untold] = if screen.is_for_programs() {
        screen.json(answer)?;
        [
            with(proven, "accepted").len(),
            with(proven, "unknown").len(),
        ]
    } else {
        show(proven, doors, screen)?
    };
    let troubled = proven.list("troubles").count();
    match (opens, untold + troubled) {
        (0, 0)
            if proven
                .list("doors")
                .chain(proven.list("closed"))
                .next()
                .is_none() =>
        {
            bail!("no door was asked")
        }
        (0, 0) => Ok(()),
        (0, _) => bail!("not proven: not every door could be asked"),
        (doors, _) => bail!("it opens {}", counted(doors, "door")),
    }
}

/// Shows it, and says how many doors it opens and of how many that cannot be told.
fn show(proven: Row<'_>, doors: bool, screen: &mut Screen) -> anyhow::Result<[usize; 2]> {
    let key = Row::of(proven.value().get("key").unwrap_or(&Value::Null));
    let (asked, at) = (proven.list("doors").count(), proven.moment("at"));
    let name = match key.text("fingerprint") {
        none if none.is_empty() => "The certificate".to_owned(),
        fingerprint => safe(&fingerprint),
    };
    let hosts: std::collections::BTreeSet<_> =
        proven.list("doors").map(|it| it.text("host")).collect();
    let asked = counted(asked, "door");
    let hosts = counted(hosts.len(), "host");
    screen.line(&format!(
        "{name} ({}) was shown to {asked} on {hosts}, {at}.",
        key.cell("kind")
    ))?;
    let (accepted, unknown) = (with(proven, "accepted"), with(proven, "unknown"));
    let refused = with(proven, "refused");
    part("\nIt opens:", &accepted, screen)?;
    part("\nIt cannot be told of:", &unknown, screen)?;
    if !refused.is_empty() {
        screen.line(&format!("\n{}", refusals(&refused)))?;
    }
    if doors {
        part("", &refused, screen)?;
    }
    for trouble in proven.list("troubles") {
        screen.line(&format!(
            "\n{}: {}",
            trouble.cell("host"),
            trouble.cell("why")
        ))?;
    }
    for seen in proven.list("elsewhere") {
        let (host, what) = (seen.cell("host"), seen.cell("why"));
        screen.line(&safe(&format!("{host}: {what}.")))?;
    }
    for closed in proven.list("closed") {
        let (host, why) = (closed.cell("host"), closed.cell("why"));
        screen.line(&safe(&format!("{host}: {why}: nothing to open there.")))?;
    }
    Ok([accepted.len(), unknown.len()])
}

fn with<'a>(proven: Row<'a>, said: &str) -> Vec<Row<'a>> {
    let doors = proven.list("doors");
    doors.filter(|door| door.text("said") == said).collect()
}

fn part(title: &str, doors: &[Row<'_>], screen: &mut Screen) -> anyhow::Result<()> {
    if doors.is_empty() {
        return Ok(());
    }
    screen.line(title)?;
    let rows: Vec<_> = doors.iter().copied().map(door).collect();
    Ok(screen.table(["HOST", "ACCOUNT", "AT", "CONTROL", "NOTE"], &rows)?)
}

fn door(door: Row<'_>) -> [String; 5] {
    let control = match (door.text("control"), door.text("control_account")) {
        (own, _) if !own.is_empty() => safe(&own),
        (_, account) if !account.is_empty() => format!("a key of {}", safe(&account)),
        _ => "none".to_owned(),
    };
    [
        door.cell("host"),
        door.cell("account"),
        door.cell("at"),
        control,
        door.cell("note"),
    ]
}

/// What the refusals are worth.
fn refusals(refused: &[Row<'_>]) -> String {
    let has = |name: &str| {
        refused
            .iter()
            .filter(|it| !it.text(name).is_empty())
            .count()
    };
    let (own, other) = (has("control"), has("control_account"));
    let none = refused.len() - own - other;
    let mut text = format!(
        "{} it. Of these, {own} took another key of the account in the same connection, and {other} one \
         of another account.",
        match refused.len() {
            1 => "1 door refuses".to_owned(),
            many => format!("{many} doors refuse"),
        }
    );
    if none > 0 {
        text.push_str(&format!(
            " {none} took no key at all: sshd was alive there and asked for one, but no key was known \
             that opens."
        ));
    }
    text
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(
        doors: u32,
        unknown: u32,
        silent: u32,
        troubles: Value,
    ) -> Result<String, String> {
        let key = json!({
            "doors": doors, "refused": doors - unknown, "unknown": unknown, "silent": silent,
            "troubles": troubles, "opens": [],
        });
        verdict(&json!([key])).map_err(|error| error.to_string())
    }

    #[test]
    fn where_there_is_nothing_to_open_nothing_is_missing() {
        let closed = json!([{"host": "mail", "why": "there is no sshd at /usr/sbin/sshd"}]);
        let refused = json!([{"host": "web", "account": "root", "said": "refused"}]);
        for (doors, closed, is_proven) in [
            (&refused, &closed, true),
            (&json!([]), &closed, true),
            (&json!([]), &json!([]), false),
        ] {
            let answer = json!({"doors": doors, "troubles": [], "closed": closed});
            let judged = judge(&answer, false, &mut Screen::new(true));
            assert_eq!(judged.is_ok(), is_proven, "{answer}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_success() {
        let none = || json!([]);
        let proven = verdict_of(3, 0, 0, none());
        assert_eq!(proven.as_deref(), Ok("1 revoked key, 3 doors, none opens."));
        let gap = json!([{"host": "web", "why": "no sshd"}]);
        for (said, word) in [
            (verdict_of(3, 1, 0, none()), "1 × door that cannot be told"),
            (verdict_of(3, 0, 1, none()), "1 × host that says nothing"),
            (verdict_of(3, 0, 0, gap), "1 × answer with a gap"),
            (verdict_of(0, 0, 0, none()), "no door was asked"),
        ] {
            assert!(said.as_ref().is_err_and(|it| it.contains(word)), "{said:?}");
        }
    }
}
