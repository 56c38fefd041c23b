//! What the enforcer says to the journal and to systemd.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Something to know.
pub(crate) fn say(what: impl Display) {
    write(6, &what);
}

/// Something that is wrong.
pub(crate) fn warn(what: impl Display) {
    write(4, &what);
}

/// One line, however many the text has, behind the number that the journal knows its weight by.
fn write(weight: u8, what: &dyn Display) {
    let line = what.to_string();
    // In one write, so that nobody else's words come between.
    let line = format!("<{weight}>{}\n", line.trim_end().replace('\n', "; "));
    // Standard error may be closed; there is nowhere else to say it.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Tells systemd, where it listens.
pub(crate) fn notify(state: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let socket = UnixDatagram::unbound();
    let sent = socket.and_then(|socket| socket.send_to_addr(state.as_bytes(), &address?));
    if let Err(error) = sent {
        warn(format_args!("systemd does not listen: {error}"));
    }
}

/// How often systemd wants to hear that the program works, if it does: twice within its limit.
pub(crate) fn watchdog() -> Option<Duration> {
    let limit = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(Duration::from_micros(limit) / 2)
}
