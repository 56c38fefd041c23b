//! The second figure: events per CPU second, from the spool to a committed row, through the
//! programs as they are shipped.
//!
//! The agent first reads a log while no collector runs, so that all of it lies in the spool. Then
//! the collector is started, and both are measured until the last event can be read from it.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watchward_tests::wait::until;

use crate::{cpu, figure, log, say};

/// How long the log is.
const LINES: usize = 200_000;

/// Whose attempt is the last line of the log.
const LAST: &str = "the-last-one";

/// The log's name, and the one it has before the agent may read it.
const LOG: &str = "spooled.log";
const COMING: &str = "coming.log";

/// More than any step takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures and says it.
pub(crate) fn measure(programs: &Path, folder: &Path) -> Result<()> {
    let place = Place::prepare(programs, folder)?;
    say("\nEnrolling, and filling the spool while no collector runs ...")?;
    let collector = place.collector()?;
    place.enrol()?;
    end(collector)?;
    let agent = place.agent()?;
    place.log_comes()?;
    let read = settled(agent.id())?;

    let collector = place.collector()?;
    until("the last event is a row", PATIENCE, || {
        let newest = place.ask(&["access", "--limit", "1", "--json"])?;
        let user = newest.pointer("/0/user").and_then(Value::as_str);
        Ok((user == Some(LAST)).then_some(()))
    })?;
    let sent = settled(agent.id())? - read;
    let kept = settled(collector.id())?;
    let events = place.events()?;
    end(agent)?;
    end(collector)?;

    say(&format!(
        "\n{:<34} {:>9} {:>14}",
        "events", "CPU s", "events/CPU s"
    ))?;
    for (name, spent) in [
        ("agent: log to spool", read),
        ("agent: spool to collector", sent),
        ("collector: stream to row", kept),
        ("spool to committed row, both", sent + kept),
    ] {
        say(&format!("{name:<34} {}", figure(events, spent)))?;
    }
    say(&format!("{events} events of {LINES} lines"))
}

/// Where everything lies.
struct Place {
    programs: PathBuf,
    folder: PathBuf,
}

impl Place {
    fn prepare(programs: &Path, folder: &Path) -> Result<Self> {
        let file = folder.join(COMING);
        log::write(&file, LINES - 1)?;
        let mut last = File::options().append(true).open(&file)?;
        writeln!(
            last,
            "Nov 21 23:59:59 web1 sshd[9]: Failed password for {LAST} from 203.0.113.9 port 9 ssh2"
        )?;
        let listeners = [
            TcpListener::bind("127.0.0.1:0")?,
            TcpListener::bind("127.0.0.1:0")?,
        ];
        let [agents, enrolment] = listeners
            .each_ref()
            .map(|listener| listener.local_addr().map(|address| address.to_string()));
        let (agents, enrolment, at) = (agents?, enrolment?, folder.display());
        fs::write(
            folder.join("collector.toml"),
            format!(
                "[store]\ndatabase = \"sqlite://{at}/collector.db\"\n\
                 [hosts]\nauthority = \"{at}/authority.pem\"\n\
                 [admin]\nsocket = \"{at}/collector.sock\"\n\
                 [web]\nlisten = \"127.0.0.1:0\"\n\
                 [alerting]\nfolder = \"{at}/messages\"\n\
                 [intake]\nlisten = \"{agents}\"\nenrolment = \"{enrolment}\"\n"
            ),
        )?;
        fs::write(
            folder.join("agent.toml"),
            format!(
                "[uplink]\ncollector = \"{agents}\"\nenrolment = \"{enrolment}\"\nretry = \"1s\"\n\
                 [spool]\ndirectory = \"{at}/spool\"\n\
                 [hosts]\nidentity = \"{at}/identity.json\"\n\
                 [access]\nsource = \"files\"\nfiles = [\"{}\"]\n\
                 [health.host]\nenabled = false\n",
                folder.join(LOG).display()
            ),
        )?;
        Ok(Self {
            programs: programs.to_owned(),
            folder: folder.to_owned(),
        })
    }

    fn collector(&self) -> Result<Child> {
        let child = self.start("watchward-collector", &["--config", "collector.toml"])?;
        until("the collector answers", PATIENCE, || {
            Ok(self.ask(&["hosts", "--json"]).ok())
        })?;
        Ok(child)
    }

    fn agent(&self) -> Result<Child> {
        self.start("watchward-agent", &["run", "--config", "agent.toml"])
    }

    /// Has the log come while the agent waits for it: one that is there already is read from its end.
    fn log_comes(&self) -> Result<()> {
        rest();
        Ok(fs::rename(self.folder.join(COMING), self.folder.join(LOG))?)
    }

    fn enrol(&self) -> Result<()> {
        let made = self.ask(&["token", "create", "web1", "--json"])?;
        let token = made.get("token").and_then(Value::as_str);
        let arguments = ["enroll", "--config", "agent.toml", "--name", "web1"];
        let status = Command::new(self.programs.join("watchward-agent"))
            .args(arguments)
            .arg(token.context("no token was made")?)
            .current_dir(&self.folder)
            .status()?;
        ensure!(status.success(), "the agent could not enrol");
        Ok(())
    }

    /// How many events the collector has: it numbers them.
    fn events(&self) -> Result<usize> {
        let newest = self.ask(&["access", "--limit", "1", "--json"])?;
        let id = newest.pointer("/0/id").and_then(Value::as_u64);
        Ok(usize::try_from(id.context("there is no event")?)?)
    }

    fn ask(&self, words: &[&str]) -> Result<Value> {
        let output = Command::new(self.programs.join("watchward"))
            .arg("--socket")
            .arg(self.folder.join("collector.sock"))
            .args(words)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Result<Child> {
        let log = File::create(self.folder.join(format!("{program}.log")))?;
        let mut command = Command::new(self.programs.join(program));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stderr(log);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
    }
}

/// What a process has used, once it uses next to nothing any more.
fn settled(pid: u32) -> Result<Duration> {
    let mut before = cpu::of(pid)?;
    until("it comes to rest", PATIENCE, || {
        rest();
        let now = cpu::of(pid)?;
        let rests = now - before <= Duration::from_millis(20);
        before = now;
        Ok((rests && !now.is_zero()).then_some(now))
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark watches real programs in real time"
)]
fn rest() {
    std::thread::sleep(Duration::from_secs(2));
}

fn end(mut child: Child) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.context("no process has this number")?, Signal::TERM)?;
    child.wait()?;
    Ok(())
}
