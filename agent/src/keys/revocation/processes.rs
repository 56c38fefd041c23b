//! The processes of this host, as `/proc` shows them to everybody, and where the kernel has their control groups.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use watchward_protocol::text::Foreign;

use super::live::said;

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// When it began, in ticks since the machine did.
    pub(super) started: u64,
    /// What it calls itself; it may call itself anything.
    pub(super) name: String,
    /// Its control groups, a line for each hierarchy.
    pub(super) groups: String,
    /// The kernel's own number of the login that it came from, which no process can put off.
    pub(super) login: Option<String>,
}

/// What a process is in that no login began (`(unsigned) -1`).
const NO_LOGIN: &str = "4294967295";

impl Process {
    pub(super) fn read(pid: u32) -> Option<Self> {
        let stat = said(pid, "stat")?;
        // The name may have spaces and parentheses in it.
        let (start, rest) = stat.rsplit_once(") ")?;
        let (_, name) = start.split_once('(')?;
        let field = |number: usize| rest.split(' ').nth(number - 3);
        Some(Self {
            pid,
            parent: field(4)?.parse().ok()?,
            started: field(22)?.parse().ok()?,
            name: Foreign::from(name).shortened(40),
            groups: said(pid, "cgroup").unwrap_or_default(),
            login: said(pid, "sessionid").filter(|it| it != NO_LOGIN),
        })
    }

    /// Its control group of the second version.
    pub(super) fn group(&self) -> Option<&str> {
        self.groups
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
    }

    /// What systemd calls that.
    pub(super) fn unit(&self) -> &str {
        let group = self.group().unwrap_or_default();
        group.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is in the scope of a session: only what is directly below the slice of a user is
    /// logind's. What is deeper has the names that the user likes.
    pub(super) fn is_in_session(&self) -> bool {
        self.groups.lines().any(|line| {
            let mut parts = line.split('/');
            let is_slice = |it: &str| it.starts_with("user-") && it.ends_with(".slice");
            let below = parts.find(|it| is_slice(it)).and_then(|_| parts.next());
            below.is_some_and(|it| it.starts_with("session-") && it.ends_with(".scope"))
        })
    }

    /// Whether somebody was let in that it watches over: it is in a session, or the kernel knows of
    /// another login than that of whoever started it.
    pub(super) fn has_let_in(&self, parent: Option<&Self>) -> bool {
        let inherited = parent.and_then(|it| it.login.as_ref());
        self.is_in_session() || self.login.is_some() && self.login.as_ref() != inherited
    }
}

/// All of them.
pub(super) fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    all.filter_map(Process::read).collect()
}

/// These, and all that come from them.
pub(super) fn with_children(of: HashSet<u32>, all: &[Process]) -> HashSet<u32> {
    let mut found = of;
    loop {
        let children = all.iter().filter(|it| found.contains(&it.parent));
        let more: Vec<u32> = children
            .map(|it| it.pid)
            .filter(|it| !found.contains(it))
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The number that the kernel knows a control group by: that of its folder. None: it is gone, or this
/// host has none of the second version.
pub(super) fn number(group: &str) -> Option<u64> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let place = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then_some(place)
    })?;
    Some(fs::metadata(format!("{place}{group}")).ok()?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_group(group: &str) -> Process {
        Process {
            pid: 2,
            parent: 1,
            started: 1,
            name: "nc".to_owned(),
            groups: format!("0::{group}"),
            login: None,
        }
    }

    #[test]
    fn only_what_logind_made_is_a_session_whatever_a_user_calls_a_unit() {
        let user = "/user.slice/user-1000.slice";
        let is_in = |below: &str| in_group(&format!("{user}/{below}")).is_in_session();
        assert!(is_in("session-3.scope"));
        assert!(is_in("session-c1.scope/below"));
        assert!(!is_in("user@1000.service/app.slice/session-x.service"));
        assert!(!is_in("user@1000.service/app.slice/session-3.scope"));
        assert!(!is_in("user@1000.service/user-1000.slice/session-3.scope"));
        assert!(!is_in("session-3.service"));
        assert!(!in_group("/system.slice/session-3.scope").is_in_session());
        let old = Process {
            groups: format!("4:devices:{user}\n1:name=systemd:{user}/session-3.scope"),
            ..in_group("")
        };
        assert!(old.is_in_session(), "of the first version");
    }

    #[test]
    fn who_was_let_in_is_in_a_session_or_a_login_of_its_own() {
        let sshd = in_group("/system.slice/ssh.service");
        let of_login = |login: &str| Process {
            login: Some(login.to_owned()),
            ..sshd.clone()
        };
        let session = in_group("/user.slice/user-0.slice/session-3.scope");
        assert!(session.has_let_in(Some(&sshd)));
        assert!(of_login("3").has_let_in(Some(&sshd)), "without logind");
        assert!(of_login("3").has_let_in(None));
        assert!(!sshd.has_let_in(Some(&sshd)), "who is on the way in");
        // Somebody who was logged in started sshd.
        assert!(!of_login("2").has_let_in(Some(&of_login("2"))));
        assert!(of_login("3").has_let_in(Some(&of_login("2"))));
    }
}
