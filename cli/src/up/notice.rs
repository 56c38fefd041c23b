//! What `up` says before the view begins: where messages go, and one thing to try.

use anyhow::Context;
use serde_json::Value;

use super::ground::{Ground, SOCKET};
use crate::client::Client;
use crate::people;
use crate::row::Row;
use crate::screen::{Screen, Tone, safe};

/// The account that a collector makes at its first start.
const FIRST: &str = "admin";

/// Says it.
pub(super) async fn show(
    ground: &Ground,
    collector: &Client,
    port: Option<u16>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    command(ground, screen)?;
    messages(ground, collector, screen).await?;
    page(ground, collector, screen).await?;
    if let Some(port) = port {
        suggest(ground, port, screen)?;
    }
    screen.line("")?;
    let line = screen.paint(
        Tone::Bold,
        "What happens now (times in UTC; Ctrl-C ends it):",
    );
    Ok(screen.line(&line)?)
}

/// How to ask this collector from another terminal.
fn command(ground: &Ground, screen: &mut Screen) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("where this program is")?;
    let folder = program.parent().context("this program is in no folder")?;
    screen.line("")?;
    screen
        .line("To ask about what is seen, as README.md says, paste this into another terminal:")?;
    screen.line("")?;
    for (name, value) in [
        ("PATH", format!("{}:$PATH", folder.display())),
        (
            "WATCHWARD_SOCKET",
            ground.path(SOCKET).display().to_string(),
        ),
    ] {
        let line = safe(&format!("  export {name}=\"{value}\""));
        let line = screen.paint(Tone::Bold, &line);
        screen.line(&line)?;
    }
    Ok(())
}

/// Where email and SMS go, and what to write so that they reach people: in the collector's words.
async fn messages(ground: &Ground, collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let ways: Value = collector.fetch("/v1/alerting", &[]).await?;
    let notice = Row::of(&ways).text("notice");
    if notice.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    for (index, line) in notice.lines().enumerate() {
        let line = match index {
            0 => safe(line),
            _ => screen.paint(Tone::Dim, &format!("  {}", safe(line))),
        };
        screen.line(line.trim_end())?;
    }
    let file = safe(&ground.path("collector.toml").display().to_string());
    screen.line("")?;
    Ok(screen.line(&format!(
        "That file is {file}; to reload it, end this and start it again."
    ))?)
}

/// Where the page is, and how to get in for the first time.
async fn page(ground: &Ground, collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let at = format!("http://127.0.0.1:{}/", ground.ports().page);
    let at = screen.paint(Tone::Bold, &at);
    screen.line("")?;
    let accounts = people::fetch(collector).await?;
    let new = Row::all(&accounts)
        .any(|account| account.text("name") == FIRST && account.text("must_change") == "true");
    if !new {
        return Ok(screen.line(&format!("The page is at {at}"))?);
    }
    let made = people::reset(collector, FIRST).await?;
    let link = screen.paint(Tone::Bold, &safe(&Row::of(&made).text("link")));
    screen.line(&format!(
        "The page is at {at}  To choose the password of {FIRST}:"
    ))?;
    Ok(screen.line(&format!("  {link}"))?)
}

/// A failed login, ten times: enough for an alert.
fn suggest(ground: &Ground, port: u16, screen: &mut Screen) -> anyhow::Result<()> {
    let path = ground.path("try.ssh");
    let text = format!(
        "# For the failed login that `make up` suggests. Your own known hosts stay as they are.\n\
         Host this-host\n  HostName 127.0.0.1\n  Port {port}\n  \
         PreferredAuthentications password\n  NumberOfPasswordPrompts 1\n  \
         StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
    );
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let path = safe(&path.display().to_string());
    screen.line("")?;
    screen.line("Try it: in another terminal, fail to log in to this host ten times:")?;
    screen.line("")?;
    let command = format!(
        "  for i in 1 2 3 4 5 6 7 8 9 10; do SSH_ASKPASS=/bin/echo SSH_ASKPASS_REQUIRE=force \
         ssh -F '{path}' nobody-here@this-host; done"
    );
    let command = screen.paint(Tone::Bold, &command);
    Ok(screen.line(&command)?)
}
