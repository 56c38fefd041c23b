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
        let look = |from: &Host, user: &str| both(site, &db, (from, user));
        assert_eq!(look(&office, "zoe")?["could"], "yes");

        let open = look(&cafe, "zoe")?;
        assert_eq!(open["could"], "yes", "{open:#}");
        let differs = open["counterexample"].as_str().unwrap_or_default();
        let reaches = format!("{} reaches port 22 of db, because ", cafe.address());
        assert!(
            differs.starts_with(&reaches) && differs.ends_with("; policy permits: office."),
            "{open:#}"
        );
        assert_eq!(look(&office, "zoe")?["counterexample"], Value::Null);

        let rules = format!(
            "table inet gate {{ chain in {{ type filter hook input priority 0; policy accept;
             ct state established accept
             ip saddr {} tcp dport 22 drop\n }}\n}}\n",
            cafe.address()
        );
        db.write("/root/gate", rules.as_bytes(), 0o644)?;
        db.sh("nft -f /root/gate")?;
        let shut = look(&cafe, "zoe")?;
        assert_eq!(shut["could"], "no", "{shut:#}");
        assert!(shut.to_string().contains("rule 2 (handle "), "{shut:#}");
        assert_eq!(look(&office, "zoe")?["could"], "yes");
        db.sh("nft delete table inet gate")?;

        let only = format!("AllowUsers ann zoe@{}\n", office.address());
        setting(&db, &only)?;
        assert_eq!(look(&cafe, "zoe")?["could"], "no");
        assert_eq!(look(&cafe, "ann")?["could"], "yes");
        assert_eq!(look(&office, "zoe")?["could"], "yes");

        setting(
            &db,
            &format!(
                "Match Address {}\n PubkeyAuthentication no\n",
                cafe.address()
            ),
        )?;
        assert_eq!(look(&cafe, "zoe")?["could"], "no");
        assert_eq!(look(&office, "zoe")?["could"], "yes");

        setting(&db, "")?;
        db.sh(&format!(
            "sed -i 's/^/from=\"{}\" /' /home/zoe/.ssh/authorized_keys; usermod -s /usr/sbin/nologin ann",
            office.address()
        ))?;
        let other = look(&cafe, "zoe")?;
        assert_eq!(other["could"], "no", "{other:#}");
        assert!(other.to_string().contains("does not mean"), "{other:#}");
        assert_eq!(look(&office, "zoe")?["could"], "yes");
        assert_eq!(
            look(&office, "ann")?["could"],
            "no",
            "a shell that runs nothing"
        );
        let away = site
            .collector
            .ask(&["can", "zoe@nowhere", "--from", "192.0.2.1"]);
        let away = away
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        assert!(
            away.contains("nowhere is not connected to this collector"),
            "{away}"
        );
        Ok(())
    })
}

fn setting(host: &Host, text: &str) -> Result<()> {
    host.write(SETTINGS, text.as_bytes(), 0o644)?;
    host.sh("systemctl restart ssh").map(drop)
}

/// What is answered, which is what a client achieves.
fn both(site: &Site, db: &Host, (from, user): (&Host, &str)) -> Result<Value> {
    let (whom, address) = (format!("{user}@{}", db.name()), from.address().to_string());
    let answer = site.collector.ask(&["can", &whom, "--from", &address])?;
    let client = from.try_sh(&format!(
        "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
         -o ConnectTimeout=3 -o BatchMode=yes -i .ssh/id_ed25519 -l {user} {} true",
        db.address()
    ))?;
    let said = answer["could"] == "yes";
    ensure!(
        said == client,
        "a client gets in: {client}; answered: {answer:#}"
    );
    Ok(answer)
}
