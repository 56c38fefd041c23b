//! The Unix socket that the operator's command talks to.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Context;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use watchward_daemon::tasks::Tasks;
use watchward_protocol::admin::SUDO_USER;
use watchward_protocol::text::Foreign;

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

/// The longest name that is kept of whoever called `sudo`, in characters (useradd(8) takes 32).
const LONGEST_NAME: usize = 64;

/// Who asks on the admin socket: the account that the kernel names. Root asks for whoever called
/// `sudo`, as the header [`SUDO_USER`] says; of others nobody believes that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who(pub String);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let Some(ConnectInfo(caller)) = parts.extensions.get::<ConnectInfo<Caller>>() else {
            return Ok(Self("unknown".to_owned()));
        };
        let behind = parts.headers.get(SUDO_USER).map(|name| name.as_bytes());
        Ok(Self(caller.name(behind)))
    }
}

/// The account on this machine at the other end of the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) uid: Option<u32>,
}

impl Caller {
    /// Its name, or its number if it has none; of root, who stands behind it.
    fn name(self, behind: Option<&[u8]>) -> String {
        let Some(uid) = self.uid else {
            return "unknown".to_owned();
        };
        match behind {
            Some(name) if uid == 0 && !matches!(name, b"" | b"root") => {
                format!("{} (as root)", Foreign::from(name).shortened(LONGEST_NAME))
            }
            _ => {
                let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
                account(&accounts, uid).unwrap_or_else(|| format!("uid {uid}"))
            }
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
    use axum::http::Request;

    use super::*;

    async fn who(uid: Option<u32>, behind: &[u8]) -> String {
        let mut request = Request::get("/").header(SUDO_USER, behind);
        if let Some(extensions) = request.extensions_mut() {
            extensions.insert(ConnectInfo(Caller { uid }));
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(Who(name)) = Who::from_request_parts(&mut parts, &()).await;
        name
    }

    #[tokio::test]
    async fn who_called_sudo_is_believed_of_root_alone() {
        assert_eq!(who(Some(0), b"ada").await, "ada (as root)");
        assert_eq!(who(Some(0), b"root").await, "root");
        assert_eq!(who(Some(0), b"").await, "root");
        assert_eq!(who(Some(4_000_000_000), b"ada").await, "uid 4000000000");
        assert_eq!(who(None, b"ada").await, "unknown");
        let long = who(Some(0), "ä".repeat(500).as_bytes()).await;
        assert!(long.chars().count() < 80, "{long}");
    }

    #[test]
    fn accounts_have_names() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nbad\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(account(accounts, 1000).as_deref(), Some("ada"));
        assert_eq!(account(accounts, 1), None);
    }
}
