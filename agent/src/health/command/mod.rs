//! Runs a Nagios plugin, or any program that tells by its exit status, without a shell.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use watchward_protocol::checks::AbsolutePath;
use watchward_protocol::checks::command::Config;
use watchward_protocol::health::{Value, Verdict};

use super::Found;
use super::look::{Look, Stuck};
use super::words::shortened;

mod confined;
mod perfdata;
pub(super) mod warden;

use confined::confined;
use warden::Outcome;

/// How much is kept of what a program writes; the rest is read, so that it can go on.
const OUTPUT: u64 = 64 * 1024;
/// How much is kept of what it complains.
const COMPLAINT: u64 = 4 * 1024;
/// How long what is left in its pipes is waited for when it has ended and its children are killed.
const GRACE: Duration = Duration::from_millis(500);
/// Where programs are looked for that a plugin itself starts.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the program once. When this is no longer waited for, it is killed with all it started.
pub(super) async fn check(config: &Config, look: &Look) -> Found {
    run(config, config.command.program().as_path(), look).await
}

/// The same for one that was ordered: it must lie in one of these folders, also where links lead.
pub(super) async fn check_confined(
    config: &Config,
    folders: &[AbsolutePath],
    look: &Look,
) -> Found {
    let (program, folders) = (config.command.program().clone(), folders.to_vec());
    match look.at(move || confined(&program, &folders)).await {
        Ok(Ok(program)) => run(config, &program, look).await,
        Ok(Err(refusal)) => Found::unknown(refusal),
        Err(stuck) => stuck.into(),
    }
}

async fn run(config: &Config, program: &Path, look: &Look) -> Found {
    match ended(config, program, look).await {
        Ok(ended) => judge(&ended, program),
        Err(Failed::Stuck(stuck)) => stuck.into(),
        Err(Failed::NotRun(error)) => {
            let shown = program.display();
            let kind = error.kind();
            if kind == io::ErrorKind::NotFound {
                return Found::unknown(format!("there is no program {shown}"));
            }
            if kind == io::ErrorKind::PermissionDenied {
                return Found::unknown(format!("the agent's user may not run {shown}"));
            }
            Found::unknown(format!("{shown} cannot be run: {error}"))
        }
    }
}

/// Why nothing is known of a program's end.
#[derive(Debug)]
enum Failed {
    Stuck(Stuck),
    NotRun(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::NotRun(error)
    }
}

/// A program that has ended.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    complaint: Vec<u8>,
}

/// Runs the program in its warden, who kills it with all it started when `warden` here is dropped.
async fn ended(config: &Config, program: &Path, look: &Look) -> Result<Ended, Failed> {
    let directory = config.directory.as_ref().map(AbsolutePath::as_path);
    let env = config.env.iter();
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut warden = UnixStream::from_std(ours)?;
    let mut command = Command::new(itself());
    command
        .arg0("watchward-agent")
        .args(["plugin", "--"])
        .arg(program)
        .args(config.command.words())
        .env_clear()
        .envs([("PATH", PATH), ("LANG", "C.UTF-8")])
        .envs(env.map(|(name, value)| (name.as_str(), value.as_str())))
        .current_dir(directory.unwrap_or(Path::new("/")))
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // The folder may be on a file system that does not answer.
    let child = look.at(move || command.spawn()).await;
    let mut child = child.map_err(Failed::Stuck)??;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let outcome = {
        let reading = async {
            tokio::join!(
                gather(stdout, &mut output, OUTPUT),
                gather(stderr, &mut complaint, COMPLAINT)
            )
        };
        tokio::pin!(reading);
        tokio::select! {
            outcome = heard(&mut warden) => {
                // What cannot be killed may hold the pipes for ever.
                let _ = tokio::time::timeout(GRACE, reading).await;
                outcome
            }
            _ = &mut reading => heard(&mut warden).await,
        }
    };
    match outcome {
        Some(Outcome::Ended(status)) => Ok(Ended {
            status,
            output,
            complaint,
        }),
        Some(Outcome::NotRun(errno)) => Err(io::Error::from_raw_os_error(errno).into()),
        None => Err(io::Error::other("who should have run it was killed").into()),
    }
}

/// What the warden says of the end.
async fn heard(warden: &mut UnixStream) -> Option<Outcome> {
    let mut line = Vec::new();
    let mut said = BufReader::new(warden.take(64));
    said.read_until(b'\n', &mut line).await.ok()?;
    Outcome::read(&line)
}

/// This very program, also when another version was installed over it.
#[cfg(not(test))]
fn itself() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

#[cfg(test)]
use tests::itself;

/// Reads to the end, and keeps the beginning.
async fn gather<R: AsyncRead + Unpin>(pipe: Option<R>, kept: &mut Vec<u8>, limit: u64) {
    let Some(mut pipe) = pipe else { return };
    // A pipe that breaks has been read as far as it goes.
    let _ = (&mut pipe).take(limit).read_to_end(kept).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
}

fn judge(ended: &Ended, program: &Path) -> Found {
    let output = String::from_utf8_lossy(&ended.output);
    let written = perfdata::read(&output);
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let text = words(ended, &output, &written.text, &name);
    let beyond = written.measured.iter().find_map(|one| {
        let range = one.beyond()?;
        let label = shortened(one.label.as_bytes(), 60);
        Some(format!(
            " ({label} is {}{}, limit {})",
            one.number,
            one.unit,
            perfdata::Shown(range)
        ))
    });
    let beyond = beyond.unwrap_or_default();
    let (verdict, detail) = match ended.status.code() {
        Some(0) => (Verdict::Passed, text),
        Some(1) => (Verdict::Failed, format!("WARNING: {text}{beyond}")),
        Some(2) => (Verdict::Failed, format!("CRITICAL: {text}{beyond}")),
        Some(3) => (Verdict::Unknown, text),
        Some(code) => (
            Verdict::Unknown,
            format!("{name} ended with status {code}, which means nothing: {text}"),
        ),
        None => {
            let signal = ended.status.signal().unwrap_or_default();
            let detail = format!("{name} was ended by signal {signal}: {text}");
            (Verdict::Unknown, detail)
        }
    };
    let mut found = Found::new(verdict, detail);
    let value = |one: perfdata::Measured| Value {
        name: shortened(one.label.as_bytes(), 100),
        number: one.number,
        unit: one.unit,
        limits: one.limits,
    };
    found.values = written.measured.into_iter().map(value).collect();
    found
}

/// What is told of what it wrote: its first line; where it could not do its work also its last ones,
/// for then it says there why, often after the command that it tried.
fn words(ended: &Ended, output: &str, first: &str, name: &str) -> String {
    let last = |text: &str| {
        let line = text.lines().rfind(|line| !line.trim().is_empty())?;
        Some(line.split('|').next()?.trim().to_owned())
    };
    let worked = matches!(ended.status.code(), Some(0..=2));
    let mut said = vec![first.to_owned()];
    said.extend(last(output).filter(|_| !worked));
    if !worked || first.is_empty() {
        said.extend(last(&String::from_utf8_lossy(&ended.complaint)));
    }
    said.retain(|line| !line.is_empty());
    said.dedup();
    if said.is_empty() {
        return format!("{name} wrote nothing");
    }
    shortened(said.join(" / ").as_bytes(), 1000)
}

#[cfg(test)]
mod tests;
