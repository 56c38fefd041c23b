//! Somebody who logs in all the time, with a real ssh client, and remembers how each try ended.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};

use crate::wait::{SOON, until};

/// How an ssh client that logs in again and again agrees on a key: by Curve25519 alone, without the
/// post-quantum exchange that OpenSSH adds.
pub const QUICKLY: &str = "-o KexAlgorithms=curve25519-sha256";

/// A program that logs in until it is told that it was enough.
#[derive(Debug)]
pub struct Logins {
    program: Child,
    folder: PathBuf,
}

impl Logins {
    /// One way after the other: options of ssh and `account@address`. `shell` makes a command of a
    /// script, which runs in a folder that is seen from here as `folder`.
    pub fn begin(
        shell: impl FnOnce(&str) -> Result<Command>,
        folder: PathBuf,
        ways: &[String],
    ) -> Result<Self> {
        let script = format!(
            "while ! test -e enough; do for it in '{}'; do test -e enough && break; \
             if ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o BatchMode=yes -o LogLevel=ERROR -o ConnectTimeout=20 {QUICKLY} \
             $it true 2> why; then echo worked; \
             else echo \"$it at $(date +%T): $(cat why)\"; fi >> logins; sleep 0.2; done; done",
            ways.join("' '")
        );
        let mut command = shell(&script)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self {
            program: command.spawn()?,
            folder,
        })
    }

    /// That it got in each time, and how often; which is enough.
    pub fn always_worked(mut self) -> Result<usize> {
        fs::write(self.folder.join("enough"), "")?;
        until("the last login is over", SOON, || {
            Ok(self.program.try_wait()?.map(drop))
        })?;
        let all = fs::read_to_string(self.folder.join("logins"))?;
        let (worked, refused): (Vec<_>, Vec<_>) = all.lines().partition(|line| *line == "worked");
        ensure!(!worked.is_empty() && refused.is_empty(), "{refused:#?}");
        Ok(worked.len())
    }
}

impl Drop for Logins {
    fn drop(&mut self) {
        let _ended_already = self.program.kill();
        let _gone = self.program.wait();
    }
}
