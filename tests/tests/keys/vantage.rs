//! A key is asked about from another host, too, and nobody takes that host for an attacker.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::agent;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until_seen};

use super::proof::{door, doors, prove, until_accused_of_nothing};
use super::{append, new_key, watched};

#[test]
fn another_host_asks_too_and_is_nobodys_attacker() -> Result<()> {
    play("the negative proof from elsewhere", "", |site| {
        let web = watched(site)?;
        web.sh("useradd -m alice")?;
        let (old, new) = (new_key(&web, "old")?, new_key(&web, "new")?);
        append(&web, "alice", &old.text)?;
        append(&web, "alice", &new.text)?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("old.pub");
        std::fs::write(&file, &old.text)?;
        let file = file.to_str().context("a strange folder")?;
        let alone = prove(site, file)?;
        ensure!(
            seen(&alone).contains("by the host itself alone"),
            "{alone:#}"
        );

        let db = site.boot("db")?;
        agent::start_unprivileged(&db, &site.network, &site.collector, "")?;
        let look = || prove(site, file);
        let from_db = |it: &Value| elsewhere(it).is_some();
        let proven = until_seen("that db asks, too", SOON * 2, look, from_db);
        let proven =
            proven.with_context(|| format!("{}\n{}", agent::log(&db), agent::log(&web)))?;
        let alice = elsewhere(&proven).context("nobody")?;
        assert_eq!(alice["said"], "accepted", "{proven:#}");
        assert_eq!(alice["control"], new.fingerprint);

        web.write("/etc/ssh/old.pub", old.text.as_bytes(), 0o644)?;
        web.sh("ssh-keygen -q -k -f /etc/ssh/revoked /etc/ssh/old.pub
             echo 'RevokedKeys /etc/ssh/revoked' > /etc/ssh/sshd_config.d/revoked.conf
             systemctl reload ssh")?;
        let refused = |it: &Value| elsewhere(it).is_some_and(|it| it["said"] == "refused");
        let proven = until_seen("that it is refused there, too", SOON * 2, look, refused)?;
        let alice = elsewhere(&proven).context("nobody")?;
        assert_eq!(alice["control"], new.fingerprint, "in the same connection");
        assert_eq!(door(&proven, "alice")?["said"], "refused");
        until_accused_of_nothing(site, &web)
    })
}

/// What alice's door said to db.
fn elsewhere(proven: &Value) -> Option<&Value> {
    let of_db = |it: &&Value| {
        let at = it["at"].as_str().unwrap_or_default();
        it["account"] == "alice" && at.ends_with(" from db")
    };
    doors(proven).into_iter().find(of_db)
}

fn seen(proven: &Value) -> String {
    proven
        .pointer("/elsewhere/0/why")
        .map(ToString::to_string)
        .unwrap_or_default()
}
