//! The agent's side of the socket, for whoever may wait.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{connect, recv, send, socket_with};

use crate::answer::{Answer, Change};
use crate::frame::{Framed, LARGEST, Malformed};
use crate::request::Request;

/// Where the enforcer listens, unless told otherwise.
pub const SOCKET: &str = "/run/watchward-enforcer/socket";

/// How long an answer is waited for: as long as the whole ruleset of a large host may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many changes are kept that nobody has taken yet; the oldest go first.
const MOST_UNTAKEN: usize = 256;

/// How many parts of a ruleset are taken.
const MOST_PARTS: usize = 1024;

/// Why there is no answer. The conversation is over: connect again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The enforcer is not there, has gone, or does not answer.
    #[error("the enforcer does not answer: {0}")]
    Gone(#[from] io::Error),
    /// One of both says what the other does not understand.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It answered another question.
    #[error("the enforcer answered something else")]
    Strange,
}

/// A connection to the enforcer.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    untaken: VecDeque<Change>,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// There is no enforcer, or it does not want to hear this user.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            socket: dial(path)?,
            untaken: VecDeque::new(),
            buffer: vec![0; LARGEST + 1],
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// There is none.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Error> {
        let frame = request.encode()?;
        send(&self.socket, &frame, SendFlags::NOSIGNAL).map_err(io::Error::from)?;
        self.answer()
    }

    /// All that the kernel filters, as [`Request::Ruleset`] says it.
    ///
    /// # Errors
    /// It was not said, or too much of it.
    pub fn ruleset(&mut self) -> Result<Vec<u8>, Error> {
        self.text(&Request::Ruleset)?.map_err(|_| Error::Strange)
    }

    /// The peers of WireGuard that stand, as [`Request::Peers`] says them; or why it does not know.
    ///
    /// # Errors
    /// They were not said, or too many of them.
    pub fn peers(&mut self) -> Result<Result<Vec<u8>, String>, Error> {
        self.text(&Request::Peers)
    }

    fn text(&mut self, request: &Request) -> Result<Result<Vec<u8>, String>, Error> {
        let mut answer = self.ask(request)?;
        let mut whole = Vec::new();
        for _ in 0..MOST_PARTS {
            if let Answer::Refused(why) = answer {
                return Ok(Err(why));
            }
            let Answer::Text(part, last) = answer else {
                return Err(Error::Strange);
            };
            whole.extend(part);
            if last {
                return Ok(Ok(whole));
            }
            answer = self.answer()?;
        }
        Err(Error::Strange)
    }

    /// What came unasked, if anything has.
    pub fn change(&mut self) -> Option<Change> {
        self.untaken.pop_front()
    }

    /// Waits until something comes unasked. Whoever waits for more besides polls the descriptor, and
    /// calls this when it can be read.
    ///
    /// # Errors
    /// The enforcer has gone, or nothing came for half a minute.
    pub fn wait(&mut self) -> Result<Change, Error> {
        if let Some(change) = self.change() {
            return Ok(change);
        }
        let Answer::Changed(change) = self.receive()? else {
            return Err(Error::Strange);
        };
        Ok(change)
    }

    fn answer(&mut self) -> Result<Answer, Error> {
        loop {
            let answer = self.receive()?;
            let Answer::Changed(change) = answer else {
                return Ok(answer);
            };
            if self.untaken.len() == MOST_UNTAKEN {
                self.untaken.pop_front();
            }
            self.untaken.push_back(change);
        }
    }

    fn receive(&mut self) -> Result<Answer, Error> {
        let received = recv(&self.socket, &mut self.buffer[..], RecvFlags::empty());
        let (length, _) = received.map_err(io::Error::from)?;
        match self.buffer.get(..length) {
            None | Some([]) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(frame) => Ok(Answer::decode(frame)?),
        }
    }
}

/// Connects to a socket at which requests are answered.
pub(crate) fn dial(path: &Path) -> io::Result<OwnedFd> {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
    for way in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&socket, way, Some(PATIENCE))?;
    }
    set_socket_send_buffer_size(&socket, LARGEST)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
