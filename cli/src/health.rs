//! `watchward health`: what is up, down, flapping or unknown.

use serde_json::{Value, json};

use crate::args::Health;
use crate::client::Client;
use crate::row::Row;
use crate::screen::Screen;

pub(crate) async fn run(
    collector: &Client,
    Health { host, state }: Health,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let asked = json!({ "host": host, "state": state });
    let query = Row::of(&asked).query(&["host", "state"]);
    let answer: Value = collector.fetch("/v1/health", &query).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let rows: Vec<_> = Row::all(&answer)
        .map(|check| {
            [
                check.cell("host"),
                check.cell("check"),
                standing(check),
                check.moment("since"),
                check.cell("detail"),
            ]
        })
        .collect();
    let none = match query.is_empty() {
        true => "No host runs a check yet.",
        false => "No check is there that stands so.",
    };
    let heads = ["HOST", "CHECK", "STATE", "SINCE (UTC)", "DETAIL"];
    Ok(screen.list(heads, &rows, none)?)
}

/// How it stands. What has failed, and not so often yet that it is down, has no state to speak of.
fn standing(check: Row<'_>) -> String {
    let failing = check.text("failing") == "true";
    match check.number("failures").filter(|_| failing) {
        Some(1) => "failed once".to_owned(),
        Some(times) => format!("failed {times} of {}", check.cell("failures_for_down")),
        None => check.cell("state"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_failed_and_is_not_down_yet_says_how_often() {
        for (told, expected) in [
            ("up", 0, false, "up"),
            ("down", 5, false, "down"),
            ("unknown", 0, false, "unknown"),
            ("unknown", 7, false, "unknown"),
            ("unknown", 1, true, "failed once"),
            ("unknown", 2, true, "failed 2 of 5"),
        ]
        .map(|(state, failures, failing, shown)| {
            let told = json!({"state": state, "failures": failures, "failures_for_down": 5,
                "failing": failing});
            (told, shown)
        }) {
            assert_eq!(standing(Row::of(&told)), expected);
        }
    }
}
