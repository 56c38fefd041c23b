//! Backing up and restoring as `docs/backup.md` says, to the letter, while agents send on.

use anyhow::{Context, Result, ensure};
use watchward_tests::page::{self, Step};
use watchward_tests::ready::scenario;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

use super::ground::Ground;

#[test]
fn a_collector_restored_from_a_backup_asks_for_the_rest() -> Result<()> {
    scenario("docs/backup.md with SQLite, to the letter", || {
        let ground = Ground::enrolled()?;
        all_comes_back(&ground, ["backup", "restore"])?;
        let left = ground.centre.sh("ls /var/lib/watchward")?;
        ensure!(!left.contains("backup"), "{left}");
        let again = "cd /root; watchward backup watchward.db";
        ensure!(!ground.centre.try_sh(again)?, "it takes another's place");
        Ok(())
    })
}

#[test]
fn so_does_one_with_postgresql() -> Result<()> {
    scenario("docs/backup.md with PostgreSQL, to the letter", || {
        let ground = Ground::enrolled_with(|ground| {
            // As Debian leaves it where it is not installed already.
            ground.centre.sh("systemctl enable --now -q postgresql")?;
            follow(ground, "install.md", "postgresql")
        })?;
        let refused = "watchward backup /root/watchward.db 2>&1 | grep -q pg_dump";
        ensure!(ground.centre.try_sh(refused)?, "it does not say what to do");
        all_comes_back(&ground, ["postgresql-backup", "postgresql-restore"])
    })
}

/// What was told before the backup, between it and the restoring, meanwhile, and after it.
fn all_comes_back(ground: &Ground, [backup, restore]: [&str; 2]) -> Result<()> {
    ssh::allow_many_tries(&ground.host)?;
    let attack = ssh::Attack {
        users: 20,
        connections: 12,
        tries: 2,
    };
    let expected = attack.users * attack.connections * attack.tries;
    let mut running = attack.begin(&ground.centre, &ground.host)?;
    let more = |than: usize| {
        until("more have come", SOON, || {
            Ok((ground.failures()? > than).then_some(()))
        })
        .with_context(|| ground.logs())
    };
    more(30)?;
    follow(ground, "backup.md", backup)?;
    let others = ground
        .centre
        .sh("find /root -name 'watchward*' -perm /077")?;
    ensure!(!others.contains("watchward."), "others can read {others}");
    let kept = ground.failures()?;
    more(kept + 30)?;
    ground
        .centre
        .sh("watchward people invite since-then --role operator")?;
    follow(ground, "backup.md", restore)?;
    let people = until("the collector answers", SOON, || {
        ground.list("people").map(Some)
    })
    .with_context(|| ground.logs())?;
    ensure!(
        people.iter().all(|person| person["name"] != "since-then"),
        "this is not the backup: {people:?}"
    );
    ensure!(
        !running.ended()?,
        "the attack was over before the restoring"
    );
    ground.all_come(&mut running, expected)
}

/// Does what a page says for this purpose, on the collector's machine.
fn follow(ground: &Ground, page: &str, purpose: &str) -> Result<()> {
    let steps = page::steps(page)?;
    let steps: Vec<&Step> = steps.iter().filter(|step| step.place == purpose).collect();
    ensure!(!steps.is_empty(), "{page} does not say how: {purpose}");
    for step in steps {
        let script = format!("cd /root; {}", step.script);
        let done = ground.centre.sh(&script);
        done.with_context(|| format!("{step:?}"))
            .with_context(|| ground.logs())?;
    }
    Ok(())
}
