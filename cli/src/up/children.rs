//! The programs that `up` starts: their logs, and their end.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// How long a program may take to end what it has begun.
const GRACE: Duration = Duration::from_secs(15);

/// How much of a log is shown when its program has failed.
const LAST_LINES: usize = 12;

/// A program that runs until it is asked to end.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Starts a program of ours that lies beside this one. What it logs goes to a file of its name.
    pub(super) fn start(
        name: &'static str,
        arguments: &[&Path],
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        // In a group of its own: Ctrl-C reaches only us, and we end everything in order.
        let child = tethered(&beside(name)?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, log, child })
    }

    /// Waits until it ends although nobody asked it to.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => self.story(status),
            Err(error) => anyhow!(error).context(format!("cannot wait for {}", self.name)),
        }
    }

    /// Ends it: it is asked to, and after a while it is not asked.
    pub(super) async fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // An error means that it has ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        match tokio::time::timeout(GRACE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                bail!(
                    "{} did not end within {} seconds and was killed; its log is {}",
                    self.name,
                    GRACE.as_secs(),
                    self.log.display()
                )
            }
        }
    }

    fn story(&self, status: ExitStatus) -> anyhow::Error {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(LAST_LINES).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        anyhow!(
            "{} ended ({status}). The end of its log, {}:\n{}",
            self.name,
            self.log.display(),
            lines.join("\n")
        )
    }
}

/// Runs one of our programs to its end, and gives it this to read.
pub(super) async fn run_once(name: &str, arguments: &[&OsStr], input: &str) -> anyhow::Result<()> {
    let mut child = Command::new(beside(name)?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{name} failed ({}):\n{}", output.status, said.trim_end())
}

/// A command that is asked to end when we are killed without a chance to say so.
fn tethered(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// Our programs lie in one folder.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let path = own.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: `make up` builds it", path.display());
    }
    Ok(path)
}
