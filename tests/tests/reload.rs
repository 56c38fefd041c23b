//! A running collector reads its configuration again on SIGHUP, keeps the old one when the new one
//! is bad, and ends cleanly on SIGTERM.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watchward_protocol::time::Timestamp;
use watchward_tests::programs;
use watchward_tests::wait::{SOON, until};

/// A collector that ends with the test.
struct Collector {
    folder: tempfile::TempDir,
    child: Child,
}

impl Collector {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        configure(folder.path(), "token_life = \"15m\"")?;
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(programs::path(programs::COLLECTOR)?)
            .arg("--config")
            .arg(folder.path().join("collector.toml"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        let collector = Self { folder, child };
        until("the collector answers", SOON, || {
            Ok(collector.token_life().ok())
        })?;
        Ok(collector)
    }

    /// How many minutes a new token lives.
    fn token_life(&self) -> Result<u64> {
        let before = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        let output = Command::new(programs::path(programs::COMMAND)?)
            .arg("--socket")
            .arg(self.folder.path().join("socket"))
            .args(["--json", "token", "create", "web-1"])
            .output()?;
        let made: Value = serde_json::from_slice(&output.stdout)?;
        let expires = made.get("expires_at").and_then(Value::as_i64);
        let expires = expires.context("no token")?;
        let life = Timestamp::from_micros(expires).since(before);
        Ok((life.as_secs() + 30) / 60)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        Ok(kill_process(pid, signal)?)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configure(folder: &Path, hosts: &str) -> Result<()> {
    let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
    let at = folder.display();
    let text = format!(
        "[store]\ndatabase = \"sqlite://{at}/db\"\n\
         [intake]\nlisten = \"127.0.0.1:{}\"\nenrolment = \"127.0.0.1:{}\"\n\
         [admin]\nsocket = \"{at}/socket\"\n\
         [web]\nlisten = \"127.0.0.1:0\"\n\
         [alerting]\nfolder = \"{at}/messages\"\n\
         [policy]\nfile = \"{at}/policy.toml\"\n\
         [hosts]\nauthority = \"{at}/authority.pem\"\n{hosts}\n",
        port()?,
        port()?
    );
    Ok(fs::write(folder.join("collector.toml"), text)?)
}

#[test]
fn a_bad_configuration_changes_nothing_and_a_good_one_counts_at_once() -> Result<()> {
    let mut collector = Collector::start()?;
    ensure!(collector.token_life()? == 15);

    configure(collector.folder.path(), "token_lief = \"1h\"")?;
    collector.signal(Signal::HUP)?;
    until("the mistake is shown with its place", SOON, || {
        let log = collector.log();
        let shown = log.contains("unknown field `token_lief`") && log.contains("^^^^^^^^^^");
        Ok(shown.then_some(()))
    })?;
    ensure!(
        collector.token_life()? == 15,
        "the old configuration is gone"
    );

    configure(collector.folder.path(), "token_life = \"1h\"")?;
    collector.signal(Signal::HUP)?;
    until("the new configuration counts", SOON, || {
        Ok((collector.token_life()? == 60).then_some(()))
    })?;

    collector.signal(Signal::TERM)?;
    ensure!(collector.child.wait()?.success(), "it did not end cleanly");
    Ok(())
}

#[test]
fn a_mistake_in_the_policy_keeps_both_files_as_they_were() -> Result<()> {
    let collector = Collector::start()?;
    let policy = collector.folder.path().join("policy.toml");
    configure(collector.folder.path(), "token_life = \"1h\"")?;
    fs::write(&policy, "[health.web.tcp.a]\naddress = \"localhost:22\"\n")?;
    collector.signal(Signal::HUP)?;
    until("the mistake is shown with its place", SOON, || {
        let log = collector.log();
        let shown =
            log.contains("there is no group \\\"web\\\"") || log.contains("no group \"web\"");
        Ok((shown && log.contains("policy.toml") && log.contains("^^^")).then_some(()))
    })?;
    ensure!(collector.token_life()? == 15, "half of it counts");

    fs::write(&policy, "[groups]\nweb = [\"web-*\"]\n")?;
    collector.signal(Signal::HUP)?;
    until("both count", SOON, || {
        Ok((collector.token_life()? == 60).then_some(()))
    })?;
    let check = |file: &Path| {
        let command = programs::path(programs::COMMAND)?;
        Ok::<_, anyhow::Error>(
            Command::new(command)
                .args(["policy", "check"])
                .arg(file)
                .output()?,
        )
    };
    ensure!(check(&policy)?.status.success());
    fs::write(&policy, "[groups]\nall = []\n")?;
    let refused = check(&policy)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        !refused.status.success() && said.contains("line 2") && said.contains("^^^"),
        "{said}"
    );
    Ok(())
}
