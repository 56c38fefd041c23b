//! Connections of TCP: who has them, and ending them (`linux/inet_diag.h`).

use std::io;
use std::net::IpAddr;

use rustix::net::netlink::SOCK_DIAG;

use super::{ACK, DUMP, Netlink, message};

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
const TCP: u8 = 6;
const FAMILIES: [u8; 2] = [2, 10];

/// Established, and whatever is on its way there or to its end; not what listens, and not what only
/// waits for the last packets (`net/tcp_states.h`).
const STATES: u32 = 0b1_1011_0011_1110;

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// The address at the other end.
    pub(crate) peer: IpAddr,
    /// Whose it is.
    pub(crate) user: u32,
    family: u8,
    /// What the kernel knows it by.
    pub(crate) id: [u8; 48],
}

/// Asks about connections.
pub(crate) struct Sockets(Netlink);

impl Sockets {
    pub(crate) fn open() -> io::Result<Self> {
        Netlink::open(Some(SOCK_DIAG)).map(Self)
    }

    /// All connections of which this is true.
    pub(crate) fn find(
        &mut self,
        wanted: impl Fn(&Connection) -> bool,
    ) -> io::Result<Vec<Connection>> {
        let mut found = Vec::new();
        for family in FAMILIES {
            let number = self.0.number();
            let question = message(BY_FAMILY, DUMP, number, &request(family, &[0; 48]));
            self.0.ask(&question, number, |message| {
                found.extend(Connection::read(message.body).filter(&wanted));
            })?;
        }
        Ok(found)
    }

    /// Ends a connection: its program sees an error, its peer a reset.
    pub(crate) fn end(&mut self, connection: &Connection) -> io::Result<()> {
        let number = self.0.number();
        let request = request(connection.family, &connection.id);
        let order = message(DESTROY, ACK, number, &request);
        match self.0.ask(&order, number, |_| {}) {
            // It has ended by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            asked => asked,
        }
    }
}

/// `struct inet_diag_req_v2`.
fn request(family: u8, id: &[u8; 48]) -> Vec<u8> {
    let mut request = vec![family, TCP, 0, 0];
    request.extend(STATES.to_ne_bytes());
    request.extend(id);
    request
}

impl Connection {
    /// `struct inet_diag_msg`: the family, the identity after four bytes, the user after two
    /// numbers more.
    fn read(body: &[u8]) -> Option<Self> {
        let id = *body.get(4..)?.first_chunk::<48>()?;
        let user = u32::from_ne_bytes(*body.get(64..)?.first_chunk()?);
        let (family, bytes) = (*body.first()?, id.get(20..)?);
        let peer = match family {
            2 => IpAddr::from(*bytes.first_chunk::<4>()?),
            _ => IpAddr::from(*bytes.first_chunk::<16>()?).to_canonical(),
        };
        Some(Self {
            peer,
            user,
            family,
            id,
        })
    }
}
