//! What `up` says before the view begins: where messages go, and one thing to try.

use anyhow::Context;

use super::configuration::{CONTACT, SMS, SMTP};
use super::ground::Ground;
use crate::screen::{Screen, Tone, safe};

/// Says it.
pub(super) fn show(ground: &Ground, port: Option<u16>, screen: &mut Screen) -> anyhow::Result<()> {
    messages(ground, screen)?;
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

/// Where email and SMS go, and what to write so that they reach people.
fn messages(ground: &Ground, screen: &mut Screen) -> anyhow::Result<()> {
    let file = ground.path("collector.toml");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let named = |table: &str| {
        text.lines()
            .any(|line| line.trim_start().starts_with(table))
    };
    let (smtp, sms) = (named("[alerting.smtp]"), named("[alerting.sms]"));
    let what = match (smtp, sms) {
        (true, true) => return Ok(()),
        (false, false) => "Email and SMS are",
        (false, true) => "Email is",
        (true, false) => "SMS are",
    };
    let folder = safe(&ground.path("messages").display().to_string());
    let file = safe(&file.display().to_string());
    screen.line("")?;
    screen.line(&format!(
        "{what} not sent yet, but written to {folder}, a file each."
    ))?;
    screen.line(&format!(
        "To have them sent, put this into {file} and start again:"
    ))?;
    let contact = named("[[alerting.contacts]]");
    for (there, table) in [(smtp, SMTP), (sms, SMS), (contact, CONTACT)] {
        if there {
            continue;
        }
        screen.line("")?;
        for line in table.lines() {
            let line = screen.paint(Tone::Dim, &format!("  {line}"));
            screen.line(&line)?;
        }
    }
    Ok(())
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
