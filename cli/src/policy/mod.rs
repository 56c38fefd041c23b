//! `watchward policy`: what another policy would change, who would lose access, and having it come into
//! force.

mod bring;
mod diff;
mod follow;
mod keys;
mod operator;
mod outlook;
mod sign;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
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
        Policy::Check { file } => check(collector, file, screen).await,
        Policy::Plan { file } => {
            let file = named(collector, file).await?;
            let answer = plan(collector, &file).await?;
            outlook::show(&answer, screen)?;
            let objection = Row::of(&answer).text("objection");
            ensure!(objection.is_empty(), "{REFUSED}");
            Ok(())
        }
        Policy::Apply { file, bring } => {
            let file = named(collector, file).await?;
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

/// What `plan` ends with if it says why a policy would not come into force.
const REFUSED: &str = "this policy would not come into force, unless with `apply --even-so`";

/// The file that a collector reads unless its configuration says otherwise.
const USUAL: &str = "/etc/watchward/policy.toml";

/// Says whether a policy is right, and whether the collector would take it, if there is one to ask.
async fn check(
    collector: &Client,
    file: Option<PathBuf>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let answers = collector.is_ready().await;
    let file = match (file, answers) {
        (None, false) => PathBuf::from(USUAL),
        (file, _) => named(collector, file).await?,
    };
    config::policy(&file)?;
    if answers {
        let objection = Row::of(&plan(collector, &file).await?).text("objection");
        if !objection.is_empty() {
            bail!("{objection}\n{REFUSED}");
        }
    }
    config::right(&file, screen)?;
    match answers || screen.is_for_programs() {
        true => Ok(()),
        false => Ok(screen.line("No collector could be asked whom it would lock out.")?),
    }
}

/// The file that is meant.
async fn named(collector: &Client, file: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(file) = file {
        return Ok(file);
    }
    let limit = [("limit", "1".to_owned())];
    let standing: Value = collector.fetch("/v1/policy", &limit).await?;
    Ok(Row::of(&standing).text("file").into())
}

/// What would come of a file.
async fn plan(collector: &Client, file: &Path) -> anyhow::Result<Value> {
    let asked = Asked {
        text: read(file)?,
        file: Some(file.display().to_string()),
        operator: operator::address(),
        ..Asked::default()
    };
    collector.post("/v1/policy/plan", &asked).await
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
    let heads = ["VERSION", "STATE", "SINCE (UTC)", "BY", "SIGNED BY", "WHY"];
    let none = "Nobody has brought a policy yet: nothing is ruled.";
    screen.list(heads, &versions, none)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::answered;

    #[tokio::test]
    async fn a_plan_of_what_would_be_refused_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new.toml");
        std::fs::write(&file, "").unwrap();
        let answers = [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"objection\":\"it locks out\"}",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"objection\":null}",
                false,
            ),
        ];
        for (answer, is_refused) in answers {
            let (_socket, collector) = answered(answer).await;
            let plan = Policy::Plan {
                file: Some(file.clone()),
            };
            let ended = run(&collector, plan, &mut Screen::new(true)).await;
            let ended = ended.map_err(|error| error.to_string());
            assert_eq!(
                ended,
                if is_refused {
                    Err(REFUSED.to_owned())
                } else {
                    Ok(())
                }
            );
        }
    }

    #[tokio::test]
    async fn without_a_file_it_is_the_one_that_the_collector_reads() {
        let (_socket, collector) =
            answered("HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n{\"file\":\"/srv/rules.toml\"}")
                .await;
        let file = named(&collector, None).await.unwrap();
        assert_eq!(file, Path::new("/srv/rules.toml"));
    }
}
