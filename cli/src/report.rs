//! `watchward report`: the last seven days in one screen, or signed.

use anyhow::Context;
use watchward_protocol::report::Report;

use crate::client::Client;
use crate::receipt::signed;
use crate::screen::{Screen, safe};

pub(crate) async fn run(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let text = signed(collector, "/v1/report").await?;
    if screen.is_for_programs() {
        return Ok(screen.line(&text)?);
    }
    let report: Report = serde_json::from_str(&text).context("the collector sends no report")?;
    show(&report, screen)
}

/// Shows one that is as it was signed.
pub(crate) fn verified(report: &Report, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(&serde_json::to_value(report)?)?);
    }
    screen.line(&format!(
        "{:<11} signed by {}",
        "Genuine",
        safe(&report.signer)
    ))?;
    screen.line(&format!("{:<11} {}", "Written", safe(&report.made_at.0)))?;
    show(report, screen)
}

fn show(report: &Report, screen: &mut Screen) -> anyhow::Result<()> {
    for (name, said) in report.lines() {
        screen.line(&format!("{name:<11} {}", safe(&said)))?;
    }
    Ok(())
}
