//! A process of its own around each run of a plugin, so that nothing the plugin started outlives it.
//!
//! A program can leave its process group and its parent, but not its nearest ancestor that adopts
//! orphans (`PR_SET_CHILD_SUBREAPER`): so whatever is below the warden was started by this run, and
//! when nothing is below it any more, all of it is gone. That needs no privilege and no control group.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group,
    set_child_subreaper, wait,
};

/// How a run ended, as the warden tells the agent in one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was run, and this is what the system says of its end.
    Ended(ExitStatus),
    /// It could not be run, for the reason of this number (`errno`).
    NotRun(i32),
}

impl Outcome {
    /// Reads what a warden said; nothing if it did not get to say it.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?.strip_suffix('\n')?;
        let (what, number) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        match what {
            "ended" => Some(Self::Ended(ExitStatus::from_raw(number))),
            "failed" => Some(Self::NotRun(number)),
            _ => None,
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Ended(status) => format!("ended {}\n", status.into_raw()),
            Self::NotRun(errno) => format!("failed {errno}\n"),
        }
    }
}

/// Runs a program with this process's output, environment and folder, tells on standard input, a
/// socket, how it ended, and kills all that it left. When the other end of the socket is closed,
/// because its time is over or the agent is gone, everything is killed.
///
/// # Errors
/// The system denies what this is for.
pub fn keep(program: &OsStr, words: &[OsString]) -> io::Result<()> {
    let agent = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    set_child_subreaper(Some(getpid()))?;
    let plugin = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let plugin = match plugin {
        Ok(plugin) => plugin,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or_default();
            return tell(&agent, &Outcome::NotRun(errno));
        }
    };
    let id = i32::try_from(plugin.id()).ok().and_then(Pid::from_raw);
    let plugin = id.ok_or(io::ErrorKind::InvalidData)?;
    let over = Arc::new(AtomicBool::new(false));
    end_with(agent.try_clone()?, plugin, over.clone());
    let status = ended(plugin)?;
    over.store(true, Ordering::SeqCst);
    // An agent that gave up does not hear it.
    let _ = tell(&agent, &Outcome::Ended(status));
    let _ = kill_process_group(plugin, Signal::KILL);
    clear();
    Ok(())
}

fn tell(mut agent: &UnixStream, outcome: &Outcome) -> io::Result<()> {
    agent.write_all(outcome.line().as_bytes())
}

/// Kills the plugin when nobody waits for it any more.
fn end_with(mut agent: UnixStream, plugin: Pid, over: Arc<AtomicBool>) {
    thread::spawn(move || {
        let _closed = agent.read(&mut [0]);
        if !over.load(Ordering::SeqCst) {
            let _ = kill_process(plugin, Signal::KILL);
        }
    });
}

/// Waits for the plugin, and buries what it orphaned meanwhile.
fn ended(plugin: Pid) -> io::Result<ExitStatus> {
    loop {
        let dead = wait(WaitOptions::empty());
        if let Some((pid, status)) = again(dead)?
            && pid == plugin
        {
            return Ok(ExitStatus::from_raw(status.as_raw()));
        }
    }
}

fn again(
    dead: rustix::io::Result<Option<(Pid, WaitStatus)>>,
) -> io::Result<Option<(Pid, WaitStatus)>> {
    match dead {
        Err(rustix::io::Errno::INTR) => Ok(None),
        dead => Ok(dead?),
    }
}

/// Kills until there is nobody left, or nobody who may be killed: one that became root.
fn clear() {
    loop {
        // The usual end: there are no children at all, and /proc need not be read.
        let Ok(dead) = again(wait(WaitOptions::NOHANG)) else {
            return;
        };
        if dead.is_some() {
            continue;
        }
        let below = below(Path::new("/proc"), getpid());
        let killed = below.iter().filter(|one| kill(**one)).count();
        // Whose parents were killed is a child of this process now: look again.
        if killed == 0 || again(wait(WaitOptions::empty())).is_err() {
            return;
        }
    }
}

fn kill(one: Pid) -> bool {
    kill_process(one, Signal::KILL).is_ok()
}

/// All that live below a process.
fn below(proc: &Path, top: Pid) -> HashSet<Pid> {
    let mut children: HashMap<i32, Vec<Pid>> = HashMap::new();
    for entry in fs::read_dir(proc).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        let stat = fs::read(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = living_below(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut all, mut next) = (HashSet::new(), vec![top]);
    while let Some(parent) = next.pop() {
        for child in children.get(&parent.as_raw_pid()).into_iter().flatten() {
            if all.insert(*child) {
                next.push(*child);
            }
        }
    }
    all
}

/// The parent that a line of `/proc/PID/stat` names, unless its process is dead already. The name of
/// a process, in parentheses, may hold anything.
fn living_below(stat: &[u8]) -> Option<i32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut rest = str::from_utf8(stat.get(end + 1..)?)
        .ok()?
        .split_ascii_whitespace();
    let (state, parent) = (rest.next()?, rest.next()?);
    (!matches!(state, "Z" | "X")).then(|| parent.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read_and_nothing_else() {
        for outcome in [
            Outcome::Ended(ExitStatus::from_raw(3 << 8)),
            Outcome::Ended(ExitStatus::from_raw(9)),
            Outcome::NotRun(13),
        ] {
            assert_eq!(Outcome::read(outcome.line().as_bytes()), Some(outcome));
        }
        for strange in ["", "ended", "ended 0", "ended x\n", "left 0\n", "\u{0}\n"] {
            assert_eq!(Outcome::read(strange.as_bytes()), None, "{strange:?}");
        }
    }

    #[test]
    fn a_process_cannot_name_its_parent_itself() {
        assert_eq!(living_below(b"7 (sh) S 5 7 7 0"), Some(5));
        assert_eq!(living_below(b"7 (a) S 1 (b)) R 5 7"), Some(5));
        assert_eq!(living_below(b"7 (sh) Z 5 7 7 0"), None);
        assert_eq!(living_below(b"7 (sh"), None);
    }

    #[test]
    fn everybody_below_is_found_whatever_the_order() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, parent) in [(9, 1), (8, 4), (4, 2), (3, 2), (5, 9), (2, 1)] {
            let folder = proc.path().join(pid.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("stat"), format!("{pid} (x) S {parent} 0")).unwrap();
        }
        fs::create_dir(proc.path().join("self")).unwrap();
        let pid = |id| Pid::from_raw(id).unwrap();
        let below = below(proc.path(), pid(2));
        assert_eq!(below, HashSet::from([pid(3), pid(4), pid(8)]));
    }
}
