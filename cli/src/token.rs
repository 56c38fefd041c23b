//! `watchward token`: invites a host.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchward_protocol::span::Span;

use crate::args::Token;
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, moment, safe};

/// What the collector needs to make a token.
#[derive(Debug, Serialize)]
struct Wanted<'a> {
    host: &'a str,
    life: Option<Span>,
}

/// A token that was made. It is shown once and kept nowhere.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Made {
    pub(crate) token: String,
    expires_at: i64,
}

pub(crate) async fn run(
    collector: &Client,
    command: Token,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match command {
        Token::Create { host, life } => {
            let made = create(collector, &host, life).await?;
            if screen.is_for_programs() {
                return Ok(screen.json(&serde_json::to_value(made)?)?);
            }
            screen.line("On the host, as root, before this token expires:")?;
            screen.line("")?;
            screen.line(&format!("  watchward-agent enroll {}", safe(&made.token)))?;
            screen.line("")?;
            let until = moment(Some(made.expires_at));
            screen.line(&format!(
                "It enrols {} once, until {until} UTC.",
                safe(&host)
            ))?;
        }
        Token::List => {
            let answer: Value = collector.fetch("/v1/tokens", &[]).await?;
            if screen.is_for_programs() {
                return Ok(screen.json(&answer)?);
            }
            let rows: Vec<_> = Row::all(&answer)
                .map(|token| {
                    [
                        token.cell("host"),
                        token.moment("created_at"),
                        token.moment("expires_at"),
                    ]
                })
                .collect();
            screen.table(["HOST", "MADE (UTC)", "EXPIRES (UTC)"], &rows)?;
        }
    }
    Ok(())
}

/// Has the collector make a token for this host.
pub(crate) async fn create(
    collector: &Client,
    host: &str,
    life: Option<Span>,
) -> anyhow::Result<Made> {
    collector.post("/v1/tokens", &Wanted { host, life }).await
}
