//! This host's own addresses and gateways (`linux/rtnetlink.h`).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use super::{DUMP, Netlink, find, message};

const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;

/// Attributes of a route.
const GATEWAY: u16 = 5;
const MULTIPATH: u16 = 9;
const VIA: u16 = 18;

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
            let rest = body.get(8..).unwrap_or_default();
            let own = find(rest, 2).or(find(rest, 1));
            own.and_then(address).into_iter().collect()
        })
    }

    /// The gateways of default routes.
    pub(crate) fn gateways(&mut self) -> io::Result<Vec<IpAddr>> {
        self.look(GET_ROUTE, &[0; 12], gateways)
    }

    fn look(
        &mut self,
        kind: u16,
        header: &[u8],
        read: impl Fn(&[u8]) -> Vec<IpAddr>,
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

/// The gateways of a route, if it is one to everywhere, or to one half of that as VPNs write it.
fn gateways(body: &[u8]) -> Vec<IpAddr> {
    let (Some(length), Some(rest)) = (body.get(1), body.get(12..)) else {
        return Vec::new();
    };
    if *length > 1 {
        return Vec::new();
    }
    let mut all: Vec<_> = gateway(rest).into_iter().collect();
    let mut hops = find(rest, MULTIPATH).unwrap_or_default();
    // Each is a `struct rtnexthop`: its length with what follows, flags, an interface.
    while let Some(([a, b, ..], _)) = hops.split_first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let Some(hop) = hops.get(8..length) else {
            break;
        };
        all.extend(gateway(hop));
        hops = hops.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// A gateway, also one of the other family: that has two bytes for its family before it.
fn gateway(attributes: &[u8]) -> Option<IpAddr> {
    let via = || find(attributes, VIA)?.get(2..);
    address(find(attributes, GATEWAY).or_else(via)?)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match <[u8; 4]>::try_from(bytes) {
        Ok(address) => Some(IpAddr::from(address)),
        Err(_) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut all = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        all.resize(all.len().next_multiple_of(4), 0);
        all
    }

    fn hop(attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + attributes.len()).unwrap();
        [&length.to_ne_bytes()[..], &[0; 6], attributes].concat()
    }

    fn route(length: u8, attributes: &[u8]) -> Vec<String> {
        let head = [2, length, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let found = gateways(&[&head[..], attributes].concat());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_gateways_of_a_route_to_everywhere_are_known() {
        let one = attribute(GATEWAY, &[192, 0, 2, 1]);
        let other = attribute(GATEWAY, &[192, 0, 2, 2]);
        let six = attribute(
            GATEWAY,
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        );
        let mut via = vec![10, 0];
        via.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        let via = attribute(VIA, &via);
        assert_eq!(route(0, &one), ["192.0.2.1"]);
        assert_eq!(route(1, &one), ["192.0.2.1"]);
        assert_eq!(route(24, &one), [""; 0]);
        assert_eq!(route(0, &via), ["fe80::9"]);
        let several = [hop(&one), hop(&six), hop(&[]), hop(&other)].concat();
        let several = attribute(MULTIPATH, &several);
        let expected = ["192.0.2.1", "2001:db8::1", "192.0.2.2"];
        assert_eq!(route(0, &several), expected);
    }

    #[test]
    fn what_is_cut_ends() {
        let whole = attribute(MULTIPATH, &hop(&attribute(GATEWAY, &[192, 0, 2, 1])));
        for length in 0..whole.len() {
            assert!(route(0, &whole[..length]).len() <= 1);
        }
        assert_eq!(route(0, &attribute(MULTIPATH, &[0; 64])), [""; 0]);
    }
}
