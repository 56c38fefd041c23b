//! What the service manager and the terminal say to us, and what we tell systemd.

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::tasks::Running;
use crate::watchdog::Watchdog;

/// Signals that end a program (`SIGTERM`, `SIGINT`) or have it read its configuration again
/// (`SIGHUP`).
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// End, after what has begun is finished.
    End,
    /// Read the configuration again.
    Reload,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}

/// Waits for what an administrator has still to do, and tells them so; at once, when it is done. Says
/// whether it was; if not, a signal has ended the program.
pub async fn wait(signals: &mut Signals, todo: &str, done: impl Future<Output = ()>) -> bool {
    tokio::pin!(done);
    tokio::select! {
        biased;
        () = &mut done => return true,
        () = std::future::ready(()) => {}
    }
    tracing::info!("{todo}");
    tell(&[NotifyState::Ready, NotifyState::Status(todo)]);
    let pulse = Watchdog::of_unit().pulse();
    let done = pulse.waiting(done);
    tokio::pin!(done);
    loop {
        tokio::select! {
            () = &mut done => break,
            wish = signals.next() => match wish {
                Wish::Reload => {}
                Wish::End => return false,
            },
        }
    }
    tell(&[NotifyState::Status("")]);
    true
}

/// How long tasks have to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs until a signal ends the program, then drains; `reload` is called when the configuration is
/// to be read again.
///
/// # Errors
/// A task ended that should not have.
pub async fn run(
    mut signals: Signals,
    mut running: Running,
    reload: impl Fn(),
) -> anyhow::Result<()> {
    tell(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            failed = running.failed() => return failed,
            wish = signals.next() => match wish {
                Wish::Reload => reload(),
                Wish::End => break,
            },
        }
    }
    tell(&[NotifyState::Stopping]);
    running.drain(DRAIN).await;
    Ok(())
}

pub(crate) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd does not listen");
    }
}

/// Raises how many files and connections the program may have open as far as it goes: the usual
/// 1,024 are few for a program that many hosts and strangers connect to.
pub fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// This machine's own name for itself.
pub fn machine() -> String {
    let named = rustix::system::uname();
    named.nodename().to_string_lossy().into_owned()
}

/// What a program says as it ends: nothing when it went well, else the error with its causes.
pub fn exit(done: anyhow::Result<()>) -> ExitCode {
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    // Standard error may be closed; there is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "{}: {error:#}", program());
    ExitCode::FAILURE
}

/// What this program is called.
pub(crate) fn program() -> String {
    let path = std::env::args_os()
        .next()
        .map(PathBuf::from)
        .unwrap_or_default();
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
