//! Agent, reader of keys and enforcer as they are shipped: what is answered of a gate that holds, and
//! what is told when sshd lets in others than before.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until};
use watchward_tests::{agent, enforcer, ssh};

const SETTINGS: &str = "/etc/ssh/sshd_config.d/tests.conf";

/// What others have in the kernel, before and after what is ours.
const OTHERS: &str = "table inet others {
    chain early { type filter hook prerouting priority -400; policy accept; tcp dport 22 accept; }
    chain late { type filter hook input priority 10; policy accept; tcp dport { 22, 80 } accept; }
}";

/// What somebody does who wants SSH open: our table away, and one like that of a distribution.
const MORE: &str = "delete table inet watchward
table ip filter {
    chain known { tcp dport { 80, 443 } accept; }
    chain input { type filter hook input priority 0; policy drop;
        ct state established,related accept
        jump known
        ip saddr 0.0.0.0/0 tcp dport 22 accept
        accept
    }
}";

#[test]
fn an_agent_without_privileges_answers_who_could_get_in() -> Result<()> {
    play("who could get in, as it is shipped", "", |site| {
        let (db, office, cafe) = (site.boot("db")?, site.boot("office")?, site.boot("cafe")?);
        db.sh("useradd -m -s /bin/bash zoe")?;
        ssh::add_key(&office, "zoe", &db)?;
        ssh::add_key(&cafe, "zoe", &db)?;
        agent::start_unprivileged(&db, &site.network, &site.collector, "")?;
        enforcer::start_unprivileged(&db, "never = []\n")?;
        db.write("/root/others", OTHERS.as_bytes(), 0o644)?;
        db.sh("nft -f /root/others")?;
        site.collector.rule(&format!(
            "[groups]\ndb = [\"db\"]\n[networks]\noffice = [\"{}\"]\n\
             [restriction]\nput_back = false\n[[restriction.rules]]\n\
             groups = [\"db\"]\nservices = [\"ssh\"]\nfrom = [\"office\"]\nmode = \"enforce\"\n",
            office.address()
        ))?;
        until("the gate is shut", SOON * 2, || {
            Ok((!ssh::reaches(&cafe, &db)?).then_some(()))
        })
        .with_context(|| logs(&db))?;
        by_gates(site, (&db, &office, &cafe)).with_context(|| logs(&db))?;
        by_sshd(site, &db).with_context(|| logs(&db))
    })
}

/// What an answer says under a name; nothing, if it says nothing there.
fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    let said = answer.get(name).and_then(Value::as_str);
    said.unwrap_or_default()
}

fn by_gates(site: &Site, (db, office, cafe): (&Host, &Host, &Host)) -> Result<()> {
    let shut = ask(site, cafe)?;
    ensure!(text(&shut, "could") == "no", "{shut:#}");
    ensure!(ssh::key(office, db, "zoe")? && !ssh::key(cafe, db, "zoe")?);
    let way = nftables(&shut);
    let ours = way.contains("of table inet watchward drops it");
    ensure!(ours && text(&shut, "counterexample").is_empty(), "{shut:#}");
    let open = ask(site, office)?;
    ensure!(
        text(&open, "could") == "yes" && text(&open, "counterexample").is_empty(),
        "{open:#}"
    );

    // Who is banned comes no further than to that; bans are not in what nft is asked for.
    let banned = cafe.address().to_string();
    let word = ["--reason", "test"];
    site.collector
        .ask(&[&["ban", "add", &banned, "--for", "1h"], &word[..]].concat())?;
    let has = format!("nft list set inet watchward banned4_32 | grep -qwF {banned}");
    until("the ban is there", SOON, || {
        Ok(db.try_sh(&has)?.then_some(()))
    })?;
    let way = nftables(&ask(site, cafe)?);
    let by_ban = way.contains("of chain inbound of table inet watchward drops it");
    ensure!(by_ban, "{way}");
    site.collector
        .ask(&[&["ban", "lift", &banned], &word[..]].concat())?;
    until("the ban is gone", SOON, || {
        Ok((!db.try_sh(&has)?).then_some(()))
    })?;

    // Somebody takes it away, and has a firewall that drops what it does not know.
    db.write("/root/more", MORE.as_bytes(), 0o644)?;
    db.sh("nft -f /root/more")?;
    let open = ask(site, cafe)?;
    ensure!(
        text(&open, "could") == "yes" && ssh::key(cafe, db, "zoe")?,
        "{open:#}"
    );
    let said = text(&open, "counterexample");
    let start = format!(
        "{} reaches port 22 of db, because rule 3 (handle ",
        cafe.address()
    );
    let end = ") of chain input of table ip filter accepts it; policy permits: office.";
    ensure!(said.starts_with(&start) && said.ends_with(end), "{said}");

    db.sh("nft insert rule ip filter input ip saddr 0.0.0.0/0 tcp dport 22 reject")?;
    let shut = ask(site, office)?;
    ensure!(
        text(&shut, "could") == "no" && !ssh::key(office, db, "zoe")?,
        "{shut:#}"
    );
    let said = text(&shut, "counterexample");
    let start = format!(
        "{} does not reach port 22 of db, though policy permits it, because rule 1 (handle ",
        office.address()
    );
    let end = ") of chain input of table ip filter rejects it.";
    ensure!(said.starts_with(&start) && said.ends_with(end), "{said}");
    db.sh("nft delete table ip filter").map(drop)
}

fn by_sshd(site: &Site, db: &Host) -> Result<()> {
    db.write(SETTINGS, b"PermitRootLogin no\n", 0o644)?;
    let words = "db: sshd's PermitRootLogin changed from";
    site.incidents_until("a change is told", |all| told(all, words).is_some())?;
    db.write(SETTINGS, b"Port 22\nPort 2222\n", 0o644)?;
    db.sh("systemctl reload ssh")?;
    let words = "db: sshd also listens on port 2222, which no rule is about";
    site.incidents_until("the port is told", |all| {
        told(all, words).is_some_and(|one| one["severity"] == "critical")
    })?;
    db.write(SETTINGS, b"", 0o644)?;
    let of_sshd = |one: &Value| one["resolved_at"].is_null() && one.to_string().contains("sshd");
    site.incidents_until("it is over", |all| !all.iter().any(of_sshd))
}

fn told<'a>(all: &'a [Value], words: &str) -> Option<&'a Value> {
    let says = |one: &&Value| one["title"].to_string().contains(words);
    all.iter().find(says)
}

fn ask(site: &Site, from: &Host) -> Result<Value> {
    let from = from.address().to_string();
    site.collector.ask(&["can", "zoe@db", "--from", &from])
}

/// What is said of nftables.
fn nftables(answer: &Value) -> String {
    let steps = answer["steps"].as_array().into_iter().flatten();
    let mut steps = steps.filter(|step| step["subject"] == "nftables");
    let step = steps.next().map(|step| step["text"].to_string());
    step.unwrap_or_default()
}

fn logs(host: &Host) -> String {
    format!("{}\n{}", agent::log(host), enforcer::log(host))
}
