//! `watchward people`: who may sign in to the page.

use serde_json::{Value, json};

use crate::args::People;
use crate::client::Client;
use crate::hosts::encoded;
use crate::row::Row;
use crate::screen::{Screen, safe};
use crate::silences::author;

pub(crate) async fn run(
    collector: &Client,
    command: Option<People>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match command.unwrap_or(People::List) {
        People::List => list(&fetch(collector).await?, screen),
        People::Add { name, roles } => {
            let wanted = json!({ "name": name, "roles": roles, "author": author() });
            let made: Value = collector.post("/v1/people", &wanted).await?;
            once(&name, &made, screen)
        }
        People::Roles { name, roles } => {
            let path = format!("/v1/people/{}/roles", encoded(&name));
            let wanted = json!({ "roles": roles, "author": author() });
            let done: Value = collector.post(&path, &wanted).await?;
            if screen.is_for_programs() {
                return Ok(screen.json(&done)?);
            }
            let roles = roles.iter().map(|role| role.word()).collect::<Vec<_>>();
            Ok(screen.line(&format!("{} is {} now.", safe(&name), roles.join(", ")))?)
        }
        People::Reset { name } => once(&name, &reset(collector, &name).await?, screen),
        People::Remove { name } => {
            let path = format!("/v1/people/{}/remove", encoded(&name));
            let wanted = json!({ "author": author() });
            let done: Value = collector.post(&path, &wanted).await?;
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
    collector.post(&path, &json!({ "author": author() })).await
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
                account.texts("roles").join(" "),
                account.moment("last_in"),
                account.moment("changed_at"),
                account.moment("created_at"),
            ]
        })
        .collect();
    Ok(screen.table(
        [
            "NAME",
            "ROLES",
            "LAST SIGNED IN (UTC)",
            "PASSWORD SINCE (UTC)",
            "MADE (UTC)",
        ],
        &rows,
    )?)
}
