//! What a session may have left behind in files, to come back by: only its owner and root can see whether they changed.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use watchward_protocol::question::Left;
use watchward_protocol::time::Timestamp;

use super::accounts::{Account, Accounts};

/// How long a home may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where crontabs are, and where jobs of at wait: of Debian, and of others.
const CRONTABS: [&str; 2] = ["/var/spool/cron/crontabs", "/var/spool/cron"];
const JOBS: [&str; 2] = ["/var/spool/cron/atjobs", "/var/spool/at"];
/// What in a home opens it, or runs by itself.
const OWN: [&str; 9] = [
    ".ssh/authorized_keys",
    ".ssh/authorized_keys2",
    ".ssh/rc",
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".config/systemd/user",
    ".config/autostart",
];
/// So many entries of a folder are looked at.
const MOST: usize = 1_000;

/// What was changed since then, one sentence each.
pub(super) async fn look(question: &Left) -> Vec<String> {
    let accounts = match Accounts::ask().await {
        Ok(accounts) => accounts,
        Err(error) => return vec![format!("what it wrote could not be looked for: {error:#}")],
    };
    let mut accounts = accounts.list.into_iter();
    let Some(account) = accounts.find(|it| it.name == question.account) else {
        return vec![format!("there is no account {} any more", question.account)];
    };
    let since = question.since;
    let own = account.clone();
    // Nothing ends a look into a home that does not answer: it is left behind.
    let at_home = timeout(PATIENCE, spawn_blocking(move || home(&own, since))).await;
    let mut all = at_home.ok().and_then(Result::ok).unwrap_or_else(|| {
        let home = account.home.display();
        vec![format!(
            "{home} does not answer: what it wrote there is not known"
        )]
    });
    let waiting = spawn_blocking(move || waiting(Path::new("/"), &account, since)).await;
    all.extend(waiting.unwrap_or_default());
    all
}

/// In a home.
fn home(account: &Account, since: Timestamp) -> Vec<String> {
    let all = OWN.iter().map(|name| account.home.join(name));
    let changed = all.filter(|path| {
        let folder = fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
        let within = folder.then(|| entries(path)).into_iter().flatten();
        within
            .chain([path.clone()])
            .any(|it| is_newer(&it, since).is_some())
    });
    changed
        .map(|path| format!("{} was changed while it was open", path.display()))
        .collect()
}

/// What runs later, below this root.
fn waiting(root: &Path, account: &Account, since: Timestamp) -> Vec<String> {
    let below = |folder: &&str| root.join(folder.trim_start_matches('/'));
    let name = account.name.to_string();
    // A name that would lead elsewhere is shown otherwise than it is, and is no file's.
    let plain = !name.contains('/') && name.as_bytes() == account.name.as_bytes();
    let tables = CRONTABS.iter().map(below).map(|it| it.join(&name));
    let mut all: Vec<String> = tables
        .filter(|path| plain && is_newer(path, since).is_some_and(|it| it.is_file()))
        .map(|_| format!("the crontab of {name} was changed while it was open"))
        .collect();
    let jobs = JOBS.iter().map(below).flat_map(|folder| entries(&folder));
    let jobs = jobs.filter_map(|path| is_newer(&path, since));
    match jobs
        .filter(|it| it.is_file() && it.uid() == account.uid)
        .count()
    {
        0 => {}
        count => all.push(format!("jobs of at wait for {name}: {count}")),
    }
    all
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|it| it.path()).take(MOST).collect()
}

/// What a file is, if it changed since: a user can set any time but that of the change.
fn is_newer(path: &Path, since: Timestamp) -> Option<Metadata> {
    let it = fs::symlink_metadata(path).ok()?;
    let changed = it.ctime().saturating_mul(1_000_000) + it.ctime_nsec() / 1000;
    (Timestamp::from_micros(changed) >= since).then_some(it)
}

#[cfg(test)]
mod tests {
    use watchward_daemon::clock;

    use super::*;

    #[test]
    fn what_changed_since_is_said_and_what_did_not_is_not() {
        let root = tempfile::tempdir().unwrap();
        let own = fs::metadata(root.path()).unwrap();
        let account = Account {
            name: "ada".into(),
            uid: own.uid(),
            gid: own.gid(),
            home: root.path().join("home"),
        };
        for folder in [
            "home/.ssh",
            "home/.config/systemd/user",
            "var/spool/cron/crontabs",
            "var/spool/cron/atjobs",
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for file in [
            "home/.bashrc",
            "home/.ssh/authorized_keys",
            "home/.config/systemd/user/back.service",
            "var/spool/cron/crontabs/ada",
            "var/spool/cron/crontabs/zoe",
            "var/spool/cron/atjobs/a0001",
        ] {
            fs::write(root.path().join(file), "x").unwrap();
        }
        let (before, after) = (
            clock::now() - Duration::from_secs(60),
            clock::now() + Duration::from_secs(60),
        );
        let all = [
            home(&account, before),
            waiting(root.path(), &account, before),
        ]
        .concat();
        let shown = all.join("\n");
        assert_eq!(all.len(), 5, "{shown}");
        for part in [
            ".bashrc was changed",
            ".ssh/authorized_keys was changed",
            "systemd/user was changed",
            "the crontab of ada was changed",
            "jobs of at wait for ada: 1",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(home(&account, after).is_empty());
        assert!(waiting(root.path(), &account, after).is_empty());
    }
}
