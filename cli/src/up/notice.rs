//! What `up` says before the view begins: where messages go, and one thing to try.

use anyhow::Context;

use super::ground::Ground;
use crate::screen::{Screen, Tone, safe};

/// Says it.
pub(super) fn show(ground: &Ground, port: Option<u16>, screen: &mut Screen) -> anyhow::Result<()> {
    let messages = safe(&ground.path("messages").display().to_string());
    let configuration = safe(&ground.path("collector.toml").display().to_string());
    screen.line("")?;
    screen.line(&format!(
        "Email and SMS are written to {messages} until you name a server in {configuration}:"
    ))?;
    screen.line("  TODO")?;
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
