//! A real ssh client with one key, to the account alice of a host.

use std::process::{Child, Stdio};

use anyhow::Result;
use watchward_tests::host::Host;
use watchward_tests::logins::QUICKLY;

/// An sshd that reads its configuration again does not listen for a moment.
pub(super) const OPTIONS: &str = "-o ConnectionAttempts=5 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
    -o LogLevel=ERROR -o ConnectTimeout=20 -o IdentitiesOnly=yes";

/// Whether a key of `/root` opens the account for a real client.
pub(super) fn opens(from: &Host, to: &Host, key: &str) -> Result<bool> {
    opens_for(from, to, key, "alice")
}

/// Whether it opens this account.
pub(super) fn opens_for(from: &Host, to: &Host, key: &str, account: &str) -> Result<bool> {
    let to = to.address();
    from.try_sh(&format!(
        "ssh {OPTIONS} {QUICKLY} -i /root/{key} {account}@{to} true"
    ))
}

/// A shell line that logs in again and again, until it is ended, and writes how each ended to a file.
pub(super) fn endlessly(to: &Host, key: &str, file: &str) -> String {
    let to = to.address();
    format!(
        "while :; do ssh {OPTIONS} {QUICKLY} -i /root/{key} alice@{to} echo opened 2>&1; done > {file} &"
    )
}

/// A session that does not end by itself, nor when it is asked to.
pub(super) struct Session(Child);

impl Session {
    pub(super) fn open(from: &Host, to: &Host, key: &str) -> Result<Self> {
        let line = format!(
            "ssh {OPTIONS} {QUICKLY} -i /root/{key} alice@{} \"trap '' TERM HUP; sleep 250; sleep 250\"",
            to.address()
        );
        let mut command = from.command(&["bash", "-c", &line])?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self(child.spawn()?))
    }

    pub(super) fn ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _gone = self.0.wait();
    }
}
