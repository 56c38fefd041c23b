//! The enforcer: the only program on a host that changes its firewall, and what the agent says to it.
//!
//! Others use `request`, `answer`, `gates` and `client`, and of the second role `keys`; the rest is
//! the program.

pub mod answer;
mod bans;
mod budget;
pub mod client;
mod clients;
mod clock;
mod doors;
pub mod frame;
pub mod gates;
pub mod guard;
mod guarded;
mod hand;
mod judge;
mod keep;
mod kernel;
pub mod keys;
mod netlink;
mod peers;
mod program;
mod protected;
pub mod request;
mod serve;
mod service;
mod table;
mod turned;
mod upkeep;

use std::fs;
use std::io;
use std::path::Path;

pub use answer::{Answer, Change, Expelled, Holding, Limits, Trial, Turned, Verdict, Veto};
pub use client::Client;
pub use frame::{Framed, Malformed};
pub use gates::{Exception, Gate, Gates, Mode, Ports, Protocol};
pub use request::{Ban, PeerKey, Request};

/// Runs the enforcer, for ever: it leaves the kernel as it is when it is ended.
///
/// # Errors
/// The kernel lets nobody change its rules here, or the socket cannot be made.
pub fn run(guard: &Path, state: &Path, socket: &Path, peer: Option<&str>) -> io::Result<()> {
    let agent = peer.map(user).transpose()?;
    serve::serve(hand::Hand::begin(guard, state, agent)?, socket, agent)
}

/// Says what the guard file says, and what it leaves out, for people.
///
/// # Errors
/// It is not right; why, with line and caret.
pub fn check(file: &Path) -> io::Result<String> {
    let guard = guarded::read(file);
    let guard = guard.map_err(|why| io::Error::other(format!("{}: {why}", file.display())))?;
    let beware = doors::left_out(&guard.gates.signing_in);
    Ok(format!("{} is right.\n{guard}{beware}", file.display()))
}

/// The number of a user of this host.
fn user(name: &str) -> io::Result<u32> {
    let users = fs::read_to_string("/etc/passwd")?;
    let number = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        fields.nth(1).filter(|_| found)?.parse().ok()
    });
    number.ok_or_else(|| io::Error::other(format!("there is no user {name}")))
}

#[cfg(test)]
mod tests;
