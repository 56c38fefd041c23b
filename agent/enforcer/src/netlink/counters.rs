//! What our rules and sets have counted (`linux/netfilter/nf_tables.h`).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use super::elements::{NFTABLES, TABLE, dump};
use super::{DUMP, Netlink, attribute, attributes, find, message};

const GET_RULE: u16 = NFTABLES | 7;

/// Somebody who was turned away, or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// The port that was tried.
    pub(crate) port: u16,
    pub(crate) packets: u64,
}

/// How many packets the rules of each of our chains have counted.
pub(crate) fn of_chains(kernel: &mut Netlink) -> io::Result<BTreeMap<String, u64>> {
    let number = kernel.number();
    let table = attribute(1, &[TABLE.as_bytes(), &[0]].concat());
    let question = message(GET_RULE, DUMP, number, &[vec![1, 0, 0, 0], table].concat());
    let mut counted = BTreeMap::new();
    kernel.ask(&question, number, |message| {
        let rule = message.body.get(4..).unwrap_or_default();
        let chain = find(rule, 2).and_then(|it| it.strip_suffix(&[0]));
        let chain = String::from_utf8_lossy(chain.unwrap_or_default());
        let expressions = attributes(find(rule, 4).unwrap_or_default());
        let packets: u64 = expressions.filter_map(|(_, it)| packets(it)).sum();
        *counted.entry(chain.into_owned()).or_default() += packets;
    })?;
    Ok(counted)
}

/// Who is in a set of addresses with ports.
pub(crate) fn of_peers(kernel: &mut Netlink, set: &str) -> io::Result<Vec<Peer>> {
    dump(kernel, set, |element| {
        let key = find(find(element, 1)?, 1)?;
        // Each part of a key has a multiple of four bytes.
        let (address, port) = match key.len() {
            8 => (IpAddr::from(*key.first_chunk::<4>()?), key.get(4..)?),
            _ => (IpAddr::from(*key.first_chunk::<16>()?), key.get(16..)?),
        };
        let port = u16::from_be_bytes(*port.first_chunk()?);
        let packets = find(element, 7).and_then(packets).unwrap_or_default();
        Some(Peer {
            address,
            port,
            packets,
        })
    })
}

/// What an expression has counted, if it counts.
fn packets(expression: &[u8]) -> Option<u64> {
    if find(expression, 1)? != b"counter\0" {
        return None;
    }
    let packets = find(find(expression, 2)?, 2)?;
    Some(u64::from_be_bytes(packets.try_into().ok()?))
}
