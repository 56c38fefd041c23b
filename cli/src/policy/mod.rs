//! `watchward policy`: what another policy would change, who would lose access, and having it come into
//! force.

mod bring;
mod diff;
mod follow;
mod operator;
mod outlook;
mod sign;

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use crate::args::{Bring, Policy};
use crate::client::Client;
use crate::config;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(crate) async fn run(
    collector: &Client,
    command: Policy,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match command {
        Policy::Check { file } => config::policy(&file, screen),
        Policy::Plan { file } => {
            let asked = Asked {
                text: read(&file)?,
                file: Some(file.display().to_string()),
                operator: operator::address(),
                ..Asked::default()
            };
            let answer: Value = collector.post("/v1/policy/plan", &asked).await?;
            outlook::show(&answer, screen)
        }
        Policy::Apply { file, bring } => {
            let text = read(&file)?;
            let asked = Asked {
                file: Some(file.display().to_string()),
                ..Asked::of(&bring, Some(&text))?
            };
            let asked = Asked { text, ..asked };
            bring::bring(collector, asked, &bring, screen).await
        }
        Policy::History { limit } => history(collector, limit, screen).await,
        Policy::Show { version } => {
            let answer = fetch(collector, version).await?;
            if screen.is_for_programs() {
                return Ok(screen.json(&answer)?);
            }
            let text = Row::of(&answer).text("text");
            Ok(text
                .lines()
                .try_for_each(|line| screen.line(&shown(line)))?)
        }
        Policy::Diff { from, to } => {
            let (from, to) = (
                fetch(collector, Some(from)).await?,
                fetch(collector, to).await?,
            );
            diff::show((&from, &to), screen)
        }
        Policy::Rollback { version, bring } => {
            let signed = match &bring.sign {
                Some(_) => {
                    let version = version.context("say which version, to sign it")?;
                    let text = Row::of(&fetch(collector, Some(version)).await?).text("text");
                    Some(text)
                }
                None => None,
            };
            let asked = Asked {
                version,
                rollback: true,
                ..Asked::of(&bring, signed.as_deref())?
            };
            bring::bring(collector, asked, &bring, screen).await
        }
    }
}

/// What the collector is asked.
#[derive(Debug, Default, Serialize)]
struct Asked {
    text: String,
    file: Option<String>,
    version: Option<i64>,
    signature: Option<String>,
    operator: Option<IpAddr>,
    note: Option<String>,
    even_so: bool,
    rollback: bool,
    upon: Option<i64>,
}

impl Asked {
    /// By whoever brings this text, or what the collector has.
    fn of(bring: &Bring, text: Option<&str>) -> anyhow::Result<Self> {
        let signature = match (&bring.sign, &bring.signature, text) {
            (Some(key), _, Some(text)) => Some(sign::sign(text, key)?),
            (_, Some(file), _) => Some(read(file)?),
            _ => None,
        };
        Ok(Self {
            signature,
            operator: operator::address(),
            note: bring.note.clone(),
            even_so: bring.even_so,
            ..Self::default()
        })
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A version with its text; the one in force if no number is said.
async fn fetch(collector: &Client, version: Option<i64>) -> anyhow::Result<Value> {
    let which = version.map(|number| ("version", number.to_string()));
    let which: Vec<_> = which.into_iter().collect();
    collector.fetch("/v1/policy/text", &which).await
}

/// A line of a policy for a terminal. Tabs stay, so that what is printed is what was applied.
fn shown(line: &str) -> String {
    line.split('\t').map(safe).collect::<Vec<_>>().join("\t")
}

async fn history(collector: &Client, limit: u32, screen: &mut Screen) -> anyhow::Result<()> {
    let limit = [("limit", limit.to_string())];
    let answer: Value = collector.fetch("/v1/policy", &limit).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let all = Row::of(&answer);
    let in_force = all.number("in_force");
    let version = |one: Row<'_>| {
        let state = match one.number("number") == in_force {
            true => "in force",
            false => "",
        };
        [
            one.cell("number"),
            state.to_owned(),
            one.moment("at"),
            one.cell("author"),
            one.cell("signer"),
            one.cell("note"),
        ]
    };
    let versions: Vec<_> = all.list("versions").map(version).collect();
    screen.table(
        ["VERSION", "STATE", "SINCE (UTC)", "BY", "SIGNED BY", "WHY"],
        &versions,
    )?;
    for (name, what) in [
        ("trouble", "The newest version is not in force here:"),
        ("file_trouble", "The policy's file does not count:"),
    ] {
        let why = all.text(name);
        if !why.is_empty() {
            screen.line("")?;
            screen.line(what)?;
            screen.line(&crate::screen::safe_lines(&why))?;
        }
    }
    if all.text("file_is_in_force") == "false" {
        let file = safe(&all.text("file"));
        screen.line("")?;
        screen.line(&format!(
            "{file} says something else than what is in force."
        ))?;
    }
    Ok(())
}
