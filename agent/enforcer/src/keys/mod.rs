//! The second role of the program: tells sshd which keys it has to refuse and which open accounts besides, and ends sessions that revoked keys opened.
//!
//! It is a service of its own, for what it may is another thing than the firewall. Whoever talks to
//! it chooses what is revoked and, of the accounts that the guard file names, what opens them: no
//! path, no program, no text that a shell would see.

mod client;
mod folder;
mod hand;
mod host;
mod judge;
mod key;
mod krl;
mod lines;
mod list;
mod opener;
mod programs;
mod request;
mod session;
mod sshd;
mod tend;
#[cfg(test)]
mod tests;
mod trial;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

pub use client::{Client, SOCKET};
use hand::Hand;
pub use list::TRACER;
pub(crate) use list::read_fingerprint;
pub use request::{
    Answer, Certificate, Digest, Force, Holding, HostCertificate, LARGEST, Line, MOST_AUTHORITIES,
    MOST_LINES, MOST_REVOKED, MOST_STAGED, Process, Request, Revoked, Session, Shown,
};

use crate::clients::{self, Client as Conversation, MOST_CLIENTS};
use crate::clock;
use crate::service::{notify, say, watchdog};

/// Where sshd's configuration is.
const SSH: &str = "/etc/ssh";

/// How often it is looked whether a third hand took something away.
const GLANCE: Duration = Duration::from_secs(2);

/// Runs the role, for ever: it leaves sshd as it is when it is ended.
///
/// # Errors
/// The socket cannot be made, or the folder of the list was taken away.
pub fn run(guard: &Path, socket: &Path, peer: Option<&str>) -> io::Result<()> {
    let agent = peer.map(crate::user).transpose()?;
    let work = socket.parent().unwrap_or(Path::new("/")).join("work");
    std::fs::create_dir_all(&work)?;
    let mut hand = Hand::begin(guard, Path::new(SSH), work);
    let listener = clients::open(socket)?;
    let (beat, mut clients) = (watchdog(), Vec::<Conversation>::new());
    notify("READY=1");
    say(format_args!("listens at {}", socket.display()));
    loop {
        hand.look();
        if !hand.has_ground() {
            return Err(io::Error::other("/etc/ssh/watchward is gone"));
        }
        if beat.is_some() {
            notify("WATCHDOG=1");
        }
        let due = hand
            .due()
            .map_or(GLANCE, |due| due.saturating_sub(clock::now()));
        let ready = wait(&listener, &clients, due.min(GLANCE))?;
        let [came, asked @ ..] = &ready[..] else {
            continue;
        };
        let mut asked = asked.iter();
        clients.retain_mut(|client| {
            asked.next() != Some(&true) || client.serve(|request| vec![hand.answer(request)])
        });
        if *came {
            let client = clients::greet(&listener, agent);
            clients.extend(client.filter(|_| clients.len() < MOST_CLIENTS));
        }
    }
}

/// Which of them have something: the listener, the clients.
fn wait(listener: &OwnedFd, clients: &[Conversation], patience: Duration) -> io::Result<Vec<bool>> {
    let mut all = vec![PollFd::new(listener, PollFlags::IN)];
    all.extend(clients.iter().map(Conversation::wish));
    clients::ready(all, patience)
}
