//! Ends a session of sshd with all its processes, if it is still the one that was meant.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::request::{MOST_PROCESSES, Process};

/// It is looked so often, every tenth of a second, whether something lives; and so often before
/// what does not end by itself is killed.
const GLANCES: usize = 50;
const PATIENT: usize = 5;
/// A flag of the kernel's own threads (`PF_KTHREAD` of `linux/sched.h`).
const KERNELS: u64 = 0x0020_0000;

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Ended,
    /// It was over before.
    Gone,
}

/// Ends it, if it may be ended, which is asked while that process cannot be another.
///
/// # Errors
/// That process is none that watches over a session; it may not be ended; or something of it does not
/// end.
pub(super) fn end(
    pid: u32,
    started: u64,
    may: impl FnOnce() -> Result<(), String>,
) -> Result<Over, String> {
    // From here on this handle means that process, and no later one of its number.
    let Some(monitor) = open(pid) else {
        return Ok(Over::Gone);
    };
    match Stat::read(pid) {
        Some(stat) if stat.started == started => stat.must_watch_over_a_session()?,
        Some(_) | None => return Ok(Over::Gone),
    }
    may()?;
    let scope = scope(pid);
    let mut members = BTreeMap::from([(pid, monitor)]);
    for glance in 0..GLANCES {
        members.retain(|_, handle| lives(handle));
        gather(&mut members, scope.as_deref())?;
        if members.is_empty() && !is_populated(scope.as_deref()) {
            return Ok(Over::Ended);
        }
        let signal = match glance {
            0 => Some(Signal::TERM),
            glance if glance >= PATIENT => Some(Signal::KILL),
            _ => None,
        };
        for (handle, signal) in members.values().zip(std::iter::repeat(signal)) {
            // It may have ended just now.
            let _gone = signal.map(|signal| pidfd_send_signal(handle, signal));
        }
        rest();
    }
    let left: Vec<String> = members.keys().map(u32::to_string).collect();
    match left.is_empty() {
        true => Err("the kernel says that its scope has processes still".to_owned()),
        false => Err(format!("processes of it do not end: {}", left.join(", "))),
    }
}

/// Adds whatever belongs to the session: what is in its scope, and what comes from its members. Each
/// is looked at again once there is a handle, for its number may be another's by then.
fn gather(members: &mut BTreeMap<u32, OwnedFd>, scope: Option<&str>) -> Result<(), String> {
    let all = processes().map_err(|error| format!("its processes cannot be looked at: {error}"))?;
    let mut found = 0;
    // As often as it takes until no children of children are left.
    while found != members.len() {
        found = members.len();
        for one in &all {
            let in_scope = scope.is_some() && self::scope(one.pid).as_deref() == scope;
            let belongs = in_scope || members.contains_key(&one.parent);
            if !belongs || members.contains_key(&one.pid) {
                continue;
            }
            let handle = open(one.pid);
            let same = Stat::read(one.pid).is_some_and(|it| it.started == one.started);
            members.extend(handle.filter(|_| same).map(|handle| (one.pid, handle)));
        }
    }
    Ok(())
}

/// What the kernel says of a process (proc_pid_stat(5)).
struct Stat {
    pid: u32,
    name: String,
    parent: u32,
    flags: u64,
    started: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may have spaces and parentheses in it.
        let (start, rest) = text.rsplit_once(") ")?;
        let (_, name) = start.split_once('(')?;
        let field = |number: usize| rest.split(' ').nth(number - 3);
        Some(Self {
            pid,
            name: name.to_owned(),
            parent: field(4)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            started: field(22)?.parse().ok()?,
        })
    }

    /// Whether it is a thread of the kernel.
    const fn is_kernels(&self) -> bool {
        self.flags & KERNELS != 0
    }

    /// Whoever may not become root cannot make such a process.
    fn must_watch_over_a_session(&self) -> Result<(), String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let is_root = status.lines().any(|line| line == "Uid:\t0\t0\t0\t0");
        let title = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let title = String::from_utf8_lossy(&title).into_owned();
        let titled = title.starts_with("sshd: ") || title.starts_with("sshd-session: ");
        let named = matches!(self.name.as_str(), "sshd" | "sshd-session");
        match is_root && named && titled && !title.contains("[listener]") {
            true => Ok(()),
            false => Err(format!(
                "process {} is not sshd's that watches over a session",
                self.pid
            )),
        }
    }
}

/// The processes of a user that began since then: whoever may not see whose a process is learns it here.
///
/// # Errors
/// The kernel's.
pub(super) fn since(user: u32, started: u64) -> io::Result<Vec<Process>> {
    let all = processes()?.into_iter();
    let own = all.filter(|it| it.started >= started && !it.is_kernels() && is_of(it.pid, user));
    let found = own.map(|it| Process {
        pid: it.pid,
        started: it.started,
    });
    Ok(found.take(MOST_PROCESSES).collect())
}

/// Whether a process acts for this user (proc_pid_status(5): its real number, and the others).
fn is_of(pid: u32, user: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let mut numbers = numbers.unwrap_or_default().split_ascii_whitespace();
    numbers.any(|it| it.parse() == Ok(user))
}

/// Every process of the host.
fn processes() -> io::Result<Vec<Stat>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let number = |it: fs::DirEntry| it.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(number).filter_map(Stat::read).collect())
}

/// The control group that logind made for the session which a process is in.
fn scope(pid: u32) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let is_scope = |line: &&str| {
        let last = line.rsplit('/').next().unwrap_or_default();
        last.starts_with("session-") && last.ends_with(".scope")
    };
    groups.lines().find(is_scope).map(str::to_owned)
}

/// Whether the kernel knows of a process in a scope, also below it and where its number is not seen
/// from here (cgroups(7), `cgroup.events`).
fn is_populated(scope: Option<&str>) -> bool {
    // `0::/user.slice/...`, as the second version of control groups has it.
    let path = scope.and_then(|line| line.strip_prefix("0::/"));
    let events = path.map(|path| Path::new("/sys/fs/cgroup").join(path).join("cgroup.events"));
    let events = events.and_then(|path| fs::read_to_string(path).ok());
    events.is_some_and(|text| text.lines().any(|line| line == "populated 1"))
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// A handle can be read once its process has ended.
fn lives(handle: &OwnedFd) -> bool {
    let mut it = [PollFd::new(handle, PollFlags::IN)];
    let now = Timespec::default();
    !matches!(poll(&mut it, Some(&now)), Ok(1..))
}

fn rest() {
    let tenth = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    let _interrupted = poll(&mut [], Some(&tenth));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_session_of_sshd_is_left_alone() {
        let mut child = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let stat = Stat::read(child.id()).unwrap();
        assert_eq!(stat.parent, std::process::id());
        let why = end(stat.pid, stat.started, || Ok(())).unwrap_err();
        assert!(why.contains("is not sshd's"), "{why}");
        assert_eq!(end(stat.pid, stat.started + 1, || Ok(())), Ok(Over::Gone));
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(end(stat.pid, stat.started, || Ok(())), Ok(Over::Gone));
    }

    #[test]
    fn whose_process_it_is_and_since_when_is_seen() {
        let mut child = Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let stat = Stat::read(child.id()).unwrap();
        let user = rustix::process::getuid().as_raw();
        let found = |user, started| {
            let found = since(user, started).unwrap();
            found.iter().any(|it| it.pid == stat.pid)
        };
        assert!(found(user, stat.started));
        assert!(!found(user, stat.started + 1), "it began before");
        assert!(!found(user + 1, stat.started), "another's");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
