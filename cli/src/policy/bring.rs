//! Having a policy come into force: it is asked before somebody loses access, and followed what hosts
//! make of it.

use anyhow::bail;
use serde_json::Value;

use super::{Asked, follow, outlook};
use crate::args::Bring;
use crate::client::Client;
use crate::row::Row;
use crate::screen::Screen;

/// Brings it.
pub(super) async fn bring(
    collector: &Client,
    mut asked: Asked,
    how: &Bring,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let planned: Value = collector.post("/v1/policy/plan", &asked).await?;
    let all = Row::of(&planned);
    // What is objected to is refused by the collector, which shows the place.
    let is_refused = !all.text("objection").is_empty() && !asked.even_so;
    let losing = all.list("losing").count();
    let is_asked = losing > 0 && !is_refused && !how.yes;
    if is_asked {
        ask(&planned, how, screen)?;
        asked.upon = all.number("version");
    }
    let mut answer: Value = collector.post("/v1/policy/apply", &asked).await?;
    let is_same = answer.pointer("/outlook/same") == Some(&Value::Bool(true));
    if !screen.is_for_programs() {
        outlook::applied(&answer, is_asked, screen)?;
    }
    let hosts = match is_same || how.no_wait {
        true => Vec::new(),
        false => follow::follow(collector, screen).await?,
    };
    let refused = follow::refused(&hosts);
    if screen.is_for_programs() {
        if let Value::Object(fields) = &mut answer {
            fields.insert("hosts".to_owned(), hosts.into());
        }
        screen.json(&answer)?;
    }
    match refused {
        0 => Ok(()),
        _ => bail!(
            "{refused} of the hosts did not take their gates: why is above, and on their pages"
        ),
    }
}

/// Shows who would lose access, and asks whether that is meant.
fn ask(planned: &Value, how: &Bring, screen: &mut Screen) -> anyhow::Result<()> {
    let nobody_answers = !screen.can_ask();
    // Who says so has seen what is worse.
    if nobody_answers && how.even_so {
        return Ok(());
    }
    outlook::show(planned, screen)?;
    if nobody_answers {
        bail!("somebody would lose access, as shown; it comes into force only with --yes");
    }
    screen.line("")?;
    screen.agree("Apply?")
}
