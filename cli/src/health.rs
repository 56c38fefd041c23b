//! `watchward health`: what is up, down, flapping or unknown.

use serde_json::Value;

use crate::client::Client;
use crate::row::Row;
use crate::screen::Screen;

pub(crate) async fn run(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/health", &[]).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let rows: Vec<_> = Row::all(&answer)
        .map(|check| {
            [
                check.cell("host"),
                check.cell("check"),
                state(check),
                check.moment("since"),
                check.cell("detail"),
            ]
        })
        .collect();
    Ok(screen.table(["HOST", "CHECK", "STATE", "SINCE (UTC)", "DETAIL"], &rows)?)
}

/// How it stands. What has failed, and not so often yet that it is down, has no state to speak of.
fn state(check: Row<'_>) -> String {
    match (check.text("state").as_str(), check.number("failures")) {
        ("unknown", Some(1)) => "failed once".to_owned(),
        ("unknown", Some(times)) if times > 1 => format!("failed {times} times"),
        _ => check.cell("state"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_failed_and_is_not_down_yet_says_how_often() {
        for (told, expected) in [
            ("up", 0, "up"),
            ("down", 3, "down"),
            ("unknown", 0, "unknown"),
            ("unknown", 1, "failed once"),
            ("unknown", 2, "failed 2 times"),
        ]
        .map(|(state, failures, shown)| (json!({"state": state, "failures": failures}), shown))
        {
            assert_eq!(state(Row::of(&told)), expected);
        }
    }
}
