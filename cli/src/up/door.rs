//! Whether this host has an SSH server whose lines the agent can read.

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use watchward_daemon::tasks::Tasks;

use super::ground::Ground;
use super::sshd;
use crate::screen::{Screen, Tone, safe};

/// Where somebody can fail to log in so that the agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// This host's own SSH server, on this port.
    Host(u16),
    /// None; and why.
    Missing(String),
}

/// Looks for it.
pub(super) fn look() -> Door {
    let Some(port) = ports().into_iter().find(|port| greets(*port)) else {
        return Door::Missing("No SSH server listens on this host.".to_owned());
    };
    if Path::new("/run/systemd/system").exists() && journal_is_readable() {
        return Door::Host(port);
    }
    // Without a syslog daemon the file is what is left of one.
    let files = ["/var/log/auth.log", "/var/log/secure"];
    if Path::new("/dev/log").exists() && files.iter().any(|file| std::fs::File::open(file).is_ok())
    {
        return Door::Host(port);
    }
    Door::Missing(format!(
        "An SSH server listens on port {port}, but neither a journal nor a log of it can be read \
         {}.",
        if rustix::process::geteuid().is_root() {
            "here"
        } else {
            "by this user (as root, or as a member of the group adm, it could be)"
        }
    ))
}

/// Opens a door of our own where the host has none. Returns the port of the one there is now.
pub(super) fn open(
    ground: &Ground,
    door: Door,
    tasks: &Tasks,
    screen: &mut Screen,
) -> anyhow::Result<Option<u16>> {
    let why = match door {
        Door::Host(port) => return Ok(Some(port)),
        Door::Missing(why) => why,
    };
    screen.line(&why)?;
    let folder = ground.path("sshd");
    let opened = ground.listen_for_ssh().and_then(|(port, listener)| {
        sshd::Server::prepare(&folder, listener)?.serve(tasks)?;
        Ok(port)
    });
    match opened {
        Ok(port) => {
            let folder = safe(&folder.display().to_string());
            screen.line(&format!(
                "So one of our own runs for the occasion, on port {port} of 127.0.0.1. It lets \
                 nobody in, and all of it lies in {folder}."
            ))?;
            Ok(Some(port))
        }
        Err(error) => {
            let text = format!("None of our own can run either: {error:#}");
            let text = screen.paint(Tone::Warn, &safe(&text));
            screen.line(&text)?;
            Ok(None)
        }
    }
}

/// The ports that sshd's configuration names; 22 where it names none.
fn ports() -> Vec<u16> {
    let mut files = vec![Path::new("/etc/ssh/sshd_config").to_owned()];
    if let Ok(folder) = std::fs::read_dir("/etc/ssh/sshd_config.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let mut ports: Vec<u16> = texts.flat_map(|text| named_ports(&text)).collect();
    if ports.is_empty() {
        ports.push(22);
    }
    ports
}

fn named_ports(text: &str) -> Vec<u16> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let is_port = words.next()?.eq_ignore_ascii_case("port");
            words.next().filter(|_| is_port)?.parse().ok()
        })
        .collect()
}

/// Whether an SSH server answers on this port of the loopback interface.
fn greets(port: u16) -> bool {
    let limit = Duration::from_secs(2);
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let Ok(mut stream) = TcpStream::connect_timeout(&address, limit) else {
        return false;
    };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(limit)).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"SSH-"
}

fn journal_is_readable() -> bool {
    ["/var/log/journal", "/run/log/journal"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|machines| machines.flatten())
        .any(|machine| std::fs::File::open(machine.path().join("system.journal")).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_ports_that_sshd_is_told() {
        let text = "# Port 21\nPort 2222\n  port 22\nPermitRootLogin no\n";
        assert_eq!(named_ports(text), [2222, 22]);
    }

    #[test]
    fn a_port_where_nobody_greets_is_no_door() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(!greets(port));
    }
}
