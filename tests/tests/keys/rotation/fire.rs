//! Whatever is killed, cut off or asleep at whatever phase of a rotation, it ends with one way in, and no
//! login is refused.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::agent;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};

use super::ground::{CUT, Ground, HEAL, ID, PHASES, kill};
use crate::client::opens;

/// How soon a host that says nothing is silent; and how soon, once it is asleep.
const PATIENT: &str = "hosts.silent_after = '60s'";
const HASTY: &str = "hosts.silent_after = '8s'";

#[test]
fn whatever_is_killed_or_cut_off_or_asleep_it_ends_with_one_way_in() -> Result<()> {
    play("a rotation whose parts are killed", PATIENT, |site| {
        let ground = Ground::with_a_key(site)?;
        let logins = ground.logins(&["backup".to_owned()])?;
        let serial = killed(&ground)?;
        cut_off(&ground, serial)?;
        ground.always_worked(logins)?;
        ground.is_quiet()?;
        asleep(&ground, serial + 1)
    })
}

/// Each part is killed at each phase, one after the other; gives the number of the next key.
fn killed(ground: &Ground) -> Result<u64> {
    let (home, web, collector) = (&ground.home, ground.web()?, &ground.site.collector);
    let harms: [(&str, &dyn Fn() -> Result<()>); 4] = [
        ("the client's agent and its keys' keeper", &|| {
            kill(home, "watchward-agent watchward-agent-identities")
        }),
        ("a server's agent", &|| agent::kill(web)),
        ("what tells sshd", &|| kill(web, "watchward-enforcer-keys")),
        ("the collector", &|| {
            collector.kill()?;
            collector.start_again()
        }),
    ];
    let mut serial = 2;
    for first in 0..harms.len() {
        ground.begin()?;
        for (number, phase) in PHASES.iter().enumerate() {
            ground.until_phase(phase, serial)?;
            let (what, harm) = harms.iter().cycle().nth(first + number).context("none")?;
            harm().with_context(|| format!("{what} is killed in {phase}"))?;
        }
        ground.until_idle(serial)?;
        ground.has_one_way_in(serial)?;
        serial += 1;
    }
    Ok(serial)
}

/// A server hears nothing of the collector while the new key comes, and while the old one goes.
fn cut_off(ground: &Ground, serial: u64) -> Result<()> {
    let web = ground.web()?;
    web.sh(CUT)?;
    ground.begin()?;
    until("the key goes to the server", SOON * 3, || {
        let shown = ground.shown()?.to_string();
        Ok(shown
            .contains(&format!("key {serial} goes to web"))
            .then_some(()))
    })
    .with_context(|| ground.why())?;
    web.sh(HEAL)?;
    ground.until_phase("shadow", serial)?;
    web.sh(CUT)?;
    ground.until_phase("revoking", serial)?;
    web.sh(HEAL)?;
    ground.until_idle(serial)?;
    ground.has_one_way_in(serial)
}

/// A server sleeps through all of it, and hears of both keys at once when it is back.
fn asleep(ground: &Ground, serial: u64) -> Result<()> {
    let (home, shop, collector) = (&ground.home, ground.shop()?, &ground.site.collector);
    home.sh(&format!("install -m 600 {ID}/id /root/old"))?;
    let file = collector.folder().join("collector.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace(PATIENT, HASTY))?;
    collector.rule(&std::fs::read_to_string(
        collector.folder().join("policy.toml"),
    )?)?;
    // How long it may be silent, it is allowed with each word that is heard.
    let seen = |hosts: &[Value]| {
        let it = hosts.iter().find(|it| it["name"] == "shop");
        it.and_then(|it| it["seen_at"].as_i64())
    };
    let before = seen(&collector.list(&["hosts"])?);
    let site = ground.site;
    site.hosts_until("it is heard again", |hosts| seen(hosts) > before)?;
    shop.power_off()?;
    site.hosts_until("it is silent", |hosts| {
        hosts
            .iter()
            .any(|it| it["name"] == "shop" && it["state"] == "silent")
    })?;
    ground.begin()?;
    ground.until_idle(serial)?;
    home.sh(&format!("install -m 600 {ID}/id /root/new"))?;
    shop.power_on()?;
    ensure!(
        !opens(home, shop, "new")? || !opens(home, shop, "old")?,
        "{}",
        ground.why()
    );
    until("it has heard", SOON * 2, || {
        Ok(opens(home, shop, "new")?.then_some(()))
    })
    .with_context(|| ground.why())?;
    ensure!(!opens(home, shop, "old")?, "{}", ground.why());
    ground.has_one_way_in(serial)
}
