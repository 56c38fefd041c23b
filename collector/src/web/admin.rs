//! The Unix socket that the operator's command talks to.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Context;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use watchward_daemon::tasks::Tasks;

use super::problem::Problem;

/// The table `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The Unix socket that the command `watchward` talks to. Only the collector's own user and
    /// root may.
    pub socket: PathBuf,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/watchward/collector.sock"),
        }
    }
}

/// Serves the rooms' paths until told to stop.
///
/// # Errors
/// The socket cannot be made, or another collector listens on it.
pub fn start(tasks: &Tasks, config: &Admin, routes: Router) -> anyhow::Result<()> {
    let path = &config.socket;
    let listener = listen(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    let routes = routes.fallback(async || Problem::missing("there is no such path"));
    let stop = tasks.stop();
    tasks.start("admin", async move {
        let routes = routes.into_make_service_with_connect_info::<Caller>();
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
        served.await.context("cannot serve the admin socket")
    });
    Ok(())
}

fn listen(path: &PathBuf) -> anyhow::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        anyhow::bail!("another collector listens there");
    }
    // What is left of a collector that was killed.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The account on this machine that asks on the admin socket, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    uid: Option<u32>,
}

impl Caller {
    /// Whether it is root.
    pub fn is_root(self) -> bool {
        self.uid == Some(0)
    }

    /// Its name; its number if it has none.
    pub fn name(self) -> String {
        let Some(uid) = self.uid else {
            return "unknown".to_owned();
        };
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        account(&accounts, uid).unwrap_or_else(|| format!("uid {uid}"))
    }

    /// Who stands behind it: root may ask for somebody else, as whoever uses `sudo` does.
    pub fn for_whom(self, claimed: Option<String>) -> String {
        match claimed {
            Some(name) if self.is_root() && name != "root" => format!("{name} (as root)"),
            _ => self.name(),
        }
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let peer = stream.io().peer_cred().ok();
        Self {
            uid: peer.map(|peer| peer.uid()),
        }
    }
}

/// The first account with this number (passwd(5)).
fn account(accounts: &str, uid: u32) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?.parse::<u32>().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_names() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nbad\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(account(accounts, 1000).as_deref(), Some("ada"));
        assert_eq!(account(accounts, 1), None);
    }
}
