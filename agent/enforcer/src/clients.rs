//! The socket: who may ask, and what waits for whoever does not read it.

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

use crate::frame::{Framed, LARGEST};
use crate::service::warn;

/// How many may be connected at once; there is one agent.
pub(crate) const MOST_CLIENTS: usize = 8;

/// How many answers may wait for whoever does not read them.
const MOST_WAITING: usize = 512;

/// Somebody who asks.
pub(crate) struct Client {
    socket: OwnedFd,
    waiting: VecDeque<Vec<u8>>,
}

/// Which of these have something, once one has or so long has passed; none, where a signal came.
pub(crate) fn ready(mut all: Vec<PollFd<'_>>, patience: Duration) -> io::Result<Vec<bool>> {
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

pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
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

/// Whoever has come, if it is root or the agent's user.
pub(crate) fn greet(listener: &OwnedFd, agent: Option<u32>) -> Option<Client> {
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
    /// What is waited for. Whoever has not read what was answered asks nothing more.
    pub(crate) fn wish(&self) -> PollFd<'_> {
        let wish = match self.waiting.is_empty() {
            true => PollFlags::IN,
            false => PollFlags::OUT,
        };
        PollFd::new(&self.socket, wish)
    }

    /// Hears one request and answers it, or goes on answering; false where the conversation is over.
    pub(crate) fn serve<R: Framed, A: Framed>(&mut self, answer: impl FnOnce(R) -> Vec<A>) -> bool {
        if !self.waiting.is_empty() {
            return self.flush();
        }
        let mut buffer = vec![0; LARGEST + 1];
        let length = match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((length, _)) if length > 0 => length,
            Err(rustix::io::Errno::AGAIN) => return true,
            Ok(_) | Err(_) => return false,
        };
        match R::decode(buffer.get(..length).unwrap_or_default()) {
            Ok(request) => answer(request).iter().all(|answer| self.tell(answer)),
            Err(error) => {
                warn(format_args!("the agent is not understood: {error}"));
                false
            }
        }
    }

    pub(crate) fn tell(&mut self, answer: &impl Framed) -> bool {
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
