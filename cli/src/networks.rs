//! `watchward networks`: from where people may come, and who came from elsewhere.

use serde_json::Value;

use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(crate) async fn run(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/networks", &[]).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let all = Row::of(&answer);
    let networks: Vec<_> = all.list("networks").map(network).collect();
    let heads = ["NETWORK", "LOGINS IN 90 DAYS", "HOLDS"];
    let none = "No network has a name yet: the policy gives them names, under [networks].";
    screen.list(heads, &networks, none)?;
    let elsewhere = safe(&all.cell("elsewhere"));
    screen.line(&format!("Logins from none of them: {elsewhere}"))?;
    screen.line("")?;
    let rules: Vec<_> = all.list("rules").map(rule).collect();
    let heads = ["HOSTS OF", "SERVICES", "MODE", "MAY BE REACHED FROM"];
    let none = "There is no rule: every service of every host is open to everywhere.";
    screen.list(heads, &rules, none)?;
    screen.line("")?;
    for_a_while(all, screen)?;
    gates(all, screen)?;
    let outside: Vec<_> = all.list("outside").map(came).collect();
    if outside.is_empty() {
        let nobody =
            "Nobody logged in from outside in 90 days, by the rules and networks of today.";
        return Ok(screen.line(nobody)?);
    }
    screen.table(
        [
            "LAST FROM OUTSIDE (UTC)",
            "HOST",
            "SERVICE",
            "USER",
            "ADDRESS",
            "LOGINS",
        ],
        &outside,
    )?;
    screen.line("")?;
    let said = "All of this goes by the rules and networks of today. `watchward access --outside` lists who \
         came from outside by those of when they came.";
    Ok(screen.line(said)?)
}

fn network(network: Row<'_>) -> [String; 3] {
    let holds = network.texts("holds");
    [
        network.cell("name"),
        network.cell("logins"),
        shortened(&holds),
    ]
}

/// The first of many.
fn shortened(all: &[String]) -> String {
    const SHOWN: usize = 6;
    match all.get(..SHOWN) {
        Some(first) if all.len() > SHOWN => {
            format!("{}, and {} more", first.join(", "), all.len() - SHOWN)
        }
        _ => all.join(", "),
    }
}

fn rule(rule: Row<'_>) -> [String; 4] {
    [
        rule.texts("groups").join(", "),
        rule.texts("services").join(", "),
        rule.cell("mode"),
        rule.texts("from").join(", "),
    ]
}

/// The exceptions, if there are any.
fn for_a_while(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let exception = |one: Row<'_>| {
        let over = one.text("holds") == "false";
        let until = one.cell("until");
        [
            one.texts("groups").join(", "),
            one.texts("services").join(", "),
            one.texts("from").join(", "),
            if over {
                format!("{until} (over)")
            } else {
                until
            },
            one.cell("reason"),
        ]
    };
    let exceptions: Vec<_> = all.list("exceptions").map(exception).collect();
    if exceptions.is_empty() {
        return Ok(());
    }
    screen.table(
        ["EXCEPTIONS FOR", "SERVICES", "FROM", "UNTIL (UTC)", "WHY"],
        &exceptions,
    )?;
    Ok(screen.line("")?)
}

/// The gates of each host, if there are any.
fn gates(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let gate = |gate: Row<'_>| {
        let mut from = gate.texts("from");
        from.extend(gate.texts("exceptions"));
        let packets = gate.cell("turned_away");
        let others = gate.texts("turned_away_from");
        let others = match others.is_empty() {
            true => packets,
            false => format!("{packets} from {}", shortened(&others)),
        };
        [
            gate.cell("host"),
            gate.cell("service"),
            gate.texts("ports").join(", "),
            gate.cell("mode"),
            gate.cell("held"),
            others,
            from.join(", "),
        ]
    };
    let gates: Vec<_> = all.list("gates").map(gate).collect();
    if gates.is_empty() {
        return Ok(());
    }
    screen.table(
        [
            "HOST",
            "GATE",
            "PORTS",
            "MODE",
            "HOST SAYS",
            "PACKETS FROM OTHERS",
            "MAY BE PASSED FROM",
        ],
        &gates,
    )?;
    Ok(screen.line("")?)
}

fn came(came: Row<'_>) -> [String; 6] {
    [
        came.moment("last_at"),
        came.cell("host"),
        came.cell("service"),
        came.cell("user"),
        came.cell("address"),
        came.cell("logins"),
    ]
}
