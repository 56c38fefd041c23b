//! The trunk: five thousand attempts while collector and agent are killed over and over.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::agent;
use watchward_tests::host::Host;
use watchward_tests::site::{Database, Site, play_on};
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

/// Each user makes so many connections, each with so many tries: 5,000 in all.
const USERS: usize = 25;
const CONNECTIONS: usize = 20;
const TRIES: usize = 10;

const COLLECTOR_DEATHS: usize = 20;
const AGENT_DEATHS: usize = 5;

#[test]
fn every_attempt_is_kept_exactly_once_in_sqlite() -> Result<()> {
    play_on(
        Database::Sqlite,
        "5,000 attempts, 25 deaths, SQLite",
        "",
        every_attempt_once,
    )
}

#[test]
fn every_attempt_is_kept_exactly_once_in_postgresql() -> Result<()> {
    play_on(
        Database::Postgres,
        "5,000 attempts, 25 deaths, PostgreSQL",
        "",
        every_attempt_once,
    )
}

fn every_attempt_once(site: &mut Site) -> Result<()> {
    let (web, office) = (site.watched("web", "")?, site.boot("office")?);
    ssh::allow_many_tries(&web)?;
    let attack = ssh::Attack {
        users: USERS,
        connections: CONNECTIONS,
        tries: TRIES,
    };
    let mut attack = attack.begin(&office, &web)?;

    for death in 1..=COLLECTOR_DEATHS {
        if death % (COLLECTOR_DEATHS / AGENT_DEATHS) == 0 {
            agent::kill(&web)?;
        }
        let before = newest(site)?;
        until("more has come since the last death", SOON, || {
            let ended = attack.ended()?;
            Ok((ended || newest(site)? != before).then_some(()))
        })?;
        site.collector.kill()?;
        site.collector.start_again()?;
    }
    until("the attack is over", SOON * 10, || {
        Ok(attack.ended()?.then_some(()))
    })?;

    let logged = logged(&web)?;
    let made: usize = logged.values().sum();
    ensure!(
        made == USERS * CONNECTIONS * TRIES,
        "the attack made {made} attempts"
    );
    for user in 0..USERS {
        let user = ssh::attacker(user);
        let expected: BTreeMap<_, _> = logged
            .iter()
            .filter(|((name, _), _)| *name == user)
            .map(|(at, n)| (at.clone(), *n))
            .collect();
        let wanted: usize = expected.values().sum();
        until("every attempt has come", SOON * 2, || {
            let kept = kept(site, &user)?;
            let count: usize = kept.values().sum();
            ensure!(count >= wanted, "{count} of {wanted} for {user}");
            ensure!(
                kept == expected,
                "{user}: logged {expected:?}, kept {kept:?}"
            );
            Ok(Some(()))
        })
        .with_context(|| agent::log(&web))?;
    }
    Ok(())
}

/// A sign of what came last.
fn newest(site: &Site) -> Result<String> {
    Ok(site.collector.ask(&["access", "--limit", "1"])?.to_string())
}

/// How many attempts the collector shows, by user and port.
fn kept(site: &Site, user: &str) -> Result<BTreeMap<(String, u64), usize>> {
    let mut counts = BTreeMap::new();
    for event in site
        .collector
        .list(&["access", "--limit", "1000", "--user", user])?
    {
        if event.get("form").is_some_and(|form| form == "failed") {
            let port = event
                .get("port")
                .and_then(Value::as_u64)
                .context("no port")?;
            *counts.entry((user.to_owned(), port)).or_default() += 1;
        }
    }
    Ok(counts)
}

/// How many attempts sshd itself logged, by user and port.
fn logged(host: &Host) -> Result<BTreeMap<(String, u64), usize>> {
    let mut counts = BTreeMap::new();
    for line in host.sh("journalctl -u ssh -o cat --no-pager")?.lines() {
        let Some(rest) = line.strip_prefix("Failed password for invalid user ") else {
            continue;
        };
        let mut words = rest.split(' ');
        let user = words.next().context("no user")?.to_owned();
        let port = words.nth(3).context("no port")?.parse()?;
        *counts.entry((user, port)).or_default() += 1;
    }
    Ok(counts)
}
