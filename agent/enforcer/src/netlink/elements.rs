//! Elements of our sets, put in and taken out without a program between (`linux/netfilter/nf_tables.h`).

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::{ACK, CREATE, DUMP, Netlink, attribute, attributes, find, message, nested};

/// What the table is named.
pub(crate) const TABLE: &str = "watchward";

/// Messages of nf_tables begin with this (`NFNL_SUBSYS_NFTABLES`).
pub(crate) const NFTABLES: u16 = 10 << 8;
pub(crate) const NEW_ELEMENT: u16 = NFTABLES | 12;
const GET_ELEMENT: u16 = NFTABLES | 13;
pub(crate) const DELETE_ELEMENT: u16 = NFTABLES | 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// How many elements one message has: an attribute is shorter than 64 KiB.
const AT_ONCE: usize = 1024;

/// An address in a set, and how long it stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) address: IpAddr,
    pub(crate) left: Duration,
}

/// Messages that are done together, or not at all.
pub(crate) struct Batch {
    messages: Vec<u8>,
    first: u32,
}

impl Batch {
    pub(crate) fn new(kernel: &mut Netlink) -> Self {
        let first = kernel.number();
        Self {
            messages: message(BATCH_BEGIN, 0, first, &header(0, 10)),
            first,
        }
    }

    /// Has the set hold these, for this long from now on.
    ///
    /// Linux before 6.12 leaves the time of an element that is there as it is. So what may be there
    /// is taken out; and what may not, is put in first, as nothing can be taken out that is not.
    pub(crate) fn put(
        &mut self,
        kernel: &mut Netlink,
        set: &str,
        elements: &[Element],
        fresh: bool,
    ) {
        for elements in elements.chunks(AT_ONCE) {
            if !fresh {
                self.take(kernel, set, elements);
            }
            self.push(kernel, NEW_ELEMENT, set, elements);
        }
    }

    /// Has the set not hold these.
    pub(crate) fn take(&mut self, kernel: &mut Netlink, set: &str, elements: &[Element]) {
        for elements in elements.chunks(AT_ONCE) {
            self.push(kernel, NEW_ELEMENT, set, elements);
            self.push(kernel, DELETE_ELEMENT, set, elements);
        }
    }

    fn push(&mut self, kernel: &mut Netlink, kind: u16, set: &str, elements: &[Element]) {
        let flags = if kind == NEW_ELEMENT { CREATE } else { 0 } | ACK;
        let list: Vec<u8> = elements.iter().flat_map(|it| it.attribute()).collect();
        let body = [header(1, 0), of_set(set), nested(3, &list)].concat();
        self.messages
            .extend(message(kind, flags, kernel.number(), &body));
    }

    /// Does it.
    ///
    /// # Errors
    /// The kernel refuses, and nothing of it is done.
    pub(crate) fn commit(mut self, kernel: &mut Netlink) -> io::Result<()> {
        if kernel.sequence == self.first {
            return Ok(());
        }
        let end = message(BATCH_END, 0, kernel.sequence, &header(0, 10));
        self.messages.extend(end);
        kernel.ask(&self.messages, self.first, |_| {})
    }
}

/// What a set holds; nothing, where there is none.
pub(crate) fn all(kernel: &mut Netlink, set: &str) -> io::Result<Vec<Element>> {
    dump(kernel, set, Element::read)
}

/// What can be read of the elements of a set.
pub(super) fn dump<T>(
    kernel: &mut Netlink,
    set: &str,
    read: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let number = kernel.number();
    let body = [header(1, 0), of_set(set)].concat();
    let question = message(GET_ELEMENT, DUMP, number, &body);
    let mut found = Vec::new();
    let asked = kernel.ask(&question, number, |message| {
        let list = message.body.get(4..).and_then(|body| find(body, 3));
        found.extend(attributes(list.unwrap_or_default()).filter_map(|(_, it)| read(it)));
    });
    match asked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        asked => asked.map(|()| found),
    }
}

impl Element {
    fn attribute(&self) -> Vec<u8> {
        let address = match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let left = u64::try_from(self.left.as_millis()).unwrap_or(u64::MAX);
        let key = nested(1, &attribute(1, &address));
        nested(1, &[key, attribute(4, &left.max(1).to_be_bytes())].concat())
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let key = find(find(bytes, 1)?, 1)?;
        let address = match <[u8; 4]>::try_from(key) {
            Ok(address) => IpAddr::from(address),
            Err(_) => IpAddr::from(<[u8; 16]>::try_from(key).ok()?),
        };
        let left = u64::from_be_bytes(find(bytes, 5)?.try_into().ok()?);
        let left = Duration::from_millis(left);
        Some(Self { address, left })
    }
}

/// The family and, of a batch, which part of netfilter it is for: before all attributes.
fn header(family: u8, part: u8) -> Vec<u8> {
    vec![family, 0, 0, part]
}

fn of_set(set: &str) -> Vec<u8> {
    let text = |kind, text: &str| attribute(kind, &[text.as_bytes(), &[0]].concat());
    [text(1, TABLE), text(2, set)].concat()
}
