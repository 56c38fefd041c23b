//! The agent's side of this role's socket, for whoever may wait.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::request::{Answer, Request};
use crate::client::{Error, dial};
use crate::frame::LARGEST;

/// Where the role listens, unless told otherwise.
pub const SOCKET: &str = "/run/watchward-enforcer-keys/socket";

/// A connection to the role.
#[derive(Debug)]
pub struct Client(OwnedFd);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// There is nobody, or nobody who wants to hear this user.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        Ok(Self(dial(path)?))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// There is none. The conversation is over: connect again.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Error> {
        let frame = request.encode()?;
        send(&self.0, &frame, SendFlags::NOSIGNAL).map_err(io::Error::from)?;
        let mut buffer = vec![0; LARGEST + 1];
        let received = recv(&self.0, &mut buffer[..], RecvFlags::empty());
        let (length, _) = received.map_err(io::Error::from)?;
        match buffer.get(..length) {
            None | Some([]) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(frame) => Ok(Answer::decode(frame)?),
        }
    }
}
