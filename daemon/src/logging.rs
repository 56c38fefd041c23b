//! Logging: structured, to the journal when systemd runs us, else to standard error.

use anyhow::Context;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::journal::Journal;
use crate::service::program;

/// What is said where `RUST_LOG` says nothing: not every word of what others wrote.
const USUAL: &str = "info,h2=warn,hyper=warn,sqlx=warn,zbus=warn";

/// Sets up logging for the whole program. `RUST_LOG` chooses what is said, by level and by module:
/// `info`, or `info,watchward_agent::uplink=debug`.
///
/// # Errors
/// Logging was set up before, or `RUST_LOG` makes no sense.
pub fn start() -> anyhow::Result<()> {
    let wish = std::env::var("RUST_LOG").unwrap_or_default();
    let wish = if wish.is_empty() { USUAL } else { &wish };
    let filter: Targets = wish.parse().context("RUST_LOG")?;
    let all = tracing_subscriber::registry().with(filter);
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| Journal::new(program()).ok());
    match journal {
        Some(journal) => all.with(journal).try_init(),
        None => {
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            all.with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())))
                .try_init()
        }
    }
    .context("logging is set up once")
}
