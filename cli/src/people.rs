//! `watchward people`: who may sign in to the page.

use serde_json::{Value, json};

use crate::args::People;
use crate::client::Client;
use crate::hosts::encoded;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(crate) async fn run(
    collector: &Client,
    command: Option<People>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match command.unwrap_or(People::List) {
        People::List => list(&fetch(collector).await?, screen),
        People::Add { name } => {
            let made: Value = collector
                .post("/v1/people", &json!({ "name": name }))
                .await?;
            once(&name, &made, screen)
        }
        People::Reset { name } => once(&name, &reset(collector, &name).await?, screen),
        People::Remove { name } => {
            let path = format!("/v1/people/{}/remove", encoded(&name));
            let done: Value = collector.post(&path, &json!({})).await?;
            if screen.is_for_programs() {
                return Ok(screen.json(&done)?);
            }
            Ok(screen.line(&format!("{} has no account any more.", safe(&name)))?)
        }
    }
}

/// The accounts as the collector has them.
pub(crate) async fn fetch(collector: &Client) -> anyhow::Result<Value> {
    collector.fetch("/v1/people", &[]).await
}

/// Gives an account a new one-time password.
pub(crate) async fn reset(collector: &Client, name: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/people/{}/reset", encoded(name));
    collector.post(&path, &json!({})).await
}

fn once(name: &str, made: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(made)?);
    }
    let password = safe(&Row::of(made).text("password"));
    screen.line(&format!(
        "Sign in as {} with this password; then choose your own. It is shown only here.",
        safe(name)
    ))?;
    screen.line("")?;
    Ok(screen.line(&format!("  {password}"))?)
}

fn list(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let rows: Vec<_> = Row::all(answer)
        .map(|account| {
            [
                account.cell("name"),
                account.moment("last_in"),
                account.moment("changed_at"),
                account.moment("created_at"),
            ]
        })
        .collect();
    Ok(screen.table(
        [
            "NAME",
            "LAST SIGNED IN (UTC)",
            "PASSWORD SINCE (UTC)",
            "MADE (UTC)",
        ],
        &rows,
    )?)
}
