//! What a session of a revoked key leaves behind: what it forwarded is gone, and what got away from it is named, with where it listens, and left alone.

use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use watchward_tests::host::Host;
use watchward_tests::wait::{SOON, until};

use super::client::OPTIONS;
use super::revocation::log;

/// Where something listens on a host that lives on.
const SERVICE: u16 = 4811;
const SCOPE: u16 = 4812;
const JOB: u16 = 4813;
/// What is none of the revoked session's.
const BEFORE: u16 = 4814;
const ANOTHER: u16 = 4815;
/// What ends with it.
const WITHIN: u16 = 4816;
const REMOTE: u16 = 4817;
const LOCAL: u16 = 4818;

/// Listens until it is ended.
const LISTEN: &str = "use IO::Socket::INET;
my $it = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => shift, Listen => 1) or die;
sleep 250;
";

/// What runs on two hosts.
pub(super) struct Left {
    sessions: Vec<Child>,
}

impl Left {
    /// What was there before anybody came with the key that is revoked.
    pub(super) fn before(home: &Host, web: &Host) -> Result<Self> {
        web.write("/usr/local/bin/listen", LISTEN.as_bytes(), 0o644)?;
        web.sh("loginctl enable-linger alice")?;
        let mut left = Self {
            sessions: Vec::new(),
        };
        let script = format!("{}; {}", service(BEFORE), within(ANOTHER));
        left.sessions.push(session(home, web, "new", &script)?);
        listens(web, &[BEFORE, ANOTHER])?;
        Ok(left)
    }

    /// What somebody leaves who came with it.
    pub(super) fn leave(&mut self, home: &Host, web: &Host) -> Result<()> {
        let scope = format!(
            "setsid -f systemd-run --user -q --scope perl /usr/local/bin/listen {SCOPE} > /dev/null 2>&1"
        );
        let script = format!("{}; {scope}; {}", service(SERVICE), within(WITHIN));
        self.sessions.push(session(home, web, "old", &script)?);
        let forwards = format!(
            "ssh {OPTIONS} -N -R 127.0.0.1:{REMOTE}:127.0.0.1:22 -L 127.0.0.1:{LOCAL}:127.0.0.1:22 \
             -i /root/old alice@{}",
            web.address()
        );
        self.sessions.push(spawn(home, &forwards)?);
        listens(web, &[SERVICE, SCOPE, WITHIN, REMOTE])?;
        listens(home, &[LOCAL])?;
        // As a daemon of the system runs what a user told it to.
        web.sh(&format!(
            "systemd-run -q --unit=job --uid=alice perl /usr/local/bin/listen {JOB}"
        ))?;
        listens(web, &[JOB])
    }

    /// What is said of it once the key is revoked.
    pub(super) fn told(self, home: &Host, web: &Host) -> Result<()> {
        until("what listens is named", SOON, || {
            let said = log(web);
            let named = |port| said.contains(&format!("of alice listens at 0.0.0.0:{port} by tcp"));
            Ok([SERVICE, SCOPE, JOB].into_iter().all(named).then_some(()))
        })
        .with_context(|| log(web))?;
        let said = log(web);
        ensure!(said.contains("(perl) of job.service lives on"), "{said}");
        for port in [BEFORE, ANOTHER, WITHIN, REMOTE] {
            let named = said.contains(&format!(":{port} by tcp"));
            ensure!(!named, "{port} is not what it left: {said}");
        }
        // Nothing is ended that is another's, or nobody knows whose.
        listens(web, &[SERVICE, SCOPE, JOB, BEFORE, ANOTHER])?;
        for (host, port) in [(web, WITHIN), (web, REMOTE), (home, LOCAL)] {
            ensure!(!host.try_sh(&listening(port))?, "{port} listens still");
        }
        Ok(())
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for session in &mut self.sessions {
            let _ended_already = session.kill();
            let _gone = session.wait();
        }
    }
}

/// A service of the user's own.
fn service(port: u16) -> String {
    format!("systemd-run --user -q --unit=back-{port} perl /usr/local/bin/listen {port}")
}

/// Within the session, however it tries to get away from it.
fn within(port: u16) -> String {
    format!("setsid -f perl /usr/local/bin/listen {port} > /dev/null 2>&1")
}

/// A session that does this, and stays open.
fn session(home: &Host, web: &Host, key: &str, script: &str) -> Result<Child> {
    let web = web.address();
    let own = "export XDG_RUNTIME_DIR=/run/user/$(id -u)";
    spawn(
        home,
        &format!("ssh {OPTIONS} -i /root/{key} alice@{web} '{own}; {script}; exec sleep 250'"),
    )
}

fn spawn(host: &Host, line: &str) -> Result<Child> {
    let mut command = host.command(&["bash", "-c", line])?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(child.spawn()?)
}

fn listens(host: &Host, ports: &[u16]) -> Result<()> {
    for port in ports {
        until(&format!("something listens on {port}"), SOON, || {
            Ok(host.try_sh(&listening(*port))?.then_some(()))
        })?;
    }
    Ok(())
}

fn listening(port: u16) -> String {
    format!("ss -Hltn 'sport = :{port}' | grep -q .")
}
