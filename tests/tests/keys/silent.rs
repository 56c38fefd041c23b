//! A home on a file system that never answers: it holds up nobody else's keys, and its own are not taken for gone.

use anyhow::{Context, Result};
use watchward_tests::agent;
use watchward_tests::site::play;

use super::{append, finding, new_key, openings, seen, watched};

/// A file system whose program says nothing: whoever looks into it waits until that program ends.
const SILENT: &str = "systemd-run -q --unit=silent bash -c 'exec 5<>/dev/fuse
    mount -i -t fuse -o fd=5,rootmode=40000,user_id=0,group_id=0,allow_other none /home/aaron
    : > /run/silent; exec sleep infinity'
    until test -e /run/silent; do sleep 0.1; done";

#[test]
fn a_home_that_does_not_answer_holds_up_nobody() -> Result<()> {
    play("a home that does not answer", "", |site| {
        let web = watched(site)?;
        web.sh("useradd -m aaron; useradd -m alice")?;
        let (his, hers, later) = (
            new_key(&web, "aaron")?,
            new_key(&web, "alice")?,
            new_key(&web, "later")?,
        );
        append(&web, "aaron", &his.text)?;
        seen(site, &his, |found| found.len() == 1)?;
        web.sh(SILENT)?;

        append(&web, "alice", &hers.text)?;
        seen(site, &hers, |found| found.len() == 1).with_context(|| agent::log(&web))?;
        finding(site, "watched", "no answer from files of aaron")?;
        append(&web, "alice", &later.text)?;
        seen(site, &later, |found| found.len() == 1)?;
        let kept = openings(site, &["--fingerprint", &his.fingerprint])?;
        assert_eq!(kept.len(), 1, "nobody knows whether it is gone: {kept:#?}");
        let unread = "not all keys of aaron can be read";
        let is_open = |incidents: &[serde_json::Value]| {
            let mut all = incidents.iter();
            all.any(|it| {
                let title = it["title"].as_str().unwrap_or_default();
                title.contains(unread) && it["resolved_at"].is_null()
            })
        };
        site.incidents_until("what is said of aaron", is_open)?;

        web.sh("systemctl stop silent; umount -l /home/aaron; touch /home/alice/.ssh/new")?;
        append(&web, "aaron", &later.text)?;
        append(&web, "alice", "# so that there is another look")?;
        site.incidents_until("the end of it", |all| !is_open(all))?;
        seen(site, &later, |found| found.len() == 2)?;
        Ok(())
    })
}
