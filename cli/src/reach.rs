//! `watchward can`: whether an account could get in to a host from an address, and why.

use serde_json::Value;

use crate::args::Can;
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(crate) async fn run(collector: &Client, asked: Can, screen: &mut Screen) -> anyhow::Result<()> {
    let Can { whom, from, port } = asked;
    let mut query = vec![
        ("host", whom.host.clone()),
        ("account", whom.account.clone()),
        ("address", from.to_string()),
    ];
    query.extend(port.map(|port| ("port", port.to_string())));
    let answer: Value = collector.fetch("/v1/reach", &query).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let all = Row::of(&answer);
    let could = match all.text("could").as_str() {
        "yes" => "could get in",
        "no" => "could not get in",
        _ => "may be able to get in: it cannot be told for certain",
    };
    let (account, host) = (safe(&whom.account), safe(&whom.host));
    screen.line(&format!("{account} {could} to {host} from {from}."))?;
    screen.line("")?;
    let steps: Vec<_> = all.list("steps").map(step).collect();
    screen.table(["WHAT", "DOES", "WHY"], &steps)?;
    screen.line("")?;
    screen.line(&format!("Policy: {}.", safe(&all.text("policy"))))?;
    let differs = all.text("counterexample");
    if !differs.is_empty() {
        screen.line(&safe(&differs))?;
    }
    Ok(())
}

fn step(step: Row<'_>) -> [String; 3] {
    let does = match step.text("verdict").as_str() {
        "permits" => "lets in",
        "refuses" => "turns away",
        "notes" => "-",
        _ => "cannot be told",
    };
    [step.cell("subject"), does.to_owned(), step.cell("text")]
}
