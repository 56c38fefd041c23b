//! Where a line says that a client is: the prefix of its lines, and OpenVPN's names for addresses.

use std::net::IpAddr;

use watchward_protocol::access::Peer;

use crate::access::cursor::{address, between, last, number, portless, word};

/// What may be the prefix of a line.
#[derive(Clone, Copy)]
pub(super) struct Prefix<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) whole: &'a [u8],
    pub(super) peer: Option<Peer>,
    pub(super) rest: &'a [u8],
}

/// OpenVPN keeps a prefix in so many bytes (`MULTI_PREFIX_MAX_LENGTH`).
const LONGEST: usize = 256;

/// All that may be the prefix of this line, from the left: `[NAME/]ADDRESS[:PORT][ peer-id=N] `.
pub(super) fn prefixes(line: &[u8]) -> impl Iterator<Item = Prefix<'_>> {
    let slashes = line
        .iter()
        .take(LONGEST)
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at + 1);
    std::iter::once(0).chain(slashes).filter_map(|start| {
        let (before, text) = line.split_at_checked(start)?;
        let (place, rest) = word(text);
        let peer = endpoint(place)?;
        let id = rest.strip_prefix(b"peer-id=").map(word);
        let rest = match id {
            Some((id, rest)) if number::<u32>(id).is_some() => rest,
            Some(_) | None => rest,
        };
        let end = start + place.len();
        Some(Prefix {
            name: before.strip_suffix(b"/"),
            whole: line.get(..end)?,
            peer: Some(peer),
            rest,
        })
    })
}

/// `192.0.2.7:1194`, `2001:db8::7` (up to 2.6 without a port), `[2001:db8::7]:1194`, and what 2.7
/// writes before it: `udp4:`, `tcp6-server:`.
fn endpoint(text: &[u8]) -> Option<Peer> {
    let protocols = [&b"udp4:"[..], b"udp6:", b"udp:", b"tcp4-server:"];
    let more = [&b"tcp6-server:"[..], b"tcp-server:", b"tcp4:", b"tcp6:"];
    let all = protocols.iter().chain(&more);
    let text = all
        .into_iter()
        .find_map(|name| text.strip_prefix(*name))
        .unwrap_or(text);
    if let Some((place, port)) = last(text, b"]:") {
        let address = address(place.strip_prefix(b"[")?)?;
        return Some(with_port(address, number(port)?));
    }
    if let Some(inside) = between(text, b"[", b"]") {
        return address(inside).map(portless);
    }
    if let Some(address) = address(text).filter(IpAddr::is_ipv6) {
        return Some(portless(address));
    }
    // Without a port an IPv4 address could be the cut one of somebody else.
    let (place, port) = last(text, b":")?;
    let address = address(place).filter(|_| !place.contains(&b':'))?;
    Some(with_port(address, number(port)?))
}

/// `[AF_INET]192.0.2.7:1194`, `[AF_INET6]2001:db8::7:1194`, with what may stand behind it:
/// ` (via ...)`, ` (si=3 op=...)`.
pub(super) fn socket(text: &[u8]) -> Option<Peer> {
    let (place, behind) = word(text);
    let place = place
        .strip_prefix(b"[AF_INET6]")
        .or_else(|| place.strip_prefix(b"[AF_INET]"))?;
    let plain = behind.is_empty() || behind.starts_with(b"(");
    let (place, port) = last(place, b":").filter(|_| plain)?;
    let place = between(place, b"[", b"]").unwrap_or(place);
    Some(with_port(address(place)?, number(port)?))
}

fn with_port(address: IpAddr, port: u16) -> Peer {
    Peer {
        address,
        port: Some(port),
    }
}
