//! Two fresh hosts, one for the collector and one to be watched, and what is done on them.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::network::Network;
use watchward_tests::packages::Packages;
use watchward_tests::page::{self, Step};
use watchward_tests::ssh::Running;
use watchward_tests::wait::{SOON, until, until_seen};

pub(crate) const AGENT: &str = "watchward-agent";
pub(crate) const COLLECTOR: &str = "watchward-collector";

/// Whoever tests, made by a test; all others are of the host.
pub(crate) const USERS: &str = "cut -d: -f1 /etc/passwd /etc/group | grep -v alice | sort";

/// Locks the byte of SQLite's shared memory that stands for the right to write, until its input ends.
const LOCK: &str = "
    use Fcntl qw(:DEFAULT :seek);
    open(my $file, '+<', '/var/lib/watchward/collector.db-shm') or die $!;
    my $lock = pack('s s x4 l! l! i', F_WRLCK, SEEK_SET, 120, 1, 0);
    fcntl($file, F_SETLKW, $lock) or die $!;
    <STDIN>;
";

/// The two hosts.
pub(crate) struct Ground {
    pub(crate) centre: Host,
    pub(crate) host: Host,
    _network: Network,
}

impl Ground {
    /// Fresh ones that know each other's names.
    pub(crate) fn new() -> Result<Self> {
        let network = Network::new()?;
        let centre = Host::boot(&network, "collector.example.net")?;
        let host = Host::boot(&network, "web-1")?;
        for it in [&centre, &host] {
            it.sh(&format!(
                "echo '{} {}' >> /etc/hosts; echo '{} {}' >> /etc/hosts",
                centre.address(),
                centre.name(),
                host.address(),
                host.name()
            ))?;
        }
        Ok(Self {
            centre,
            host,
            _network: network,
        })
    }

    /// With the packages, as the page says, up to where the collector hears the host.
    pub(crate) fn enrolled() -> Result<Self> {
        Self::enrolled_with(|_| Ok(()))
    }

    /// The same, and something more is done where the collector has been installed.
    pub(crate) fn enrolled_with(more: impl Fn(&Self) -> Result<()>) -> Result<Self> {
        let ground = Self::new()?;
        let packages = Packages::built()?;
        packages.copy(&ground.centre, &["watchward", COLLECTOR])?;
        packages.copy(&ground.host, &[AGENT])?;
        for step in page::steps("install.md")? {
            let said = ground.follow(&step)?;
            if step.script.contains("install -y ./watchward_") {
                more(&ground)?;
            }
            if step.script.contains("token create") {
                ground.paste(&said)?;
                break;
            }
        }
        ground.heard().with_context(|| ground.logs())?;
        Ok(ground)
    }

    /// Does what a page says, where it says so. Packages are built already.
    pub(crate) fn follow(&self, step: &Step) -> Result<String> {
        let script = format!("cd /root; {}", step.script);
        match step.place.as_str() {
            "collector" => self.centre.sh(&script),
            "host" => self.host.sh(&script),
            _ => Ok(String::new()),
        }
    }

    /// Pastes the line that `watchward token create` has printed.
    pub(crate) fn paste(&self, said: &str) -> Result<()> {
        let line = said.lines().find(|line| line.contains("enroll"));
        self.host.sh(line.context("no line to paste")?).map(drop)
    }

    /// Waits until the host tells what it found, and that the journal is watched.
    pub(crate) fn heard(&self) -> Result<()> {
        let watched = |hosts: &Vec<Value>| {
            let findings = hosts.first().and_then(|host| host["findings"].as_array());
            findings.is_some_and(|all| {
                all.iter()
                    .any(|it| it["subject"] == "access: journal" && it["state"] == "watched")
            })
        };
        until_seen(
            "the host is heard",
            SOON * 2,
            || self.list("hosts"),
            watched,
        )
        .map(drop)
    }

    /// Writes a configuration of the agent that says only this, and has it read.
    pub(crate) fn configure(&self, settings: &str) -> Result<()> {
        let file = "/etc/watchward/agent.toml";
        self.host.write(file, settings.as_bytes(), 0o644)?;
        self.host.sh("systemctl reload watchward-agent").map(drop)
    }

    /// A list that the operator's command shows.
    pub(crate) fn list(&self, words: &str) -> Result<Vec<Value>> {
        let shown = self.centre.sh(&format!("watchward --json {words}"))?;
        Ok(serde_json::from_str(&shown)?)
    }

    /// Waits until an attack is over and so many tries have come; none of them twice.
    pub(crate) fn all_come(&self, running: &mut Running, expected: usize) -> Result<()> {
        until("the attack is over", SOON * 10, || {
            Ok(running.ended()?.then_some(()))
        })?;
        until_seen(
            "all are there",
            SOON * 2,
            || self.failures(),
            |seen| *seen >= expected,
        )
        .with_context(|| self.logs())?;
        let tries = self.tries()?;
        let mut of_ports: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for one in &tries {
            let port = one.get("port").map(ToString::to_string);
            of_ports
                .entry(port.unwrap_or_default())
                .or_default()
                .push(one);
        }
        // Each connection has a port of its own, and two tries.
        of_ports.retain(|_, tries| tries.len() != 2);
        let came = tries.len();
        ensure!(
            came == expected,
            "{came} came, not {expected}: {of_ports:#?}"
        );
        Ok(())
    }

    /// How many failed tries to log in are known.
    pub(crate) fn failures(&self) -> Result<usize> {
        Ok(self.tries()?.len())
    }

    /// The lines `Failed password`. Not the end of a connection, which counts as a try where none was
    /// seen before: an agent that was started again in between has not seen them.
    fn tries(&self) -> Result<Vec<Value>> {
        let mut tries = self.list("access --attempts --outcome failure --limit 10000")?;
        tries.retain(|one| one.get("form").is_some_and(|form| form == "failed"));
        Ok(tries)
    }

    /// Lets time pass in which nothing happens, and in which nothing may.
    pub(crate) fn idle_for(&self, span: Duration) -> Result<()> {
        self.host.sh(&format!("sleep {}", span.as_secs())).map(drop)
    }

    /// Keeps the collector from writing until the value is dropped.
    pub(crate) fn lock_database(&self) -> Result<Lock> {
        let mut command = self.centre.command(&["perl", "-e", LOCK])?;
        Ok(Lock(command.stdin(Stdio::piped()).spawn()?))
    }

    /// What both programs have logged.
    pub(crate) fn logs(&self) -> String {
        let of = |host: &Host, unit: &str| {
            let words = format!(
                "systemctl status --no-pager {unit}; journalctl -u {unit} -n 40 --no-pager -o cat; true"
            );
            host.sh(&words).unwrap_or_default()
        };
        of(&self.host, AGENT) + of(&self.centre, COLLECTOR).as_str()
    }
}

/// A database that somebody else uses.
pub(crate) struct Lock(Child);

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _gone = self.0.wait();
    }
}
