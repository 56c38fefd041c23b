//! `watchward authority`: the key that hosts trust, and the certificates that it signed.

use serde_json::Value;

use crate::args::{Authority, AuthorityCommand};
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(crate) async fn run(
    collector: &Client,
    asked: Authority,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match asked.command.unwrap_or(AuthorityCommand::Key) {
        AuthorityCommand::Key => key(&collector.fetch("/v1/authority", &[]).await?, screen),
        AuthorityCommand::Certificates { person, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(person.map(|person| ("person", person)));
            let given = collector.fetch("/v1/authority/certificates", &query);
            certificates(&given.await?, screen)
        }
    }
}

fn key(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    for key in Row::of(answer).texts("keys") {
        screen.line(&key)?;
    }
    Ok(())
}

fn certificates(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let rows: Vec<_> = Row::all(answer)
        .map(|one| {
            let refused = one.text("refused");
            [
                one.moment("at"),
                one.cell("person"),
                one.cell("address"),
                one.cell("serial"),
                one.moment("until"),
                match refused.is_empty() {
                    true => one.cell("principals"),
                    false => format!("refused: {}", safe(&refused)),
                },
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(screen.line("No certificate was asked for.")?);
    }
    let titles = ["WHEN (UTC)", "WHO", "FROM", "SERIAL", "UNTIL (UTC)", "FOR"];
    Ok(screen.table(titles, &rows)?)
}
