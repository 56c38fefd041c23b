//! `watchward rotation`: machines' keys that are replaced by themselves, and how far each is.

use serde_json::{Value, json};

use crate::args::{Rotation, RotationCommand};
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(crate) async fn run(
    collector: &Client,
    asked: Rotation,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match asked.command.unwrap_or(RotationCommand::List) {
        RotationCommand::List => list(&collector.fetch("/v1/rotations", &[]).await?, screen),
        RotationCommand::Calendar => calendar(
            &collector.fetch("/v1/rotations/calendar", &[]).await?,
            screen,
        ),
        RotationCommand::Show { name } => {
            let query = [("name", name)];
            let answer: Value = collector.fetch("/v1/rotations/one", &query).await?;
            show(&answer, screen)
        }
        RotationCommand::Now { names } => {
            for name in names {
                now(collector, &name, screen).await?;
            }
            Ok(())
        }
    }
}

async fn now(collector: &Client, name: &str, screen: &mut Screen) -> anyhow::Result<()> {
    let wanted = json!({ "name": name });
    let answer: Value = collector.post("/v1/rotations/now", &wanted).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let name = safe(name);
    Ok(screen.line(&format!(
        "The key {name} is to be replaced as soon as it can be: `watchward rotation show {name}` says how \
         far it is."
    ))?)
}

fn list(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let rows: Vec<_> = Row::all(answer).map(line).collect();
    if rows.is_empty() {
        let none = "No machine's key is replaced by itself: the policy has no [[keys.machines]].";
        return Ok(screen.line(none)?);
    }
    let titles = [
        "NAME",
        "CLIENT",
        "OPENS",
        "PHASE",
        "SINCE (UTC)",
        "NEXT (UTC)",
        "WAITS FOR",
    ];
    Ok(screen.table(titles, &rows)?)
}

fn calendar(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let rows: Vec<_> = Row::all(answer).map(entry).collect();
    let heads = [
        "DUE (UTC)",
        "WHAT",
        "WHOSE",
        "EVERY",
        "WARN (UTC)",
        "DEADLINE (UTC)",
        "THEN",
        "STATE",
    ];
    Ok(screen.list(
        heads,
        &rows,
        "Nothing is to be replaced within ninety days.",
    )?)
}

fn entry(one: Row<'_>) -> [String; 8] {
    let waits = one.text("waits");
    [
        one.moment("due_at"),
        one.cell("what"),
        one.cell("whose"),
        one.cell("every"),
        one.moment("warn_at"),
        one.moment("deadline_at"),
        one.cell("missed"),
        match (one.text("is_late") == "true", waits.is_empty()) {
            (true, true) => "late".to_owned(),
            (true, false) => format!("late: {waits}"),
            (false, false) => format!("waits for {waits}"),
            (false, _) if one.text("by_itself") == "true" => "by itself".to_owned(),
            (false, _) => "by hand".to_owned(),
        },
    ]
}

fn line(one: Row<'_>) -> [String; 7] {
    let mut hosts: Vec<_> = one.list("pending").map(|it| it.cell("host")).collect();
    hosts.dedup();
    let overdue = one.value()["is_overdue"].as_bool() == Some(true);
    [
        one.cell("name"),
        one.cell("client"),
        opens(one),
        match overdue {
            true => "overdue".to_owned(),
            false => one.cell("phase"),
        },
        one.moment("since"),
        next(one),
        match hosts.is_empty() {
            true => "-".to_owned(),
            false => hosts.join(" "),
        },
    ]
}

/// When it begins: what goes on, or should have begun, is no day to come.
fn next(one: Row<'_>) -> String {
    let overdue = one.value()["is_overdue"].as_bool() == Some(true);
    match one.cell("phase").as_str() {
        "idle" if !overdue => one.moment("due_at"),
        _ => "now".to_owned(),
    }
}

fn opens(one: Row<'_>) -> String {
    let (accounts, groups) = (one.texts("accounts"), one.texts("groups"));
    format!("{} of {}", accounts.join(", "), groups.join(", "))
}

fn show(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let one = Row::of(answer);
    let key = |serial: &str, name: &str| match one.number(serial) {
        Some(serial) => format!("{serial}, {}", one.cell(name)),
        None => "-".to_owned(),
    };
    let facts = [
        ("name", one.cell("name")),
        (
            "client",
            format!("{}, for {}", one.cell("client"), one.cell("user")),
        ),
        ("opens", opens(one)),
        ("from", one.texts("from").join(", ")),
        ("key", key("serial", "fingerprint")),
        ("next key", key("next_serial", "next_fingerprint")),
        (
            "phase",
            format!("{}, since {} UTC", one.cell("words"), one.moment("since")),
        ),
        ("next", next(one)),
        ("deadline", format!("{} UTC", one.moment("deadline_at"))),
    ];
    for (name, value) in facts {
        screen.line(&format!("{name:<10}{value}"))?;
    }
    for waiting in one.list("pending") {
        let (host, why) = (waiting.cell("host"), waiting.cell("why"));
        screen.line(&format!("{:<10}{host}: {why}", "waits for"))?;
    }
    let rows: Vec<_> = one
        .list("events")
        .map(|event| [event.moment("at"), event.cell("what")])
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    Ok(screen.table(["WHEN (UTC)", "WHAT"], &rows)?)
}
