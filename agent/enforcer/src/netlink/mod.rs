//! The kernel's sockets for its own affairs: messages and attributes, as `linux/netlink.h` has them.

pub(crate) mod counters;
pub(crate) mod elements;
pub(crate) mod notices;
pub(crate) mod routes;
pub(crate) mod sockets;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, getsockname, recv, send, socket_with};

/// Asks for an acknowledgement.
pub(crate) const ACK: u16 = 0x4;
/// Asks for all there is.
pub(crate) const DUMP: u16 = 0x300;
/// Makes what is not there.
pub(crate) const CREATE: u16 = 0x400;
const REQUEST: u16 = 0x1;
const NESTED: u16 = 0x8000;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// The kernel answers at once; this is for a machine that is out of memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than the kernel puts into one datagram; what it cuts is only its copy of what was asked.
const BUFFER: usize = 256 * 1024;

/// How many bytes of notices wait in the kernel before some are lost, which it says.
const WAITING: usize = 4 * 1024 * 1024;

/// A socket to one part of the kernel.
pub(crate) struct Netlink {
    socket: OwnedFd,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One message of the kernel.
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) port: u32,
    pub(crate) body: &'a [u8],
}

impl Netlink {
    /// To this part of the kernel, for questions.
    pub(crate) fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        Self::listen(protocol, 0)
    }

    /// The same, and for notices of these groups, each a bit.
    pub(crate) fn listen(protocol: Option<Protocol>, groups: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        let bound: SocketAddrNetlink = getsockname(&socket)?.try_into()?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        set_socket_recv_buffer_size_force(&socket, WAITING)?;
        Ok(Self {
            socket,
            port: bound.pid(),
            sequence: 0,
            buffer: vec![0; BUFFER],
        })
    }

    /// What the kernel knows this socket by.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// The number of the next message.
    pub(crate) fn number(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends messages of which the last asks for an answer; hears it all.
    pub(crate) fn ask(
        &mut self,
        messages: &[u8],
        first: u32,
        mut each: impl FnMut(&Message<'_>),
    ) -> io::Result<()> {
        let last = self.sequence;
        send(&self.socket, messages, SendFlags::empty())?;
        let mut wrong = Ok(());
        loop {
            let (length, _) = recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())?;
            for message in messages_of(self.buffer.get(..length).unwrap_or_default()) {
                if !(first..=last).contains(&message.sequence) {
                    continue;
                }
                if message.kind != ERROR && message.kind != DONE {
                    each(&message);
                    continue;
                }
                let code = message
                    .body
                    .first_chunk()
                    .map_or(0, |it| i32::from_ne_bytes(*it));
                if code < 0 && wrong.is_ok() {
                    wrong = Err(io::Error::from_raw_os_error(-code));
                }
                // Of a batch that is refused as a whole, only the first message is answered.
                if message.sequence == last || code < 0 && message.sequence == first {
                    return wrong;
                }
            }
        }
    }

    /// Hears the notices that have come; false where some were lost.
    pub(crate) fn hear(&mut self, mut each: impl FnMut(&Message<'_>)) -> io::Result<bool> {
        loop {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    messages_of(bytes).for_each(|message| each(&message));
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(true),
                Err(rustix::io::Errno::NOBUFS) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A whole message.
pub(crate) fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((flags | REQUEST).to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);
    pad(&mut message);
    message
}

/// One attribute. Its value must be shorter than 64 KiB.
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut attribute = length.to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    pad(&mut attribute);
    attribute
}

/// An attribute made of others.
pub(crate) fn nested(kind: u16, value: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, value)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The messages of a datagram; one that is cut has what is there.
pub(crate) fn messages_of(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let (header, _) = bytes.split_first_chunk::<16>()?;
        let [a, b, c, d, k, l, _, _, s, t, u, v, p, q, r, o] = *header;
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?;
        let body = bytes.get(16..length.min(bytes.len()))?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16::from_ne_bytes([k, l]),
            sequence: u32::from_ne_bytes([s, t, u, v]),
            port: u32::from_ne_bytes([p, q, r, o]),
            body,
        })
    })
}

/// The attributes among these bytes, with their kinds.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (header, _) = bytes.split_first_chunk::<4>()?;
        let [a, b, k, l] = *header;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k, l]) & !NESTED, value))
    })
}

/// The first attribute of this kind.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(it, value)| (it == kind).then_some(value))
}
