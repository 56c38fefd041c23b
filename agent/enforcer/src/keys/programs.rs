//! The programs that this role runs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::key;
use super::list::{List, TRACER, other};
use crate::program;

pub(super) const SSHD: &str = "/usr/sbin/sshd";
const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";
const SYSTEMCTL: &str = "/bin/systemctl";
/// How many seconds each may take.
const LONGEST: &str = "20";

/// What is run, and where its input is written: a folder of this role's alone.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) folder: PathBuf,
    /// Whether this role's service is about to start: systemd has whatever is done to sshd wait for that.
    pub(super) is_starting: bool,
}

impl Programs {
    /// Has the sshd that runs read its configuration again. One that is started for each connection
    /// does so by itself.
    pub(super) fn reload(&self) -> Result<(), String> {
        let is_active = |unit: &&str| run(SYSTEMCTL, &["is-active", "--quiet", unit]).is_ok();
        let unit = ["ssh.service", "sshd.service"].into_iter().find(is_active);
        let words: &[&str] = match self.is_starting {
            true => &["reload", "--no-block"],
            false => &["reload"],
        };
        unit.map_or(Ok(()), |unit| {
            run(SYSTEMCTL, &[words, &[unit]].concat()).map(drop)
        })
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

    /// Makes a key that sshd can show, and its public half beside it.
    pub(super) fn make_key(&self, file: &Path, comment: &str) -> Result<(), String> {
        let words = [
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            comment,
            "-f",
            shown(file)?,
        ];
        run(SSH_KEYGEN, &words).map(drop)
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
    program::run(program, LONGEST, arguments)
}

/// All that came of it.
pub(super) fn output(program: &str, arguments: &[&str]) -> Result<Output, String> {
    program::output(program, LONGEST, arguments)
}
