//! The programs that this role runs: at fixed places, without a shell, with nothing in their environment, and not for long.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::key;
use super::list::{List, TRACER, other};

pub(super) const SSHD: &str = "/usr/sbin/sshd";
const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";
const SYSTEMCTL: &str = "/bin/systemctl";
/// Runs another and ends it after so many seconds.
const TIMEOUT: &str = "/usr/bin/timeout";
const LONGEST: &str = "20";

/// What is run, and where its input is written: a folder of this role's alone.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) folder: PathBuf,
}

impl Programs {
    /// Has the sshd that runs read its configuration again. One that is started for each connection
    /// does so by itself.
    pub(super) fn reload(&self) -> Result<(), String> {
        let is_active = |unit: &&str| run(SYSTEMCTL, &["is-active", "--quiet", unit]).is_ok();
        let unit = ["ssh.service", "sshd.service"].into_iter().find(is_active);
        unit.map_or(Ok(()), |unit| run(SYSTEMCTL, &["reload", unit]).map(drop))
    }

    /// Makes a file of revocations of a list, and sees that it can be read and revokes.
    pub(super) fn make(&self, list: &List, generation: u64) -> Result<Vec<u8>, String> {
        let file = &self.folder.join("revoked");
        let (generation, count) = (generation.to_string(), list.len().to_string());
        let (of, text) = (self.folder.join("authority.pub"), self.folder.join("list"));
        let _of_before = fs::remove_file(file);
        for (at, specification) in list.specifications().iter().enumerate() {
            self.write("list", &specification.text)?;
            let mut words = vec!["-q", "-k", "-f", shown(file)?];
            if at > 0 {
                words.push("-u");
            }
            if let Some(authority) = &specification.authority {
                self.write("authority.pub", authority)?;
                words.extend(["-s", shown(&of)?]);
            }
            words.extend(["-z", &generation, "-C", &count, shown(&text)?]);
            run(SSH_KEYGEN, &words)?;
        }
        self.prove(file)?;
        fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// A file that revokes the key which every list names, and not the one that none does.
    fn prove(&self, file: &Path) -> Result<(), String> {
        let other = other().map_err(|error| format!("/dev/urandom: {error}"))?;
        let keys = [("tracer.pub", &TRACER), ("other.pub", &other)];
        let mut words = vec!["-Q".to_owned(), "-f".to_owned(), shown(file)?.to_owned()];
        for (name, key) in keys {
            self.write(name, &key::line(key).unwrap_or_default())?;
            words.push(shown(&self.folder.join(name))?.to_owned());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = output(SSH_KEYGEN, &words)?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let mut lines = said.lines();
        let tracer = lines.next().is_some_and(|line| line.ends_with(": REVOKED"));
        let other = lines.next().is_some_and(|line| line.ends_with(": ok"));
        match tracer && other {
            true => Ok(()),
            false => Err("ssh-keygen cannot read what it wrote".to_owned()),
        }
    }

    /// Writes a file that a program reads.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        let written = fs::File::create(&path).and_then(|mut it| it.write_all(text.as_bytes()));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn shown(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| "a path is no text".to_owned())
}

/// What a program wrote, if it did what it was asked.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = output(program, arguments)?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let why = last.map_or_else(|| done.status.to_string(), |line| line.trim().to_owned());
    Err(format!("{program}: {why}"))
}

pub(super) fn output(program: &str, arguments: &[&str]) -> Result<Output, String> {
    let mut command = Command::new(TIMEOUT);
    command.args(["--signal=KILL", LONGEST, program]);
    let command = command.args(arguments).env_clear().env("LC_ALL", "C");
    let done = command.output();
    done.map_err(|error| format!("{program} cannot be run: {error}"))
}
