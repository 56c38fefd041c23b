//! A collector that lost its database: a host goes on refusing what that had revoked, until it is given up.

use anyhow::{Context, Result, ensure};
use watchward_tests::host::Host;
use watchward_tests::root::Release;
use watchward_tests::run::run;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until};
use watchward_tests::{agent, enforcer};

use super::client::opens;
use super::{Key, append, finding, new_key, seen, watched_as};

#[test]
fn what_a_lost_database_had_revoked_opens_nothing_until_it_is_given_up() -> Result<()> {
    play("a lost database", "", |site| {
        let (web, home) = (watched_as(site, Release::Usual)?, site.boot("home")?);
        enforcer::start_keys(&web, "")?;
        web.sh("useradd -m -s /bin/bash alice")?;
        let mut keys = Vec::new();
        for name in ["stolen", "other", "own"] {
            let key = new_key(&home, name)?;
            append(&web, "alice", &key.text)?;
            seen(site, &key, |found| found.len() == 1)?;
            keys.push(key);
        }
        let [stolen, other, _] = &keys[..] else {
            anyhow::bail!("three keys");
        };
        revoke(site, stolen)?;
        refused(&home, &web, &["stolen"])?;

        lose(site, &web)?;
        told(site, true)?;
        refused(&home, &web, &["stolen"])?;
        // The first order of the new database knows nothing of it.
        seen(site, other, |found| found.len() == 1)?;
        revoke(site, other)?;
        refused(&home, &web, &["stolen", "other"])?;
        web.sh("systemctl restart watchward-agent watchward-enforcer-keys")?;
        finding(site, "watched", "accounts")?;
        refused(&home, &web, &["stolen", "other"])?;
        told(site, true)?;

        let why = ["--yes", "--reason", "it was found in a drawer"];
        run(site
            .collector
            .command()?
            .args(["keys", "give-up"])
            .args(why))?;
        until("it opens again", SOON, || {
            Ok(opens(&home, &web, "stolen")?.then_some(()))
        })
        .with_context(|| agent::log(&web))?;
        refused(&home, &web, &["other"])?;
        told(site, false)
    })
}

/// The database goes, and the host enrols with the one that is made in its place.
fn lose(site: &Site, web: &Host) -> Result<()> {
    web.sh("systemctl stop watchward-agent; rm /var/lib/watchward-agent/identity.json")?;
    site.collector.kill()?;
    for ending in ["", "-wal", "-shm"] {
        let file = format!("watchward.db{ending}");
        // Not each of them is there.
        let _gone = std::fs::remove_file(site.collector.folder().join(file));
    }
    site.collector.start_again()?;
    agent::enrol(web, &site.collector.token("web")?, None)?;
    web.sh("chown -R watchward-agent: /var/lib/watchward-agent; systemctl start watchward-agent")?;
    finding(site, "watched", "accounts").with_context(|| agent::log(web))
}

fn revoke(site: &Site, key: &Key) -> Result<()> {
    let words = ["--yes", "--reason", "the laptop was stolen"];
    let mut command = site.collector.command()?;
    run(command.args(["revoke", &key.fingerprint]).args(words)).map(drop)
}

/// These open nothing, and the user's own key does.
fn refused(home: &Host, web: &Host, names: &[&str]) -> Result<()> {
    for name in names {
        ensure!(!opens(home, web, name)?, "{name}: {}", agent::log(web));
    }
    ensure!(opens(home, web, "own")?, "{}", agent::log(web));
    Ok(())
}

/// Waits until people are told of it, or no longer.
fn told(site: &Site, is_open: bool) -> Result<()> {
    let mut last = Vec::new();
    until("what people are told", SOON, || {
        last = site.collector.list(&["incidents", "--open"])?;
        let is_it =
            |one: &serde_json::Value| one.to_string().contains("this database knows nothing");
        Ok((last.iter().any(is_it) == is_open).then_some(()))
    })
    .with_context(|| format!("{last:#?}"))
}
