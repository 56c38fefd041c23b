//! An SSH server for the occasion, where the host has none: on a loopback port, and it lets nobody
//! in. Everything of it lies in one folder.
//!
//! Each connection gets an `sshd -i` of its own, as inetd would start it, as an ordinary user. So
//! it needs no `/run/sshd`, no account named sshd, and no port but ours; it cannot read a password
//! file, and with no key accepted either, every try fails. Paths lead through the working folder,
//! because that user may not be allowed to walk to it.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use watchward_daemon::clock;
use watchward_daemon::tasks::Tasks;
use watchward_protocol::time::Timestamp;

/// The user and group `nobody`.
const NOBODY: u32 = 65534;

/// How many may knock at once.
const CROWD: usize = 16;

const CONFIGURATION: &str = "\
# An SSH server for `make up`, for the occasion: nobody gets in. Written anew at every start.
HostKey /proc/self/cwd/host_key
PidFile none
UsePAM no
StrictModes no
PermitRootLogin no
AuthorizedKeysFile none
PasswordAuthentication yes
LogLevel INFO
";

/// The server, before it has answered anybody.
#[derive(Debug)]
pub(super) struct Server {
    program: PathBuf,
    folder: PathBuf,
    listener: TcpListener,
}

/// Where this host, or `make up`, has put sshd.
fn program(folder: &Path) -> Option<PathBuf> {
    let system = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from);
    if let Some(program) = system.into_iter().find(|path| path.exists()) {
        return Some(program);
    }
    let unpacked = "root/usr/sbin/sshd";
    let there = folder.join(unpacked).exists();
    there.then(|| Path::new("/proc/self/cwd").join(unpacked))
}

impl Server {
    /// Writes what the server needs into the folder.
    pub(super) fn prepare(folder: &Path, listener: TcpListener) -> anyhow::Result<Self> {
        let Some(program) = program(folder) else {
            bail!("there is no sshd to run: install Debian's openssh-server, or run `make up`");
        };
        let key = folder.join("host_key");
        if !key.exists() {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "watchward", "-f"])
                .arg(&key)
                .stdin(Stdio::null())
                .output()
                .context("cannot run ssh-keygen: install Debian's openssh-client")?;
            if !made.status.success() {
                bail!(
                    "ssh-keygen made no host key: {}",
                    String::from_utf8_lossy(&made.stderr).trim()
                );
            }
        }
        // The agent finds it there before anybody knocks.
        open_log(folder).context("cannot write the log of sshd")?;
        let configuration = folder.join("sshd_config");
        std::fs::write(&configuration, CONFIGURATION)
            .with_context(|| format!("cannot write {}", configuration.display()))?;
        if rustix::process::geteuid().is_root() {
            for path in [folder, &key] {
                chown(path, Some(NOBODY), Some(NOBODY))
                    .with_context(|| format!("cannot give {} to nobody", path.display()))?;
            }
        }
        listener.set_nonblocking(true)?;
        Ok(Self {
            program,
            folder: folder.to_owned(),
            listener,
        })
    }

    /// Answers whoever comes, until the tasks are asked to stop.
    pub(super) fn serve(self, tasks: &Tasks) -> anyhow::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let server = Arc::new((self.program, self.folder));
        let each = tasks.clone();
        let stop = tasks.stop();
        let room = Arc::new(Semaphore::new(CROWD));
        tasks.start("sshd", async move {
            while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
                let (connection, _) = accepted?;
                // Whoever finds the room full is turned away, as sshd does.
                let Ok(place) = room.clone().try_acquire_owned() else {
                    continue;
                };
                let server = server.clone();
                let stop = stop.clone();
                each.start_passing("sshd connection", async move {
                    let _place = place;
                    let answered = answer(&server.0, &server.1, connection);
                    stop.run_until_cancelled(answered).await.unwrap_or(Ok(()))
                });
            }
            Ok(())
        });
        Ok(())
    }
}

/// Has sshd talk with whoever came, and keeps what it says of it.
async fn answer(program: &Path, folder: &Path, connection: TcpStream) -> anyhow::Result<()> {
    let connection = connection.into_std()?;
    connection.set_nonblocking(false)?;
    let socket = OwnedFd::from(connection);
    let mut child = command(program)
        .args(["-i", "-e", "-f", "sshd_config"])
        .current_dir(folder)
        .env_clear()
        .env("LD_LIBRARY_PATH", libraries(folder))
        .stdin(socket.try_clone()?)
        .stdout(socket)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start sshd")?;
    let pid = child.id().unwrap_or(0);
    let said = child.stderr.take().context("sshd has no standard error")?;
    let mut log = open_log(folder)?;
    let mut said = BufReader::new(said).split(b'\n');
    while let Some(line) = said.next_segment().await? {
        // Said only because this sshd may not read the password file, and on its way to refuse.
        if !line.starts_with(b"Could not get shadow information") {
            log.write_all(&entry(&line, pid, clock::now()))?;
        }
    }
    child.wait().await?;
    Ok(())
}

/// As root, sshd is run by nobody: it would need more of the host otherwise.
fn command(program: &Path) -> tokio::process::Command {
    if !rustix::process::geteuid().is_root() {
        return tokio::process::Command::new(program);
    }
    let mut command = tokio::process::Command::new("/usr/bin/setpriv");
    let nobody = NOBODY.to_string();
    command.args([
        "--reuid",
        &nobody,
        "--regid",
        &nobody,
        "--clear-groups",
        "--",
    ]);
    command.arg(program);
    command
}

/// Where the libraries of an unpacked sshd lie.
fn libraries(folder: &Path) -> String {
    let machine = std::env::consts::ARCH;
    let under = |part: &str| {
        let path = format!("root/{part}/{machine}-linux-gnu");
        folder
            .join(&path)
            .exists()
            .then(|| format!("/proc/self/cwd/{path}"))
    };
    let found: Vec<String> = ["usr/lib", "lib"].into_iter().filter_map(under).collect();
    found.join(":")
}

/// A line as a syslog daemon would have written it.
fn entry(line: &[u8], pid: u32, now: Timestamp) -> Vec<u8> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let host = host.split('.').next().unwrap_or("localhost");
    let second = now.to_string();
    let second = second.trim_end_matches('Z');
    let micros = now.as_micros().rem_euclid(1_000_000);
    let mut entry = format!("{second}.{micros:06}+00:00 {host} sshd[{pid}]: ").into_bytes();
    entry.extend_from_slice(line.trim_ascii_end());
    entry.push(b'\n');
    entry
}

fn open_log(folder: &Path) -> std::io::Result<File> {
    File::options().create(true).append(true).open(log(folder))
}

/// Where the agent finds what the server says.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join("auth.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lines_as_syslog_does() {
        let line = entry(
            b"Invalid user x from 127.0.0.1 port 9\r",
            7,
            Timestamp::from_micros(5),
        );
        let line = String::from_utf8(line).unwrap();
        assert!(
            line.starts_with("1970-01-01T00:00:00.000005+00:00 "),
            "{line}"
        );
        assert!(
            line.ends_with(" sshd[7]: Invalid user x from 127.0.0.1 port 9\n"),
            "{line}"
        );
    }

    #[tokio::test]
    async fn a_failed_login_is_in_its_log() {
        let folder = tempfile::tempdir().unwrap();
        if program(folder.path()).is_none() || !Path::new("/usr/bin/ssh").exists() {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (tasks, running) = watchward_daemon::tasks::tasks();
        let server = Server::prepare(folder.path(), listener).unwrap();
        server.serve(&tasks).unwrap();
        let mut ssh = tokio::process::Command::new("/usr/bin/ssh");
        ssh.env("SSH_ASKPASS", "/bin/echo")
            .env("SSH_ASKPASS_REQUIRE", "force");
        for option in [
            "PreferredAuthentications=password",
            "NumberOfPasswordPrompts=1",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(["-F", "none", "-p", &port, "nobody-here@127.0.0.1"]);
        assert!(!ssh.output().await.unwrap().status.success());
        drop(tasks);
        running.drain(std::time::Duration::from_secs(10)).await;
        let log = std::fs::read_to_string(log(folder.path())).unwrap();
        let failed = "Failed password for invalid user nobody-here from 127.0.0.1 port ";
        assert!(log.contains(failed), "{log}");
    }
}
