//! The socket: who may ask, and the loop that hears them and the kernel.

use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{set_socket_send_buffer_size, socket_peercred};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, listen, recv, send, socket_with,
};

use crate::answer::Answer;
use crate::clock;
use crate::frame::LARGEST;
use crate::hand::Hand;
use crate::request::Request;
use crate::service::{notify, say, warn, watchdog};

/// How many may be connected at once; there is one agent.
const MOST_CLIENTS: usize = 8;

/// How many answers may wait for whoever does not read them.
const MOST_WAITING: usize = 512;

/// How often it is looked around where nothing is to do, and whether the guard file is another.
const ROUND: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_secs(3);

/// Somebody who asks.
struct Client {
    socket: OwnedFd,
    waiting: VecDeque<Vec<u8>>,
}

/// Serves whoever may ask, for ever.
pub(crate) fn serve(mut hand: Hand, socket: &Path, agent: Option<u32>) -> io::Result<()> {
    let listener = open(socket)?;
    let (beat, mut clients) = (watchdog(), Vec::<Client>::new());
    let mut round = clock::now();
    notify("READY=1");
    say(format_args!("listens at {}", socket.display()));
    loop {
        let now = clock::now();
        if now >= round {
            hand.look_around();
            round = now + ROUND;
        }
        hand.look_at_guard();
        hand.end_trial();
        let changes: Vec<_> = hand.changes.drain(..).collect();
        for change in changes {
            let answer = Answer::Changed(change);
            clients.retain_mut(|client| client.tell(&answer));
        }
        if beat.is_some() {
            notify("WATCHDOG=1");
        }
        let until = hand.due().map_or(round, |due| due.min(round));
        let mut patience = until.saturating_sub(clock::now()).min(GLANCE);
        patience = beat.map_or(patience, |beat| patience.min(beat));
        if hand.to_cut {
            patience = Duration::ZERO;
        }
        let ready = wait(&hand, &listener, &clients, patience)?;
        let [came, noticed, routed, asked @ ..] = &ready[..] else {
            continue;
        };
        if *noticed {
            hand.meddling();
        }
        if *routed {
            hand.look_at_addresses();
        }
        let mut asked = asked.iter();
        clients.retain_mut(|client| asked.next() != Some(&true) || client.serve(&mut hand));
        if *came {
            let client = greet(&listener, agent);
            clients.extend(client.filter(|_| clients.len() < MOST_CLIENTS));
        }
        // When nobody waits for an answer.
        if hand.to_cut && !ready.contains(&true) {
            hand.cut_banned();
        }
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    listen(&socket, 16)?;
    Ok(socket)
}

/// Which of them all have something: the listener, the notices, the routes, the clients.
fn wait(
    hand: &Hand,
    listener: &OwnedFd,
    clients: &[Client],
    patience: Duration,
) -> io::Result<Vec<bool>> {
    let mut all = vec![
        PollFd::new(listener, PollFlags::IN),
        PollFd::new(hand.kernel.notices(), PollFlags::IN),
        PollFd::new(hand.protected.routes(), PollFlags::IN),
    ];
    all.extend(clients.iter().map(|client| {
        // Whoever has not read what was answered asks nothing more.
        let wish = match client.waiting.is_empty() {
            true => PollFlags::IN,
            false => PollFlags::OUT,
        };
        PollFd::new(&client.socket, wish)
    }));
    let patience = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    match poll(&mut all, Some(&patience)) {
        Ok(_) => Ok(all.iter().map(|it| !it.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Whoever has come, if it is root or the agent's user.
fn greet(listener: &OwnedFd, agent: Option<u32>) -> Option<Client> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = accept_with(listener, flags).ok()?;
    let user = socket_peercred(&socket).ok()?.uid.as_raw();
    if user != 0 && Some(user) != agent {
        warn(format_args!("user {user} may not ask"));
        return None;
    }
    set_socket_send_buffer_size(&socket, LARGEST).ok()?;
    Some(Client {
        socket,
        waiting: VecDeque::new(),
    })
}

impl Client {
    /// Hears one request and answers it, or goes on answering; false where the conversation is over.
    fn serve(&mut self, hand: &mut Hand) -> bool {
        if !self.waiting.is_empty() {
            return self.flush();
        }
        let mut buffer = vec![0; LARGEST + 1];
        let length = match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((length, _)) if length > 0 => length,
            Err(rustix::io::Errno::AGAIN) => return true,
            Ok(_) | Err(_) => return false,
        };
        match Request::decode(buffer.get(..length).unwrap_or_default()) {
            Ok(request) => hand.answer(request).iter().all(|answer| self.tell(answer)),
            Err(error) => {
                warn(format_args!("the agent is not understood: {error}"));
                false
            }
        }
    }

    fn tell(&mut self, answer: &Answer) -> bool {
        match answer.encode() {
            Ok(frame) => self.waiting.push_back(frame),
            Err(error) => warn(format_args!("an answer cannot be said: {error}")),
        }
        self.flush() && self.waiting.len() <= MOST_WAITING
    }

    fn flush(&mut self) -> bool {
        while let Some(frame) = self.waiting.front() {
            match send(&self.socket, frame, SendFlags::NOSIGNAL) {
                Ok(_) => drop(self.waiting.pop_front()),
                Err(rustix::io::Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}
