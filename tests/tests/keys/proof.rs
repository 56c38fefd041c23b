//! A key that was taken away is shown to a real sshd, which refuses it; until then it says yes.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::root::Release;
use watchward_tests::run::run;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until_seen};

use super::{append, new_key, openings, watched_as};

#[test]
fn a_key_opens_until_it_is_revoked_and_nobody_is_accused_of_asking() -> Result<()> {
    proven_on(Release::Usual)
}

pub(super) fn proven_on(release: Release) -> Result<()> {
    play("the negative proof", "", |site| {
        let web = watched_as(site, release)?;
        web.sh("useradd -m alice; useradd -m bob; useradd -m carol")?;
        let (old, new) = (new_key(&web, "old")?, new_key(&web, "new")?);
        append(&web, "alice", &old.text)?;
        append(&web, "alice", &new.text)?;
        append(&web, "bob", &format!("from=\"192.0.2.0/24\" {}", old.text))?;
        let look = || openings(site, &["--fingerprint", &new.fingerprint]);
        until_seen("the keys of alice", SOON, look, |found| found.len() == 1)?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("old.pub");
        std::fs::write(&file, &old.text)?;
        let file = file.to_str().context("a strange folder")?;

        let proven = prove(site, file)?;
        let alice = door(&proven, "alice")?;
        assert_eq!(alice["said"], "accepted", "{proven:#}");
        assert_eq!(alice["control"], new.fingerprint);
        let note = alice["note"].as_str().unwrap_or_default();
        ensure!(
            note.contains("/home/alice/.ssh/authorized_keys, line 1"),
            "{note}"
        );
        // Somebody else may get in with it from there: nothing is claimed of that.
        assert_eq!(door(&proven, "bob")?["said"], "unknown");
        let carol = door(&proven, "carol")?;
        assert_eq!(carol["said"], "refused");
        assert_eq!(carol["control"], Value::Null);
        assert_eq!(carol["control_account"], "alice");

        // Taken away by hand from bob, and by a list of revoked keys from alice, whose file stays.
        web.sh("rm ~bob/.ssh/authorized_keys")?;
        web.write("/etc/ssh/old.pub", old.text.as_bytes(), 0o644)?;
        web.sh("ssh-keygen -q -k -f /etc/ssh/revoked /etc/ssh/old.pub")?;
        let list = b"RevokedKeys /etc/ssh/revoked\n";
        web.write("/etc/ssh/sshd_config.d/revoked.conf", list, 0o644)?;
        web.sh("systemctl reload ssh")?;
        let look = || prove(site, file);
        let refused = |proven: &Value| said(proven, "refused") == doors(proven).len();
        let proven = until_seen("that it opens nothing", SOON, look, refused)?;
        ensure!(doors(&proven).len() > 10, "{proven:#}");
        let alice = door(&proven, "alice")?;
        assert_eq!(alice["control"], new.fingerprint, "in the same connection");
        let note = alice["note"].as_str().unwrap_or_default();
        ensure!(note.contains("revoked"), "{note}");
        let shown = run(site.collector.command()?.args(["keys", "prove", file]))?;
        ensure!(shown.contains("doors refuse it"), "{shown}");

        // Far more than ten failures would be brute force.
        until_accused_of_nothing(site, &web)?;

        revoked(site, &web, (file, &old.fingerprint))?;
        nobody_answers_for_sshd(site, &web, file)?;
        Ok(())
    })
}

/// Where sshd does not run nothing is refused, also not by whoever listens in its place.
fn nobody_answers_for_sshd(site: &Site, web: &Host, file: &str) -> Result<()> {
    web.sh("systemctl stop ssh.socket ssh.service")?;
    let proven = prove(site, file)?;
    assert_eq!(
        said(&proven, "refused"),
        0,
        "a dead sshd refuses nothing: {proven:#}"
    );
    web.sh(
        "ssh-keygen -q -t ed25519 -N '' -f /tmp/other && mkdir -p /run/sshd && \
         /usr/sbin/sshd -f /dev/null -h /tmp/other",
    )?;
    let proven = prove(site, file)?;
    assert_eq!(said(&proven, "refused"), 0, "nor does another: {proven:#}");
    let note = door(&proven, "alice")?["note"].as_str().unwrap_or_default();
    ensure!(note.contains("not this host's sshd"), "{note}");
    Ok(())
}

/// A revoked key that is put back by hand is an incident, and is named with the account.
fn revoked(site: &Site, web: &Host, (file, fingerprint): (&str, &str)) -> Result<()> {
    let revoke = ["revoke", file, "--reason", "stolen", "--no-wait", "--yes"];
    run(site.collector.command()?.args(revoke))?;
    let list = || {
        let mut command = site.collector.command()?;
        let told = command.args(["keys", "revoked"]).output()?;
        Ok(String::from_utf8_lossy(&told.stdout).into_owned())
    };
    let none = |listed: &String| listed.contains("1 revoked key") && listed.contains("none opens");
    until_seen("that none opens", SOON, list, none)?;

    web.sh("rm /etc/ssh/sshd_config.d/revoked.conf; systemctl reload ssh")?;
    let told = || {
        prove(site, file)?;
        site.collector.incidents()
    };
    let start = format!("revoked key {}", &fingerprint[..19]);
    let is_it = |it: &Value| {
        it["title"]
            .as_str()
            .is_some_and(|it| it.starts_with(&start))
    };
    let opens = |it: &Value| is_it(it) && it["state"] == "open";
    let incidents = until_seen("the incident", SOON, told, |all| all.iter().any(opens))?;
    let incident = incidents.iter().find(|it| opens(it)).context("none")?;
    assert_eq!(incident["severity"], "critical");
    let title = incident["title"].as_str().unwrap_or_default();
    ensure!(title.contains("opens alice@web"), "{title}");
    let listed = site
        .collector
        .command()?
        .args(["keys", "revoked"])
        .output()?;
    ensure!(!listed.status.success(), "one opens");

    web.sh("sed -i 1d ~alice/.ssh/authorized_keys")?;
    until_seen("its end", SOON, told, |all| !all.iter().any(opens))?;
    Ok(())
}

/// Whatever sshd wrote of all these questions has been read; it is told as no try.
pub(super) fn until_accused_of_nothing(site: &Site, web: &Host) -> Result<()> {
    web.sh("ssh -o BatchMode=yes -o StrictHostKeyChecking=no last@127.0.0.1 true || true")?;
    let look = || site.collector.list(&["access", "--limit", "1000"]);
    let last = |found: &Vec<Value>| found.iter().any(|it| it["user"] == "last");
    let tries = until_seen("the last line", SOON, look, last)?;
    let own: Vec<_> = tries.iter().filter(|it| it["user"] == "alice").collect();
    ensure!(own.iter().all(|it| it["attempt"] == false), "{own:#?}");
    let incidents = site.collector.incidents()?;
    let accused = incidents
        .iter()
        .any(|it| it["title"].to_string().contains("brute force"));
    ensure!(!accused, "{incidents:#?}");
    Ok(())
}

pub(super) fn prove(site: &Site, file: &str) -> Result<Value> {
    let mut command = site.collector.command()?;
    let told = command.args(["--json", "keys", "prove", file]).output()?;
    let proven: Value = serde_json::from_slice(&told.stdout)
        .with_context(|| String::from_utf8_lossy(&told.stderr).into_owned())?;
    let whole = !doors(&proven).is_empty() && said(&proven, "refused") == doors(&proven).len();
    ensure!(
        told.status.success() == whole,
        "{}: {proven:#}",
        told.status
    );
    Ok(proven)
}

pub(super) fn doors(proven: &Value) -> Vec<&Value> {
    let doors = proven["doors"].as_array();
    doors.into_iter().flatten().collect()
}

fn said(proven: &Value, what: &str) -> usize {
    doors(proven).iter().filter(|it| it["said"] == what).count()
}

pub(super) fn door<'a>(proven: &'a Value, account: &str) -> Result<&'a Value> {
    let mut doors = doors(proven).into_iter();
    let found = doors.find(|it| it["account"] == account);
    found.with_context(|| format!("no door of {account}: {proven:#}"))
}
