//! Sockets with the control group of whoever opened each, as the kernel tells everybody (`sock_diag(7)`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{recv, sendto, socket_with};
use watchward_protocol::restriction::Transport;

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    /// Where it is on this host. An IPv4 address is never written as an IPv6 one.
    pub(crate) local: SocketAddr,
    /// The other end, where it is connected.
    pub(crate) peer: Option<SocketAddr>,
    /// Whether it is root's.
    pub(crate) is_roots: bool,
    /// The control group that whoever opened it was in then: the number of its folder.
    pub(crate) group: u64,
}

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `INET_DIAG_CGROUP_ID` of `linux/inet_diag.h`, since Linux 5.7.
const GROUP: u16 = 21;
/// Of TCP and UDP: connected; of UDP: not connected; of TCP: listens (`net/tcp_states.h`).
const CONNECTED: u8 = 1;
const CLOSED: u8 = 7;
const LISTENS: u8 = 10;
const FAMILIES: [u8; 2] = [2, 10];
const KINDS: [(Transport, u8, u32); 2] = [
    (Transport::Tcp, 6, (1 << CONNECTED) | (1 << LISTENS)),
    (Transport::Udp, 17, (1 << CONNECTED) | (1 << CLOSED)),
];

/// The kernel answers at once; this is for a machine that is out of memory.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than the kernel puts into one datagram.
const BUFFER: usize = 64 * 1024;

/// All that listen or are connected.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn opened() -> io::Result<Vec<Opened>> {
    let flags = SocketFlags::CLOEXEC;
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        flags,
        Some(SOCK_DIAG),
    )?;
    set_socket_timeout(&kernel, Timeout::Recv, Some(PATIENCE))?;
    let mut buffer = vec![0; BUFFER];
    let mut all = Vec::new();
    for family in FAMILIES {
        for (transport, protocol, states) in KINDS {
            let question = question(family, protocol, states);
            let whom = SocketAddrNetlink::new(0, 0);
            sendto(&kernel, &question, SendFlags::empty(), &whom)?;
            loop {
                let (length, _) = recv(&kernel, &mut buffer[..], RecvFlags::empty())?;
                let said = buffer.get(..length).unwrap_or_default();
                if take(said, transport, &mut all)? {
                    break;
                }
            }
        }
    }
    Ok(all)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn question(family: u8, protocol: u8, states: u32) -> Vec<u8> {
    let mut question = 72_u32.to_ne_bytes().to_vec();
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST_DUMP.to_ne_bytes());
    question.extend([0; 8]);
    question.extend([family, protocol, 0, 0]);
    question.extend(states.to_ne_bytes());
    question.extend([0; 48]);
    question
}

/// Takes the sockets of a datagram; whether it was the last.
fn take(mut said: &[u8], transport: Transport, all: &mut Vec<Opened>) -> io::Result<bool> {
    while let Some((length, kind)) = header(said) {
        let body = said.get(16..length.min(said.len())).unwrap_or_default();
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let code = body.first_chunk().map_or(0, |it| i32::from_ne_bytes(*it));
                return Err(io::Error::from_raw_os_error(-code));
            }
            _ => all.extend(read(body, transport)?),
        }
        said = said.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn header(bytes: &[u8]) -> Option<(usize, u16)> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?);
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let length = usize::try_from(length).ok().filter(|it| *it >= 16)?;
    Some((length, kind))
}

/// `struct inet_diag_msg`: family, state, two bytes; ports in the order of the network, the address
/// here, that at the other end; at 64 the user; at 72 attributes. None: of no family that is known.
fn read(body: &[u8], transport: Transport) -> io::Result<Option<Opened>> {
    let Some((local, peer, user)) = ends(body) else {
        return Ok(None);
    };
    let group = attribute(body.get(72..).unwrap_or_default(), GROUP);
    let group = group.and_then(|it| it.first_chunk());
    let unknown = "the kernel does not say which control group opened a socket";
    let group = group.ok_or_else(|| io::Error::other(unknown))?;
    Ok(Some(Opened {
        transport,
        local,
        peer: (body.get(1) == Some(&CONNECTED)).then_some(peer),
        is_roots: user == 0,
        group: u64::from_ne_bytes(*group),
    }))
}

fn ends(body: &[u8]) -> Option<(SocketAddr, SocketAddr, u32)> {
    let port = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let family = *body.first()?;
    let address = |at: usize| {
        let bytes = body.get(at..)?;
        match family {
            2 => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
            10 => Some(IpAddr::from(*bytes.first_chunk::<16>()?).to_canonical()),
            _ => None,
        }
    };
    let local = SocketAddr::new(address(8)?, port(4)?);
    let peer = SocketAddr::new(address(24)?, port(6)?);
    let user = u32::from_ne_bytes(*body.get(64..)?.first_chunk()?);
    Some((local, peer, user))
}

fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn what_listens_and_what_is_connected_is_told_with_where_it_was_opened() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let connected = TcpStream::connect(place).unwrap();
        let waits = UdpSocket::bind("[::1]:0").unwrap();
        let all = opened().unwrap();
        let at = |transport, local| {
            let mut found = all
                .iter()
                .filter(|it| (it.transport, it.local) == (transport, local));
            found.next().copied().unwrap()
        };
        let listens = all
            .iter()
            .find(|it| it.local == place && it.peer.is_none())
            .unwrap();
        let talks = at(Transport::Tcp, connected.local_addr().unwrap());
        let hears = at(Transport::Udp, waits.local_addr().unwrap());
        assert_eq!(
            (listens.transport, talks.peer, hears.peer),
            (Transport::Tcp, Some(place), None)
        );
        // This test opened all three.
        assert!(listens.group > 0);
        assert_eq!((talks.group, hears.group), (listens.group, listens.group));
        let is_root = rustix::process::getuid().is_root();
        assert_eq!((listens.is_roots, hears.is_roots), (is_root, is_root));
    }
}
