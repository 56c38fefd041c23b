//! `watchward incidents`: what people were told of, and how.

use serde_json::Value;

use crate::client::Client;
use crate::row::Row;
use crate::screen::Screen;

pub(crate) async fn run(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/incidents", &[]).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let rows: Vec<_> = Row::all(&answer)
        .map(|incident| {
            [
                incident.cell("id"),
                incident.cell("severity"),
                incident.cell("state"),
                incident.moment("opened_at"),
                incident.cell("host"),
                incident.cell("title"),
            ]
        })
        .collect();
    let heads = ["ID", "SEVERITY", "STATE", "OPENED (UTC)", "HOST", "WHAT"];
    Ok(screen.table(heads, &rows)?)
}
