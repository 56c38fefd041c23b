//! Walks over a message's bytes from the left and from the right, one exact literal at a time.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use watchward_protocol::access::Peer;

/// What stands before and after the first `literal`.
pub(super) fn first<'a, const N: usize>(
    text: &'a [u8],
    literal: &[u8; N],
) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(N).position(|window| same(window, literal))?;
    around(text, at, N)
}

/// What stands before and after the last `literal`.
pub(super) fn last<'a, const N: usize>(
    text: &'a [u8],
    literal: &[u8; N],
) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(N).rposition(|window| same(window, literal))?;
    around(text, at, N)
}

/// What stands before and after each `literal`, from the left.
pub(super) fn every<'a, const N: usize>(
    text: &'a [u8],
    literal: &'a [u8; N],
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    text.windows(N)
        .enumerate()
        .filter(move |(_, window)| same(window, literal))
        .filter_map(move |(at, _)| around(text, at, N))
}

/// Compared as arrays of a known length, which is several times as fast.
fn same<const N: usize>(window: &[u8], literal: &[u8; N]) -> bool {
    window.first_chunk::<N>() == Some(literal)
}

fn around(text: &[u8], at: usize, length: usize) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(length..)?))
}

/// What stands between a literal start and a literal end of the whole text.
pub(super) fn between<'a>(text: &'a [u8], start: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    text.strip_prefix(start)?.strip_suffix(end)
}

/// The bytes up to the first space, and those after it; without a space, all and nothing.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b' ') {
        Some(at) => around(text, at, 1).unwrap_or((text, &[])),
        None => (text, &[]),
    }
}

/// A decimal number as `printf` writes it: no sign, no leading zeros.
pub(super) fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    let plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.iter().all(u8::is_ascii_digit);
    if plain {
        ascii(text)?.parse().ok()
    } else {
        None
    }
}

/// The text, if it is plain printable ASCII.
pub(super) fn ascii(text: &[u8]) -> Option<&str> {
    let plain = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if plain {
        std::str::from_utf8(text).ok()
    } else {
        None
    }
}

/// A place that sshd printed: an address, or `UNKNOWN`, which is `Some(None)`.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the grammar matched"
)]
pub(super) fn place(text: &[u8]) -> Option<Option<IpAddr>> {
    if text == b"UNKNOWN" {
        Some(None)
    } else {
        address(text).map(Some)
    }
}

/// An address exactly as `getnameinfo` prints it: no other spelling, no name, a zone only where
/// an address is of a link. An IPv4 address in the clothes of an IPv6 one becomes IPv4.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if text.len() > 64 {
        return None;
    }
    if !text.contains(&b':') {
        return four(text).map(IpAddr::V4);
    }
    let (bare, zone) = match first(text, b"%") {
        Some((bare, zone)) => (bare, Some(zone)),
        None => (text, None),
    };
    let text = ascii(bare)?;
    let parsed: Ipv6Addr = text.parse().ok()?;
    if parsed.to_string() != text {
        return None;
    }
    if zone.is_some_and(|zone| !parsed.is_unicast_link_local() || !interface(zone)) {
        return None;
    }
    Some(parsed.to_canonical())
}

fn interface(zone: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(byte);
    (1..16).contains(&zone.len()) && zone.iter().all(plain)
}

fn four(text: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = text.split(|byte| *byte == b'.').map(number::<u8>);
    let octets = [
        parts.next()??,
        parts.next()??,
        parts.next()??,
        parts.next()??,
    ];
    if parts.next().is_some() {
        None
    } else {
        Some(octets.into())
    }
}

/// `... IP port N` at the end: what stands before it, and where it is. Where is `None` if unknown.
pub(super) fn origin_at_end(text: &[u8]) -> Option<(&[u8], Option<Peer>)> {
    let (rest, port) = last(text, b" port ")?;
    let at = rest
        .iter()
        .rposition(|byte| *byte == b' ')
        .map_or(0, |space| space + 1);
    let (before, place) = rest.split_at_checked(at)?;
    Some((before, origin(place, port)?))
}

/// `IP port N` at the start, up to a byte that is no digit: where it is, and what stands after it.
pub(super) fn origin_at_start(text: &[u8]) -> Option<(Option<Peer>, &[u8])> {
    let (place, rest) = word(text);
    let rest = rest.strip_prefix(b"port ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (port, after) = rest.split_at_checked(digits)?;
    Some((origin(place, port)?, after))
}

#[expect(
    clippy::option_option,
    reason = "the outer one says whether the grammar matched"
)]
fn origin(text: &[u8], port: &[u8]) -> Option<Option<Peer>> {
    let port: u16 = number(port)?;
    Some(place(text)?.map(|address| Peer {
        address,
        port: Some(port),
    }))
}

/// A peer of which the line tells no port.
pub(super) fn portless(address: IpAddr) -> Peer {
    Peer {
        address,
        port: None,
    }
}

/// Undoes `strnvis(VIS_CSTYLE|VIS_NL|VIS_TAB|VIS_OCTAL)`. `None`: this is not how sshd writes.
pub(super) fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            plain.push(*byte);
            continue;
        }
        plain.push(match bytes.next()? {
            b'\\' => b'\\',
            b'n' => b'\n',
            b'r' => b'\r',
            b'b' => 8,
            b'a' => 7,
            b'v' => 11,
            b't' => b'\t',
            b'f' => 12,
            b's' => b' ',
            high @ b'0'..=b'3' => {
                let (middle, low) = (octal(*bytes.next()?)?, octal(*bytes.next()?)?);
                (high - b'0') << 6 | middle << 3 | low
            }
            _ => return None,
        });
    }
    Some(Cow::Owned(plain))
}

fn octal(digit: u8) -> Option<u8> {
    matches!(digit, b'0'..=b'7').then(|| digit - b'0')
}
