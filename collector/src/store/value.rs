//! How the database has what it has no type for.

use std::net::{IpAddr, Ipv6Addr};

use watchward_protocol::time::Timestamp;

/// What the database has for a variant: its place in the list of all. Lists are only ever appended
/// to.
pub(crate) fn code<T: PartialEq>(all: &[T], variant: &T) -> i64 {
    let place = all.iter().position(|one| one == variant);
    place
        .and_then(|place| i64::try_from(place).ok())
        .unwrap_or(0)
}

/// The variant that stands at this place of the list.
pub(crate) fn variant<T: Copy>(all: &[T], code: i64) -> sqlx::Result<T> {
    let found = usize::try_from(code).ok().and_then(|place| all.get(place));
    found.copied().ok_or_else(|| {
        sqlx::Error::Decode(format!("the number {code} was written by a newer version").into())
    })
}

/// So many bytes and no others.
pub(crate) fn fixed<const N: usize>(bytes: Vec<u8>) -> sqlx::Result<[u8; N]> {
    let bytes: Result<[u8; N], _> = bytes.try_into();
    bytes.map_err(|bytes| {
        sqlx::Error::Decode(format!("expected {N} bytes, and found {}", bytes.len()).into())
    })
}

/// An address in 16 bytes, IPv4 mapped into IPv6.
pub(crate) fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The address that these bytes are; an IPv4 address comes out as one.
pub(crate) fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// The time that is so many microseconds of UTC.
pub(crate) const fn stamp(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}
