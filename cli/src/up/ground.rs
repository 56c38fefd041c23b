//! The folder that `up` keeps everything in: who may use it, what lies where, and on which ports.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// Where the collector answers the operator's command.
pub(super) const SOCKET: &str = "collector/collector.sock";

/// Where the agent keeps who it is.
pub(super) const IDENTITY: &str = "agent/identity.json";

/// The folder, while nobody else uses it.
#[derive(Debug)]
pub(super) struct Ground {
    folder: PathBuf,
    ports: Ports,
    /// Held as long as this lives.
    _lock: File,
}

/// The loopback ports: chosen once, and remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ports {
    pub(super) agents: u16,
    pub(super) enrolment: u16,
    pub(super) ssh: u16,
    /// 0 where an earlier version chose the others.
    #[serde(default)]
    pub(super) page: u16,
}

impl Ground {
    /// Makes the folder, or finds what an earlier run has left in it.
    ///
    /// # Errors
    /// Another run uses it, or it cannot be written.
    pub(super) fn prepare(folder: &Path) -> anyhow::Result<Self> {
        for part in [
            "",
            "log",
            "collector",
            "agent",
            "messages",
            "sshd",
            "written",
        ] {
            let path = folder.join(part);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .with_context(|| format!("cannot make the folder {}", path.display()))?;
        }
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot open the folder {}", folder.display()))?;
        let lock = lock(&folder.join("lock"))?;
        let ports = ports(&folder.join("ports.json"))?;
        Ok(Self {
            folder,
            ports,
            _lock: lock,
        })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Something in the folder.
    pub(super) fn path(&self, part: &str) -> PathBuf {
        self.folder.join(part)
    }

    /// The ports that were chosen for this folder.
    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// Makes sure that nobody else listens where the collector is going to.
    pub(super) fn check_ports(&self) -> anyhow::Result<()> {
        for port in [self.ports.agents, self.ports.enrolment, self.ports.page] {
            drop(self.listen(port)?);
        }
        Ok(())
    }

    /// Listens where the SSH server for the occasion does.
    pub(super) fn listen_for_ssh(&self) -> anyhow::Result<(u16, TcpListener)> {
        Ok((self.ports.ssh, self.listen(self.ports.ssh)?))
    }

    fn listen(&self, port: u16) -> anyhow::Result<TcpListener> {
        TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).with_context(|| {
            format!(
                "port {port} of 127.0.0.1, which an earlier run chose, is taken by another \
                 program: end that program (ss -ltnp shows it), or remove {} to begin anew",
                self.folder.display()
            )
        })
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        file.read_to_string(&mut holder)?;
        bail!(
            "another `make up` runs in this folder (process {}): end it with Ctrl-C first",
            holder.trim()
        );
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

fn ports(path: &Path) -> anyhow::Result<Ports> {
    // All at once, so that they differ.
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = [free()?, free()?, free()?, free()?];
    let [agents, enrolment, ssh, page] = listeners
        .each_ref()
        .map(|listener| listener.local_addr().map(|address| address.port()));
    let mut ports = Ports {
        agents: agents?,
        enrolment: enrolment?,
        ssh: ssh?,
        page: page?,
    };
    if let Ok(text) = std::fs::read(path) {
        let kept: Ports = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `make up` wrote", path.display()))?;
        if kept.page != 0 {
            return Ok(kept);
        }
        ports = Ports {
            page: ports.page,
            ..kept
        };
    }
    std::fs::write(path, serde_json::to_vec(&ports)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_goes_on_with_the_same_ports() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ground::prepare(folder.path()).unwrap().ports;
        assert_eq!(Ground::prepare(folder.path()).unwrap().ports, first);
    }

    #[test]
    fn what_an_earlier_version_chose_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports.json");
        std::fs::write(&file, r#"{"agents":1,"enrolment":2,"ssh":3}"#).unwrap();
        let ports = Ground::prepare(folder.path()).unwrap().ports;
        assert_eq!((ports.agents, ports.enrolment, ports.ssh), (1, 2, 3));
        assert_eq!(Ground::prepare(folder.path()).unwrap().ports, ports);
        assert_ne!(ports.page, 0);
    }

    #[test]
    fn two_runs_at_once_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Ground::prepare(folder.path()).unwrap();
        let error = Ground::prepare(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
    }

    #[test]
    fn a_taken_port_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground::prepare(folder.path()).unwrap();
        let _thief = ground.listen(ground.ports.agents).unwrap();
        let error = ground.check_ports().unwrap_err().to_string();
        assert!(error.contains(&ground.ports.agents.to_string()), "{error}");
    }
}
