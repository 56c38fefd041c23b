//! A client whose keys rotate, the servers that they open, and programs of the client that log in all the time.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::logins::Logins;
use watchward_tests::ready::notice;
use watchward_tests::run::run;
use watchward_tests::site::Site;
use watchward_tests::wait::{SOON, until};
use watchward_tests::{agent, enforcer};

use crate::managed::GUARD;
use crate::{append, new_key};

/// Where the client's programs find the key that is called `backup`.
pub(super) const ID: &str = "/var/lib/watchward-identities/backup";
/// Has a server hear nothing of the collector, and hear it again.
pub(super) const CUT: &str = "nft 'add table inet cut; add chain inet cut out { type filter hook output priority 0; }; \
    add rule inet cut out tcp dport 7443 drop'";
pub(super) const HEAL: &str = "nft delete table inet cut";
/// The phases of a rotation that begins, in their order.
pub(super) const PHASES: [&str; 6] = [
    "making",
    "adding",
    "switching",
    "shadow",
    "revoking",
    "destroying",
];

/// A client, and two servers that have an account which nothing but its key opens.
pub(super) struct Ground<'a> {
    pub(super) site: &'a Site,
    pub(super) home: Host,
    pub(super) servers: Vec<Host>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(site: &'a Site) -> Result<Self> {
        let home = watched(site, "home")?;
        home.sh("useradd -m -s /bin/bash zoe")?;
        let admin = new_key(&home, "admin")?;
        let mut servers = Vec::new();
        for name in ["web", "shop"] {
            let server = server(site, name)?;
            append(&server, "root", &admin.text)?;
            servers.push(server);
        }
        Ok(Self {
            site,
            home,
            servers,
        })
    }

    /// The same, once the client has the first of its keys, and uses it.
    pub(super) fn with_a_key(site: &'a Site) -> Result<Self> {
        let ground = Self::new(site)?;
        site.collector.rule(&policy(site, &["backup".to_owned()]))?;
        ground.until_idle(1)?;
        Ok(ground)
    }

    pub(super) fn web(&self) -> Result<&Host> {
        self.servers.first().context("no server")
    }

    pub(super) fn shop(&self) -> Result<&Host> {
        self.servers.get(1).context("no second server")
    }

    pub(super) fn shown(&self) -> Result<Value> {
        self.site.collector.ask(&["rotation", "show", "backup"])
    }

    /// Has the key replaced now.
    pub(super) fn begin(&self) -> Result<()> {
        let mut command = self.site.collector.command()?;
        run(command.args(["rotation", "now", "backup"])).map(drop)
    }

    /// A program of the client that logs in all the time with one of these keys after the other.
    pub(super) fn logins(&self, keys: &[String]) -> Result<Logins> {
        let way = |key: &String, server: &Host| {
            let folder = format!("/var/lib/watchward-identities/{key}");
            format!(
                "-o IdentitiesOnly=yes -o IdentityAgent=none -i {folder}/id -i {folder}/newest alice@{}",
                server.address()
            )
        };
        let of_key = |key| self.servers.iter().map(move |server| way(key, server));
        let ways: Vec<_> = keys.iter().flat_map(of_key).collect();
        let folder = format!("/tmp/logins-{}", keys.first().context("no key")?);
        self.home.sh(&format!("install -d -o zoe {folder}"))?;
        let seen = self.home.outside_path(&folder)?;
        let shell = |script: &str| {
            let words = [
                "runuser", "-u", "zoe", "--", "env", "-C", &folder, "bash", "-c", script,
            ];
            self.home.command(&words)
        };
        Logins::begin(shell, seen, &ways)
    }

    /// That somebody always got in.
    pub(super) fn always_worked(&self, logins: Logins) -> Result<()> {
        let worked = logins.always_worked().with_context(|| self.why())?;
        notice(&format!("logins while keys rotated: {worked}"));
        Ok(())
    }

    /// Waits until the key of this number is the only one.
    pub(super) fn until_idle(&self, serial: u64) -> Result<()> {
        until("the rotation ends", SOON * 4, || {
            Ok(is_over(&self.shown()?, serial).then_some(()))
        })
        .with_context(|| self.why())
    }

    /// Waits until this is the number of each of these keys, and of no other.
    pub(super) fn all_are_idle(&self, names: &[String], serial: u64) -> Result<()> {
        let bound = SOON * u32::try_from(names.len())?.max(5);
        until("all rotations end", bound, || {
            let all = self.site.collector.list(&["rotation", "list"])?;
            let over = all.iter().filter(|it| is_over(it, serial)).count();
            ensure!(over == names.len(), "{over} of {} have ended", names.len());
            Ok(Some(()))
        })
        .with_context(|| self.why())
    }

    /// What opens the account, as all servers hold it.
    pub(super) fn keys(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for server in &self.servers {
            let lines = server.sh("cd /etc/ssh/watchward/now/keys; grep -v cert-authority alice | grep -o 'ssh-ed25519 .*'")?;
            let lines: BTreeSet<_> = lines.lines().map(str::to_owned).collect();
            ensure!(all.is_empty() || all == lines, "{}", self.why());
            all = lines;
        }
        Ok(all)
    }

    /// Waits until it is this far with the key of this number, or further.
    pub(super) fn until_phase(&self, phase: &str, serial: u64) -> Result<()> {
        let wanted = PHASES.iter().position(|it| *it == phase);
        // Two hosts may be asked in turn, and each may keep others waiting.
        until(phase, SOON * 3, || {
            let shown = self.shown()?;
            let now = PHASES
                .iter()
                .position(|it| shown.get("phase").is_some_and(|phase| phase == it));
            Ok((is_over(&shown, serial) || now >= wanted).then_some(()))
        })
        .with_context(|| self.why())
    }

    /// That one key works, and it is the client's own of this number.
    pub(super) fn has_one_way_in(&self, serial: u64) -> Result<()> {
        let key = self
            .home
            .sh(&format!("cut -d' ' -f2 {ID}/{serial}/id.pub"))?;
        let left = self.home.sh(&format!("cd {ID}; ls -d [0-9]*"))?;
        ensure!(left.trim() == serial.to_string(), "{left}\n{}", self.why());
        for server in &self.servers {
            let lines = server.sh("cat /etc/ssh/watchward/now/keys/alice")?;
            let one = lines.lines().count() == 1 && lines.contains(key.trim());
            ensure!(one, "{}: {lines}\n{}", server.name(), self.why());
        }
        Ok(())
    }

    /// No rotation has made anybody come.
    pub(super) fn is_quiet(&self) -> Result<()> {
        let mut alerts = self.site.collector.incidents()?;
        alerts.retain(|it| it["key"].as_str().is_some_and(|it| it.contains("rotation")));
        ensure!(alerts.is_empty(), "{alerts:#?}");
        Ok(())
    }

    pub(super) fn why(&self) -> String {
        let shown = self.shown().map(|it| format!("{it:#}"));
        let log = |host: &Host| {
            let role = host.sh("journalctl -u watchward-enforcer-keys --no-pager -o cat -n 30");
            format!("{}\n{}", agent::log(host), role.unwrap_or_default())
        };
        let logs: Vec<_> = self.servers.iter().map(log).collect();
        format!(
            "{}\n{}\n{}\n{}",
            shown.unwrap_or_default(),
            self.site.collector.log(),
            log(&self.home),
            logs.join("\n")
        )
    }
}

fn is_over(shown: &Value, serial: u64) -> bool {
    shown["phase"] == "idle" && shown["serial"].as_u64() == Some(serial)
}

/// A server with an account that nothing opens.
pub(super) fn server(site: &Site, name: &str) -> Result<Host> {
    let server = watched(site, name)?;
    server.sh("useradd -m -s /bin/bash alice")?;
    Ok(server)
}

/// Kills these services of a host, which come back.
pub(super) fn kill(host: &Host, units: &str) -> Result<()> {
    host.sh(&format!(
        "systemctl kill -s KILL {units}; systemctl reset-failed"
    ))
    .map(drop)
}

/// A host with everything that is shipped for keys.
fn watched(site: &Site, name: &str) -> Result<Host> {
    let host = site.boot(name)?;
    agent::start_unprivileged(&host, &site.network, &site.collector, "")?;
    enforcer::start_keys(&host, GUARD)?;
    Ok(host)
}

/// A policy by which the client has keys of these names, that open the servers from the whole network, and
/// from where the bench is.
pub(super) fn policy(site: &Site, names: &[String]) -> String {
    let [a, b, c, _] = site.network.outside().octets();
    let machine = |name: &String| {
        format!(
            "[[keys.machines]]\nname = \"{name}\"\nclient = \"home\"\nuser = \"zoe\"\n\
             groups = [\"servers\"]\naccounts = [\"alice\"]\nfrom = [\"here\"]\n\
             overlap = \"1s\"\nshadow = \"3s\"\n"
        )
    };
    let machines: String = names.iter().map(machine).collect();
    format!(
        "[groups]\nservers = [\"web\", \"shop\"]\n[networks]\nhere = [\"{a}.{b}.{c}.0/24\", \"127.0.0.1\"]\n{machines}"
    )
}
