//! Logs in from one host to another, rightly or wrongly, with the real ssh client.

use std::process::{Child, Stdio};

use anyhow::{Result, ensure};

use crate::host::Host;

/// What every try has in common: nobody is asked, and nobody's known hosts are touched.
const OPTIONS: &str = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR -o ConnectTimeout=20";

/// Makes an account with this password, and a home.
pub fn add_user(host: &Host, user: &str, password: &str) -> Result<()> {
    host.sh(&format!(
        "useradd -m -s /bin/bash {user}; echo '{user}:{password}' | chpasswd"
    ))
    .map(drop)
}

/// Makes a key on `from` that opens `user` on `to`, and gives its fingerprint: `SHA256:...`.
pub fn add_key(from: &Host, user: &str, to: &Host) -> Result<String> {
    let public = from.sh(
        "mkdir -p -m 700 .ssh; test -f .ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
         cat .ssh/id_ed25519.pub",
    )?;
    to.sh(&format!(
        "install -d -m 700 -o {user} -g {user} /home/{user}/.ssh
         echo '{}' >> /home/{user}/.ssh/authorized_keys",
        public.trim()
    ))?;
    let listed = from.sh("ssh-keygen -lf .ssh/id_ed25519.pub")?;
    Ok(listed
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned())
}

/// Whether sshd can be reached at all: a connection is made, and nothing said.
pub fn reaches(from: &Host, to: &Host) -> Result<bool> {
    let knock = format!("timeout 2 bash -c '</dev/tcp/{}/22'", to.address());
    from.try_sh(&knock)
}

/// Whether the password opens the account; one connection, one try.
pub fn password(from: &Host, to: &Host, user: &str, password: &str) -> Result<bool> {
    from.try_sh(&format!(
        "sshpass -p '{password}' ssh {OPTIONS} -o NumberOfPasswordPrompts=1 \
         -o PreferredAuthentications=password -l '{user}' {} true",
        to.address()
    ))
}

/// Whether the key that [`add_key`] made opens the account.
pub fn key(from: &Host, to: &Host, user: &str) -> Result<bool> {
    from.try_sh(&format!(
        "ssh {OPTIONS} -o BatchMode=yes -i .ssh/id_ed25519 -l '{user}' {} true",
        to.address()
    ))
}

/// Has sshd take many tries on a connection and many connections at once, and answer at once:
/// without PAM, which waits two seconds after each failure.
pub fn allow_many_tries(host: &Host) -> Result<()> {
    let settings = b"MaxAuthTries 100\nMaxStartups 200\nUsePAM no\n";
    host.write("/etc/ssh/sshd_config.d/tests.conf", settings, 0o644)?;
    host.sh("systemctl restart ssh").map(drop)
}

/// Many wrong passwords for users that do not exist.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// How many user names; see [`attacker`].
    pub users: usize,
    /// How many connections for each.
    pub connections: usize,
    /// How many tries on each connection.
    pub tries: usize,
}

/// The user name with this number.
pub fn attacker(number: usize) -> String {
    format!("stranger{number}")
}

impl Attack {
    /// Begins it, a few connections at a time, and returns at once.
    pub fn begin(self, from: &Host, to: &Host) -> Result<Running> {
        let Self {
            users,
            connections,
            tries,
        } = self;
        from.write("/root/wrong-password", b"#!/bin/sh\necho wrong\n", 0o755)?;
        let script = format!(
            "export SSH_ASKPASS=/root/wrong-password SSH_ASKPASS_REQUIRE=force
             for round in $(seq {connections}); do for user in $(seq 0 $(({users} - 1))); do
                 echo stranger$user
             done; done | xargs -P 4 -I USER sh -c 'ssh {OPTIONS} -l USER \
                 -o NumberOfPasswordPrompts={tries} -o PreferredAuthentications=password \
                 {} true || true'",
            to.address()
        );
        let mut command = from.command(&["bash", "-c", &script])?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Running(child.spawn()?))
    }
}

/// An attack that has begun.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Whether it has made all its tries.
    pub fn ended(&mut self) -> Result<bool> {
        let Some(status) = self.0.try_wait()? else {
            return Ok(false);
        };
        ensure!(status.success(), "the attack did not end well: {status}");
        Ok(true)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _gone = self.0.wait();
    }
}
