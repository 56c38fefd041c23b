//! `watchward revoke`: the key is refused, its session is gone, and the receipt says so and verifies.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::collector::Collector;
use watchward_tests::root::Release;
use watchward_tests::run::run;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};
use watchward_tests::{agent, enforcer};

use super::client::{Session, opens};
use super::{append, new_key, seen, watched_as};

#[test]
fn a_key_that_is_revoked_by_its_fingerprint_opens_nothing_and_the_receipt_proves_it() -> Result<()>
{
    lost_laptop(Release::Usual)
}

pub(super) fn lost_laptop(release: Release) -> Result<()> {
    play("a lost laptop", "", |site| {
        let (web, home) = (watched_as(site, release)?, site.boot("home")?);
        enforcer::start_keys(&web, "")?;
        web.sh("useradd -m -s /bin/bash alice")?;
        let (old, new) = (new_key(&home, "old")?, new_key(&home, "new")?);
        append(&web, "alice", &format!("{} alice@laptop", old.text))?;
        append(&web, "alice", &new.text)?;
        ensure!(opens(&home, &web, "old")? && opens(&home, &web, "new")?);
        seen(site, &new, |found| found.len() == 1)?;
        seen(site, &old, |found| found.len() == 1)?;
        let mut session = Session::open(&home, &web, "old")?;
        until("its session", SOON, || {
            let open = web.try_sh("pgrep -xu alice sleep")?;
            Ok(open.then_some(()))
        })?;

        let collector = &site.collector;
        let said = collector
            .command()?
            .args([
                "revoke",
                "--yes",
                &old.fingerprint,
                "--reason",
                "the laptop was stolen",
            ])
            .output()?;
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        let why = || {
            format!(
                "{words}\n{}\n{}",
                String::from_utf8_lossy(&said.stderr),
                agent::log(&web)
            )
        };
        ensure!(said.status.success(), "{}", why());
        ensure!(words.contains("web: held"), "{}", why());
        ensure!(
            !opens(&home, &web, "old")? && opens(&home, &web, "new")?,
            "{}",
            why()
        );
        until("its session ends", SOON, || {
            Ok(session.ended()?.then_some(()))
        })?;

        proven(collector, &old.fingerprint)?;
        let both = [&new.fingerprint, &old.fingerprint].map(String::as_str);
        left_alone(collector, both)?;
        run(collector
            .command()?
            .args(["keys", "reinstate", &old.fingerprint]))?;
        until("it opens again", SOON, || {
            Ok(opens(&home, &web, "old")?.then_some(()))
        })
    })
}

/// The receipt says everything, is genuine, and with one changed byte it is not.
fn proven(collector: &Collector, key: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, pem] = ["receipt.json", "collector.pem"].map(|name| folder.path().join(name));
    let public = run(collector.command()?.args(["receipt", "--public-key"]))?;
    std::fs::write(&pem, public)?;
    let text = until("that the session is told of", SOON, || {
        let text = run(collector.command()?.args(["receipt", key]))?;
        let receipt: Value = serde_json::from_str(&text)?;
        let ended = receipt.pointer("/counts/sessions_ended");
        let ended = ended.and_then(Value::as_u64) >= Some(1);
        Ok(ended.then_some(text))
    })?;
    let receipt: Value = serde_json::from_str(&text)?;
    let said = |pointer: &str| receipt.pointer(pointer).context("no word of it");
    ensure!(*said("/is_proven")? == true, "{receipt:#}");
    let host = said("/hosts/0")?;
    ensure!(
        host["stand"] == "held" && host["digest"].is_string(),
        "{receipt:#}"
    );
    let session = host["sessions"].get(0).context("no session")?;
    ensure!(
        session["account"] == "alice" && session["how"] == "ended",
        "{receipt:#}"
    );
    ensure!(*said("/key/comment")? == "alice@laptop", "{receipt:#}");
    std::fs::write(&file, &text)?;
    let verify = |file: &std::path::Path| -> Result<_> {
        let mut command = collector.command()?;
        let command = command.arg("verify").arg(file).arg("--key").arg(&pem);
        Ok(command.output()?)
    };
    ensure!(verify(&file)?.status.success());
    let place = text.find("stolen").context("no reason")?;
    let mut changed = text.into_bytes();
    if let Some(byte) = changed.get_mut(place) {
        *byte ^= 1;
    }
    std::fs::write(&file, changed)?;
    let said = verify(&file)?;
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(
        said.status.code() == Some(1) && words.contains("CHANGED"),
        "{words}"
    );
    Ok(())
}

/// The last key of an account is not taken away unless somebody says so.
fn left_alone(collector: &Collector, [last, _]: [&str; 2]) -> Result<()> {
    let mut command = collector.command()?;
    let said = command
        .args(["revoke", last, "--reason", "by mistake", "--yes"])
        .output()?;
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(
        !said.status.success() && words.contains("without a way in: alice@web"),
        "{words}"
    );
    Ok(())
}
