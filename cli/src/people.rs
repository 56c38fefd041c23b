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
        People::Invite { name, email, roles } => {
            let wanted = json!({ "name": name, "email": email, "roles": roles });
            let made: Value = collector.post("/v1/people", &wanted).await?;
            linked(&name, &made, screen)
        }
        People::Roles { name, roles } => {
            let path = format!("/v1/people/{}/roles", encoded(&name));
            let wanted = json!({ "roles": roles });
            let done: Value = collector.post(&path, &wanted).await?;
            if screen.is_for_programs() {
                return Ok(screen.json(&done)?);
            }
            let roles = roles.iter().map(|role| role.word()).collect::<Vec<_>>();
            Ok(screen.line(&format!("{} is {} now.", safe(&name), roles.join(", ")))?)
        }
        People::Reset { name } => linked(&name, &reset(collector, &name).await?, screen),
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

/// Sends a new link, or has it handed over where there is no address.
pub(crate) async fn reset(collector: &Client, name: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/people/{}/reset", encoded(name));
    collector.post(&path, &json!({})).await
}

fn linked(name: &str, made: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(made)?);
    }
    let (name, made) = (safe(name), Row::of(made));
    let (email, file, link) = (made.text("email"), made.text("file"), made.text("link"));
    if !email.is_empty() {
        let to = safe(&email);
        return Ok(screen.line(&format!(
            "An email with the link for {name} is on its way to {to}. It counts for 24 hours and once."
        ))?);
    }
    if !file.is_empty() {
        let file = safe(&file);
        return Ok(screen.line(&format!(
            "No server sends emails yet: the link for {name} is in {file}. It counts for 24 hours and once."
        ))?);
    }
    screen.line(&format!(
        "There is no email address of {name}. This link counts for 24 hours and once, and is shown only here:"
    ))?;
    screen.line("")?;
    Ok(screen.line(&format!("  {}", safe(&link)))?)
}

fn second_factor(account: Row<'_>) -> String {
    match account.text("second_factor").as_str() {
        "true" => "yes".to_owned(),
        _ => "no".to_owned(),
    }
}

/// Since when their password is theirs; who is invited has none.
fn password(account: Row<'_>) -> String {
    match account.text("invited_until").is_empty() {
        true => account.moment("changed_at"),
        false => "invited".to_owned(),
    }
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
                account.cell("email"),
                second_factor(account),
                account.moment("last_in"),
                password(account),
                account.moment("created_at"),
            ]
        })
        .collect();
    Ok(screen.table(
        [
            "NAME",
            "ROLES",
            "EMAIL",
            "SECOND FACTOR",
            "LAST SIGNED IN (UTC)",
            "PASSWORD SINCE (UTC)",
            "MADE (UTC)",
        ],
        &rows,
    )?)
}
