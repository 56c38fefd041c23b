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
                check.cell("state"),
                check.moment("since"),
                check.cell("detail"),
            ]
        })
        .collect();
    Ok(screen.table(["HOST", "CHECK", "STATE", "SINCE (UTC)", "DETAIL"], &rows)?)
}
