//! `watchward can`, beside what a real ssh client achieves: by nftables, by sshd's lists, by keys.

use anyhow::{Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::site::{Site, play};
use watchward_tests::ssh;

const SETTINGS: &str = "/etc/ssh/sshd_config.d/tests.conf";

#[test]
fn what_is_answered_is_what_a_client_achieves() -> Result<()> {
    play("who could get in", "", |site| {
        let ground = Ground::new(site)?;
        ground.by_the_network()?;
        ground.by_sshd()?;
        ground.by_keys_and_shells()?;
        let away = ["can", "zoe@nowhere", "--from", "192.0.2.1"];
        let away = site.collector.ask(&away).err();
        let away = away.map_or_else(String::new, |error| format!("{error:#}"));
        let expected = "there is no host nowhere";
        ensure!(away.contains(expected), "{away}");
        Ok(())
    })
}

/// A host, with people who come from the office and from elsewhere.
struct Ground<'a> {
    site: &'a Site,
    db: Host,
    office: Host,
    cafe: Host,
}

impl<'a> Ground<'a> {
    fn new(site: &'a Site) -> Result<Self> {
        let (db, office, cafe) = (
            site.watched("db", "")?,
            site.boot("office")?,
            site.boot("cafe")?,
        );
        db.sh("useradd -m -s /bin/bash zoe; useradd -m -s /bin/bash ann")?;
        for user in ["zoe", "ann"] {
            ssh::add_key(&office, user, &db)?;
            ssh::add_key(&cafe, user, &db)?;
        }
        site.collector.rule(&format!(
            "[groups]\ndatabases = [\"db\"]\n[networks]\noffice = [\"{}\"]\n\
             [[restriction.rules]]\ngroups = [\"databases\"]\nservices = [\"ssh\"]\nfrom = [\"office\"]\n",
            office.address()
        ))?;
        Ok(Self {
            site,
            db,
            office,
            cafe,
        })
    }

    fn by_the_network(&self) -> Result<()> {
        let asked = self.answers(&self.office, "zoe", "yes")?;
        ensure!(at(&asked, "/counterexample").is_null(), "{asked:#}");
        let open = self.answers(&self.cafe, "zoe", "yes")?;
        let differs = at(&open, "/counterexample").as_str().unwrap_or_default();
        let reaches = format!("{} reaches port 22 of db, because ", self.cafe.address());
        let said = differs.starts_with(&reaches)
            && differs.ends_with("; policy permits: office, and only watches who else comes.");
        ensure!(said, "{open:#}");

        let rules = format!(
            "table inet gate {{ chain in {{ type filter hook input priority 0; policy accept;
             ct state established accept
             ip saddr {} tcp dport 22 drop\n }}\n}}\n",
            self.cafe.address()
        );
        self.db.write("/root/gate", rules.as_bytes(), 0o644)?;
        self.db.sh("nft -f /root/gate")?;
        let shut = self.answers(&self.cafe, "zoe", "no")?;
        ensure!(shut.to_string().contains("rule 2 (handle "), "{shut:#}");
        self.answers(&self.office, "zoe", "yes")?;
        self.db.sh("nft delete table inet gate").map(drop)
    }

    fn by_sshd(&self) -> Result<()> {
        let only = format!("AllowUsers ann zoe@{}\n", self.office.address());
        setting(&self.db, &only)?;
        self.answers(&self.cafe, "zoe", "no")?;
        self.answers(&self.cafe, "ann", "yes")?;
        self.answers(&self.office, "zoe", "yes")?;

        let there = self.cafe.address();
        let match_address = format!("Match Address {there}\n PubkeyAuthentication no\n");
        setting(&self.db, &match_address)?;
        self.answers(&self.cafe, "zoe", "no")?;
        self.answers(&self.office, "zoe", "yes")?;
        setting(&self.db, "")
    }

    fn by_keys_and_shells(&self) -> Result<()> {
        self.db.sh(&format!(
            "sed -i 's/^/from=\"{}\" /' /home/zoe/.ssh/authorized_keys; usermod -s /usr/sbin/nologin ann",
            self.office.address()
        ))?;
        let other = self.answers(&self.cafe, "zoe", "no")?;
        ensure!(other.to_string().contains("does not mean"), "{other:#}");
        self.answers(&self.office, "zoe", "yes")?;
        self.answers(&self.office, "ann", "no").map(drop)
    }

    /// What is answered: this, as far as it goes, and what a client achieves.
    fn answers(&self, from: &Host, user: &str, could: &str) -> Result<Value> {
        let (whom, address) = (
            format!("{user}@{}", self.db.name()),
            from.address().to_string(),
        );
        let answer = self
            .site
            .collector
            .ask(&["can", &whom, "--from", &address])?;
        let client = from.try_sh(&format!(
            "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
             -o ConnectTimeout=3 -o BatchMode=yes -i .ssh/id_ed25519 -l {user} {} true",
            self.db.address()
        ))?;
        ensure!(at(&answer, "/could") == could, "{answer:#}");
        let said = could == "yes";
        ensure!(
            said == client,
            "a client gets in: {client}; answered: {answer:#}"
        );
        Ok(answer)
    }
}

/// What stands there; null, if nothing does.
fn at<'a>(value: &'a Value, place: &str) -> &'a Value {
    value.pointer(place).unwrap_or(&Value::Null)
}

fn setting(host: &Host, text: &str) -> Result<()> {
    host.write(SETTINGS, text.as_bytes(), 0o644)?;
    host.sh("systemctl restart ssh").map(drop)
}
