//! This host's own addresses and gateways (`linux/rtnetlink.h`).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use super::{DUMP, Netlink, find, message};

const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;

/// Notices of addresses and routes of both families, as bits.
const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// Reads them, and hears when they change.
pub(crate) struct Routes {
    questions: Netlink,
    notices: Netlink,
}

impl Routes {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            questions: Netlink::open(None)?,
            notices: Netlink::listen(None, GROUPS)?,
        })
    }

    /// Forgets which changes have come: everything is read again.
    pub(crate) fn hear(&mut self) -> io::Result<()> {
        self.notices.hear(|_| {}).map(drop)
    }

    /// The addresses of this host.
    pub(crate) fn own(&mut self) -> io::Result<Vec<IpAddr>> {
        // An address of `linux/if_addr.h`; the local end of a link is what is ours of two.
        self.look(GET_ADDRESS, &[0; 8], |body| {
            let rest = body.get(8..)?;
            address(find(rest, 2).or(find(rest, 1))?)
        })
    }

    /// The gateways of default routes.
    pub(crate) fn gateways(&mut self) -> io::Result<Vec<IpAddr>> {
        self.look(GET_ROUTE, &[0; 12], |body| {
            let (length, rest) = (body.get(1)?, body.get(12..)?);
            address(find(rest, 5)?).filter(|_| *length == 0)
        })
    }

    fn look(
        &mut self,
        kind: u16,
        header: &[u8],
        read: impl Fn(&[u8]) -> Option<IpAddr>,
    ) -> io::Result<Vec<IpAddr>> {
        let number = self.questions.number();
        let question = message(kind, DUMP, number, header);
        let mut found = Vec::new();
        let each = |message: &super::Message<'_>| found.extend(read(message.body));
        self.questions.ask(&question, number, each)?;
        Ok(found)
    }
}

impl AsFd for Routes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notices.as_fd()
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match <[u8; 4]>::try_from(bytes) {
        Ok(address) => Some(IpAddr::from(address)),
        Err(_) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}
