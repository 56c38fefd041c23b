//! A machine's key is replaced while it is used: no login is refused, and the old key opens nothing.

mod authority;
mod fire;
mod ground;
mod many;
mod thief;
mod trouble;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::collector::Collector;
use watchward_tests::host::Host;
use watchward_tests::run::run;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};

use super::client::{Session, opens};
use ground::{Ground, ID};

#[test]
fn a_key_is_replaced_while_it_is_used_and_the_old_one_opens_nothing() -> Result<()> {
    play("a machine's key rotates", "", |site| {
        let ground = Ground::with_a_key(site)?;
        let (home, web) = (&ground.home, ground.web()?);
        let attic = site.boot("attic")?;
        let old = ground.shown()?;
        let old = old["fingerprint"].as_str().context("no key")?;
        let stolen = home.sh(&format!("cat {ID}/id"))?;
        for thief in [home, &attic] {
            thief.write("/root/stolen", stolen.as_bytes(), 0o600)?;
        }
        let opens = |server: &Host| -> Result<[bool; 2]> {
            Ok([
                opens(home, server, "stolen")?,
                opens(&attic, server, "stolen")?,
            ])
        };
        for server in &ground.servers {
            ensure!(opens(server)? == [true, true], "{}", ground.why());
        }
        let mut session = Session::open(&attic, web, "stolen")?;
        until("its session", SOON, || {
            Ok(web.try_sh("pgrep -xu alice sleep")?.then_some(()))
        })?;

        let logins = ground.logins(&["backup".to_owned()])?;
        ground.begin()?;
        ground.until_idle(2)?;
        ground.always_worked(logins)?;
        for server in &ground.servers {
            ensure!(opens(server)? == [false, false], "{}", ground.why());
        }
        until("its session ends", SOON, || {
            Ok(session.ended()?.then_some(()))
        })?;
        ground.has_one_way_in(2)?;
        is_proven(&site.collector, old).with_context(|| ground.why())?;
        ground.is_quiet()
    })
}

/// The receipt says all of it, is genuine, and with one byte changed it is not.
fn is_proven(collector: &Collector, old: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, pem] = ["receipt.json", "collector.pem"].map(|name| folder.path().join(name));
    std::fs::write(
        &pem,
        run(collector.command()?.args(["receipt", "--public-key"]))?,
    )?;
    let mut last = String::new();
    let receipt = until("the receipt is proven", SOON, || {
        last = run(collector.command()?.args(["receipt", old]))?;
        let receipt: Value = serde_json::from_str(&last)?;
        let ended = receipt.pointer("/counts/sessions_ended");
        let is_whole = receipt.get("is_proven") == Some(&Value::Bool(true))
            && ended.and_then(Value::as_u64) == Some(1);
        Ok(is_whole.then_some(receipt))
    })
    .with_context(|| last.clone())?;
    let phases = receipt.get("phases").and_then(Value::as_array);
    let phases = phases.context("no phases")?.iter();
    let said: Vec<_> = phases
        .filter_map(|it| it.get("what").and_then(Value::as_str))
        .collect();
    for words in [
        "the client is to make key 2",
        "key 2 goes to",
        "key 2 is proven",
        "the client uses key 2",
        "the old key is revoked",
        "the client is to destroy it",
        "done: key 2 is the only one",
    ] {
        ensure!(
            said.iter().any(|it| it.contains(words)),
            "{words}: {said:#?}"
        );
    }
    let verify = |text: &[u8]| -> Result<_> {
        std::fs::write(&file, text)?;
        let mut command = collector.command()?;
        let said = command.arg("verify").arg(&file).arg("--key").arg(&pem);
        Ok(said.output()?.status.code())
    };
    ensure!(
        verify(last.as_bytes())? == Some(0),
        "it is not taken: {last}"
    );
    let place = last.find("key 2 is proven").context("no such phase")?;
    let mut changed = last.into_bytes();
    if let Some(byte) = changed.get_mut(place) {
        *byte ^= 1;
    }
    ensure!(verify(&changed)? == Some(1), "a changed one is taken");
    Ok(())
}
