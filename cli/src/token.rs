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
    /// Where the host reaches the collector.
    #[serde(default)]
    collector: Option<String>,
    #[serde(default)]
    enrolment: Option<String>,
}

impl Made {
    /// The command that enrols the host: one line to paste there.
    fn line(&self) -> String {
        let mut line = "sudo watchward-agent enroll".to_owned();
        if let Some(collector) = &self.collector {
            line += &format!(" --collector {collector}");
        }
        // The agent looks for it at port 7444 of the same machine.
        let usual = |collector: &String| Some((collector.rsplit_once(':')?.0.to_owned()) + ":7444");
        if self.enrolment != self.collector.as_ref().and_then(usual) {
            line += &format!(
                " --enrolment {}",
                self.enrolment.as_deref().unwrap_or_default()
            );
        }
        format!("{line} {}", self.token)
    }
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
            screen.line("On the host, before this token expires:")?;
            screen.line("")?;
            screen.line(&format!("  {}", safe(&made.line())))?;
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
                        token.moment("used_at"),
                    ]
                })
                .collect();
            let heads = ["HOST", "MADE (UTC)", "EXPIRES (UTC)", "USED (UTC)"];
            let none = "No token is remembered. `watchward token create NAME` makes one.";
            screen.list(heads, &rows, none)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_paste_says_no_more_than_it_must() {
        let line = |collector: Option<&str>, enrolment: Option<&str>| {
            let made = Made {
                token: "wwt1-0".to_owned(),
                expires_at: 0,
                collector: collector.map(str::to_owned),
                enrolment: enrolment.map(str::to_owned),
            };
            made.line()
        };
        assert_eq!(
            line(Some("w.example:7443"), Some("w.example:7444")),
            "sudo watchward-agent enroll --collector w.example:7443 wwt1-0"
        );
        assert_eq!(
            line(Some("w.example:443"), Some("w.example:444")),
            "sudo watchward-agent enroll --collector w.example:443 --enrolment w.example:444 wwt1-0"
        );
        assert_eq!(line(None, None), "sudo watchward-agent enroll wwt1-0");
    }
}
