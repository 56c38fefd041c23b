//! `watchward keys give-up`: hosts need not refuse any more what a lost database had revoked.

use serde_json::{Value, json};

use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

/// Gives up what is shown, and nothing that came since.
pub(super) async fn run(
    collector: &Client,
    (reason, yes): (&str, bool),
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let shown: Value = collector.fetch("/v1/keys/give-up", &[]).await?;
    let row = Row::of(&shown);
    let is_any = row.list("hosts").next().is_some();
    if is_any && !screen.is_for_programs() {
        for host in row.list("hosts") {
            let (name, count) = (host.cell("host"), host.cell("count"));
            screen.line(&format!(
                "{name} refuses {count} that are not revoked here."
            ))?;
        }
    }
    let question = "Give them up? They may open something again.";
    screen.agree_unless(yes || !is_any, question)?;
    let wanted = json!({ "reason": reason, "lineages": row.texts("lineages") });
    let answer: Value = collector.post("/v1/keys/give-up", &wanted).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    for host in Row::of(&answer).texts("hosts") {
        screen.line(&format!(
            "{} is told to refuse no more than what is revoked here.",
            safe(&host)
        ))?;
    }
    for host in Row::of(&answer).texts("since") {
        screen.line(&format!(
            "{} refuses more, which was not shown and is not given up: ask again, and read it.",
            safe(&host)
        ))?;
    }
    Ok(())
}
