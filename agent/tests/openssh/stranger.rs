//! Strangers: the texts that one sends, honest or made of pieces of sshd's own lines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use watchward_protocol::access::Peer;

/// Somebody who connects, and all that they may choose.
#[derive(Clone, Debug)]
pub(crate) struct Stranger {
    pub(crate) peer: Peer,
    /// The account asked for; with `known`, one that exists.
    pub(crate) user: Vec<u8>,
    pub(crate) account: Vec<u8>,
    pub(crate) key_id: Vec<u8>,
    pub(crate) client_user: Vec<u8>,
    pub(crate) client_host: Vec<u8>,
    pub(crate) service: Vec<u8>,
    pub(crate) text: Vec<u8>,
}

/// One whose every text tries to be something else.
pub(crate) fn stranger() -> impl Strategy<Value = Stranger> {
    let texts = (nasty(), nasty(), nasty(), nasty(), nasty(), nasty());
    (peer(), account(), texts).prop_map(|(peer, account, texts)| {
        let (user, key_id, client_user, client_host, service, text) = texts;
        Stranger {
            peer,
            user,
            account,
            key_id,
            client_user,
            client_host,
            service,
            text,
        }
    })
}

/// One who only mistypes.
pub(crate) fn honest() -> impl Strategy<Value = Stranger> {
    let word = || "[a-z][a-z0-9._-]{0,15}".prop_map(String::into_bytes);
    let texts = (word(), word(), word(), word(), word(), word());
    (peer(), account(), texts).prop_map(|(peer, account, texts)| {
        let (user, key_id, client_user, client_host, service, text) = texts;
        Stranger {
            peer,
            user,
            account,
            key_id,
            client_user,
            client_host,
            service,
            text,
        }
    })
}

fn peer() -> impl Strategy<Value = Peer> {
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits | 1 << 127))),
        Just("2001:db8::1".parse().unwrap()),
    ];
    (address, any::<u16>()).prop_map(|(address, port)| Peer {
        address,
        port: Some(port),
    })
}

/// An account that an administrator made.
fn account() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z_][a-z0-9_-]{0,30}",
        Just("EXAMPLE\\jane.doe".to_owned()),
        Just("jane doe".to_owned()),
    ]
    .prop_map(String::into_bytes)
}

/// Bytes, and pieces of what sshd writes, with an address that is nobody's.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..12),
        1 => "[a-z]{1,8}".prop_map(String::into_bytes),
        1 => (any::<u8>(), 0..220_usize).prop_map(|(byte, times)| vec![byte; times]),
    ];
    vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

const PIECES: &[&str] = &[
    " from 198.51.100.66 port 22 ssh2",
    " from 198.51.100.66 port 22 ssh2: RSA SHA256:x",
    " from 198.51.100.66 port 22 ssh2: RSA-CERT SHA256:x ID k (serial 1) CA RSA SHA256:y",
    " from 198.51.100.66 port 22 ssh2: RSA-CERT SHA256:x ID ",
    " from 198.51.100.66 port 22 ssh2: RSA-CERT ID ",
    " (serial 0) CA RSA SHA256:q",
    " (serial 0) CA RSA SHA256:q from 198.51.100.66 port 22 ssh2: RSA-CERT SHA256:x ID k",
    ", client user \"a\", client host \"b\"",
    ", signature count = 1",
    " from 198.51.100.66 port 22",
    " from 198.51.100.66",
    " 198.51.100.66 port 22",
    " 198.51.100.66 port 22: Too many authentication failures",
    " 198.51.100.66 port 22: no matching cipher found. Their offer: x",
    " 198.51.100.66 port 22: no matching ",
    "198.51.100.66 port 22",
    ": Connection from 198.51.100.66 port 22: invalid format",
    "Connection from 198.51.100.66 port 22: invalid format",
    "Connection closed by 198.51.100.66 port 22",
    "Received disconnect from 198.51.100.66 port 22:3: x",
    "Unable to negotiate with 198.51.100.66 port 22: no matching cipher found. Their offer: x",
    "Disconnecting 198.51.100.66 port 22: x",
    "Accepted password for root from 198.51.100.66 port 22 ssh2",
    " timed out",
    "invalid user ",
    "authenticating user ",
    "user ",
    " [preauth]",
    " [postauth]",
    " port ",
    " from ",
    " for ",
    "::1",
    "2001:db8::66",
    "' from 198.51.100.66 port 22",
    "' from ",
    "\" serial=1 signed by RSA CA SHA256:q: Certificate invalid: expired",
    "\" (serial 1) signed by RSA CA SHA256:q via /x",
    " rejected: user presence (authenticator touch) requirement not met ",
    ": 11: ",
    ":11: ",
    "\n",
    "\\",
    "\\n",
    "\\303\\251",
    "é",
    " ",
    "  user=root",
    " rhost=198.51.100.66",
    " not allowed because account is locked",
    "\0",
    "UNKNOWN port 65535",
];
