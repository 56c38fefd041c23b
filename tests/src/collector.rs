//! A collector under test: its configuration, its life and death, and what it shows an operator.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use crate::network::Network;
use crate::programs;
use crate::run::run;
use crate::undo::{Folder, Undo};
use crate::wait::{SOON, until};

/// Where it listens for agents, on the network's outside address.
pub const STREAM_PORT: u16 = 7443;
/// Where it listens for enrolment.
pub const ENROLMENT_PORT: u16 = 7444;

/// A collector, which can be killed and started again on what it had kept.
#[derive(Debug)]
pub struct Collector {
    folder: Folder,
    process: Mutex<Option<Process>>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    undo: Option<Undo>,
}

impl Collector {
    /// Starts one on the outside address of the network.
    ///
    /// `database` is the URL of an empty database, or nothing for SQLite; `settings` are what a
    /// scenario adds to the configuration.
    pub fn start(network: &Network, database: Option<&str>, settings: &str) -> Result<Self> {
        let folder = Folder::new("watchward-collector-")?;
        let text = configuration(&folder, network, database);
        fs::write(folder.path().join("collector.toml"), text + settings)?;
        let collector = Self {
            folder,
            process: Mutex::new(None),
        };
        collector.start_again()?;
        Ok(collector)
    }

    /// Gives it another policy, and waits until that counts.
    pub fn rule(&self, policy: &str) -> Result<()> {
        const TAKEN: &str = "read the configuration again";
        let taken = || -> Result<usize> {
            Ok(fs::read_to_string(self.file("log"))?.matches(TAKEN).count())
        };
        let before = taken()?;
        fs::write(self.file("policy.toml"), policy)?;
        let process = self.lock();
        let process = process.as_ref().context("the collector does not run")?;
        kill_process(Pid::from_child(&process.child), Signal::HUP)?;
        until("the policy counts", SOON, || {
            Ok((taken()? > before).then_some(()))
        })
        .with_context(|| self.log())
    }

    /// Where its page is: `http://127.0.0.1:` and the port that it found free.
    pub fn page(&self) -> Result<String> {
        let log = fs::read_to_string(self.file("log"))?;
        let (_, said) = log
            .rsplit_once("the page is at ")
            .context("it has no page")?;
        let page = said.split_whitespace().next().unwrap_or_default();
        Ok(page.trim_end_matches('/').to_owned())
    }

    /// Where it keeps what a scenario gives it: secrets, certificates.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Kills it without a word of warning.
    pub fn kill(&self) -> Result<()> {
        let mut process = self.lock().take().context("the collector does not run")?;
        drop(process.undo.take());
        process.child.wait()?;
        Ok(())
    }

    /// Has it abort where programs leave core dumps: how it ended.
    pub fn abort(&self) -> Result<ExitStatus> {
        let mut process = self.lock().take().context("the collector does not run")?;
        let pid = Pid::from_child(&process.child);
        let (current, maximum) = (None, None);
        prlimit(Some(pid), Resource::Core, Rlimit { current, maximum })?;
        kill_process(pid, Signal::ABORT)?;
        Ok(process.child.wait()?)
    }

    /// Starts it on what it had kept, and waits until it answers.
    pub fn start_again(&self) -> Result<()> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.file("log"))?;
        *self.lock() = Some(self.spawn(log)?);
        until("the collector answers", SOON, || {
            ensure!(self.runs()?, "the collector ended");
            self.ask(&["hosts"]).map(Some)
        })
        .map(drop)
        .with_context(|| self.log())
    }

    /// What the operator's command shows, for programs.
    pub fn ask(&self, words: &[&str]) -> Result<Value> {
        let shown = run(self.command()?.arg("--json").args(words))?;
        serde_json::from_str(&shown).with_context(|| format!("this is no JSON: {shown}"))
    }

    /// The operator's command, which speaks to this collector.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(programs::path(programs::COMMAND)?);
        command.arg("--socket").arg(self.file("collector.sock"));
        Ok(command)
    }

    /// A list that the operator's command shows.
    pub fn list(&self, words: &[&str]) -> Result<Vec<Value>> {
        serde_json::from_value(self.ask(words)?).with_context(|| format!("{words:?} is no list"))
    }

    /// The incidents, open and over.
    pub fn incidents(&self) -> Result<Vec<Value>> {
        self.list(&["incidents"])
    }

    /// A new token for a host of this name.
    pub fn token(&self, host: &str) -> Result<String> {
        let made = self.ask(&["token", "create", host])?;
        Ok(made
            .get("token")
            .and_then(Value::as_str)
            .context("no token")?
            .to_owned())
    }

    /// Waits until this text is somewhere in its database, which must be SQLite.
    pub fn until_kept(&self, text: &str) -> Result<()> {
        until(&format!("the collector keeps {text}"), SOON, || {
            let kept = ["watchward.db", "watchward.db-wal"].iter().any(|name| {
                let bytes = fs::read(self.file(name)).unwrap_or_default();
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            });
            Ok(kept.then_some(()))
        })
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.file("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(80)..)
            .unwrap_or_default();
        format!("the collector's log ends with:\n{}", last.join("\n"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spawn(&self, log: File) -> Result<Process> {
        let child = Command::new(programs::path(programs::COLLECTOR)?)
            .arg("--config")
            .arg(self.file("collector.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let undo = Some(Undo::promise(format!("kill -9 {}", child.id()))?);
        Ok(Process { child, undo })
    }

    fn runs(&self) -> Result<bool> {
        let mut process = self.lock();
        let process = process.as_mut().context("the collector does not run")?;
        Ok(process.child.try_wait()?.is_none())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if self.lock().is_some() {
            let _ended = self.kill();
        }
    }
}

fn configuration(folder: &Folder, network: &Network, database: Option<&str>) -> String {
    let (state, outside) = (folder.path().display(), network.outside());
    let sqlite = format!("sqlite://{state}/watchward.db");
    let database = database.unwrap_or(&sqlite);
    format!(
        "store.database = \"{database}\"
         admin.socket = \"{state}/collector.sock\"
         web.listen = \"127.0.0.1:0\"
         hosts.authority = \"{state}/authority.pem\"
         policy.file = \"{state}/policy.toml\"
         intake.listen = \"{outside}:{STREAM_PORT}\"
         intake.enrolment = \"{outside}:{ENROLMENT_PORT}\"
        "
    )
}
