//! The one place that maps between the domain's types and the published contract.

mod access;
mod elsewhere;
mod health;
mod host_keys;
mod hosts;
mod identities;
mod instruments;
mod keys;
mod order;
mod peers;
mod proof;
mod question;
mod reach;
mod record;
mod restriction;
#[cfg(test)]
mod tests;

/// The types and services made from `proto/watchward/v1`, as they travel.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated from the contract, which is documented there"
)]
pub mod v1 {
    tonic::include_proto!("watchward.v1");
}

pub use order::{decode_order, encode_order, order};
pub use question::{
    answer, ask, decode_answer, decode_question, encode_answer, encode_question, question, reply,
};
pub use record::{decode, encode};

use std::net::IpAddr;

use crate::text::Foreign;

/// A message that the contract allows and the domain does not: says which part.
#[derive(Debug, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// Text as the domain takes it: without NUL, which PostgreSQL cannot keep, and at most 4 KiB.
fn text(text: String) -> String {
    short(text, 4096)
}

/// The longest name of something: a check, a method, the form of a line.
const NAME: usize = 200;

/// Text as the domain takes it: without NUL, and at most so many bytes.
fn short(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

/// What a stranger typed, as far as it is taken.
fn cut(mut bytes: Vec<u8>, longest: usize) -> Foreign {
    bytes.truncate(longest);
    bytes.into()
}

/// An address as it travels: 4 or 16 bytes. An IPv4 one is never written as an IPv6 one.
fn bytes(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The address in these bytes; an IPv4 one that is written as an IPv6 one is the IPv4 one.
fn address(bytes: &[u8]) -> Result<IpAddr, Malformed> {
    ip(bytes).map(|address| address.to_canonical())
}

/// The address in these bytes, as it is written.
fn ip(bytes: &[u8]) -> Result<IpAddr, Malformed> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let either = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    either.map_err(|_| Malformed("address"))
}
