//! Which system calls a program does, and killing it before a chosen one of them (`strace`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::undo::Folder;

/// Those by which a program does something to others, waits for what it started, or writes to the
/// disk. Whoever is killed before the next of them has left what it left after the one before.
const CALLS: &str = "sendto,sendmsg,write,writev,pwrite64,fsync,fdatasync,ftruncate,openat,rename,\
    renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,symlink,symlinkat,clone,clone3,vfork,poll,\
    wait4,waitid,memfd_create";

/// Whose calls.
#[derive(Clone, Copy, Debug)]
pub enum Traced {
    /// A process of one thread, without the programs that it starts.
    One(u32),
    /// All threads of a process, and the programs that it starts meanwhile.
    All(u32),
}

/// The so manieth call of its kind that one thread does since somebody looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    call: String,
    number: u32,
}

impl Step {
    /// Which system call it is.
    pub fn call(&self) -> &str {
        &self.call
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.number)
    }
}

/// The steps before which it was to be killed, and which it did without that time: how often it looks whether
/// something is done is a matter of time.
#[derive(Debug, Default)]
pub struct Passed(usize);

impl Passed {
    /// Notes one of these; a quarter of them may be such.
    pub fn note(&mut self, step: &Step, all: &[Step]) -> Result<()> {
        self.0 += 1;
        let passed = self.0;
        ensure!(
            passed * 4 <= all.len(),
            "it was not killed before {step}, nor before others, {passed} in all, of {all:?}"
        );
        Ok(())
    }
}

/// Looks at a running program.
#[derive(Debug)]
pub struct Tracer {
    strace: Child,
    folder: Folder,
}

impl Tracer {
    /// Notes the steps.
    pub fn note(traced: Traced) -> Result<Self> {
        Self::attach(traced, &format!("trace={CALLS}"))
    }

    /// Kills it before this step.
    pub fn kill_before(traced: Traced, step: &Step) -> Result<Self> {
        let Step { call, number } = step;
        Self::attach(traced, &format!("inject={call}:signal=KILL:when={number}"))
    }

    fn attach(traced: Traced, what: &str) -> Result<Self> {
        let (process, all) = match traced {
            Traced::One(process) => (process, None),
            Traced::All(process) => (process, Some("-f")),
        };
        let folder = Folder::new("watchward-steps")?;
        let mut strace = Command::new("strace");
        strace
            .args(["-p", &process.to_string(), "-e", what])
            .args(all);
        strace.arg("-o").arg(folder.path().join("log"));
        let mut strace = strace
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("strace cannot be started")?;
        let said = strace.stderr.take().context("no pipe from strace")?;
        let mut first = String::new();
        BufReader::new(said).read_line(&mut first)?;
        let tracer = Self { strace, folder };
        ensure!(first.contains("attached"), "strace: {first}");
        Ok(tracer)
    }

    /// Looks no longer: the steps, each once, in the order in which they were.
    pub fn steps(mut self) -> Result<Vec<Step>> {
        self.end()?;
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        let (mut counts, mut known) = (BTreeMap::new(), BTreeSet::new());
        let steps = log.lines().filter_map(|line| {
            // `4711  sendto(5, ...`; where one thread is looked at, without its number.
            let call = line.split_once('(')?.0;
            let (thread, call) = call.rsplit_once(' ').unwrap_or(("", call));
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !call.bytes().all(plain) {
                return None;
            }
            let of = (thread.to_owned(), call.to_owned());
            let count = counts.entry(of).or_insert(0);
            *count += 1;
            let step = Step {
                call: call.to_owned(),
                number: *count,
            };
            known.insert(step.clone()).then_some(step)
        });
        Ok(steps.collect())
    }

    fn end(&mut self) -> Result<()> {
        let strace = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        // Asked to end, it lets go of the process; it has ended by itself if that has.
        let _ended = strace.map(|it| kill_process(it, Signal::TERM));
        self.strace.wait()?;
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _gone = self.end();
    }
}
