//! Who changes our table: the kernel tells of each change to nf_tables, and who made it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::netlink::NETFILTER;

use super::elements::{NFTABLES, TABLE};
use super::{Netlink, find};

/// The group of notices of nf_tables (`NFNLGRP_NFTABLES`), as a bit.
const GROUP: u32 = 1 << 6;
const DELETE_TABLE: u16 = NFTABLES | 2;
const NEW_GENERATION: u16 = NFTABLES | 15;

/// How many of our own are remembered.
const OURS: usize = 32;

/// Hears of changes.
pub(crate) struct Notices {
    kernel: Netlink,
    ours: VecDeque<u32>,
    /// What was changed by others, and is not complete yet.
    seen: Option<&'static str>,
}

impl Notices {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            kernel: Netlink::listen(Some(NETFILTER), GROUP)?,
            ours: VecDeque::new(),
            seen: None,
        })
    }

    /// Whoever has this port acts for us.
    pub(crate) fn ours(&mut self, port: u32) {
        if self.ours.len() == OURS {
            self.ours.pop_front();
        }
        self.ours.push_back(port);
    }

    /// What others have changed of ours since, and who, in a sentence; nothing, if they have not.
    pub(crate) fn hear(&mut self) -> io::Result<Option<String>> {
        let (ours, seen, mut said) = (&self.ours, &mut self.seen, None);
        let whole = self.kernel.hear(|message| {
            let Some(body) = message.body.get(4..) else {
                return;
            };
            let named = find(body, 1).and_then(|it| it.strip_suffix(&[0]));
            if message.kind == NEW_GENERATION {
                let what = seen.take();
                said = said
                    .take()
                    .or(what.map(|it| format!("{it} by {}", who(body))));
            } else if named == Some(TABLE.as_bytes()) && !ours.contains(&message.port) {
                *seen = match message.kind {
                    DELETE_TABLE => Some("the table was taken away"),
                    _ => seen.or(Some("the table was changed")),
                };
            }
        })?;
        match whole {
            true => Ok(said),
            false => Ok(Some("more was changed than can be heard".to_owned())),
        }
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}

/// The process that made a generation. It names itself, so that only plain letters are taken.
fn who(generation: &[u8]) -> String {
    let id = find(generation, 2).and_then(|it| it.try_into().ok());
    let id = id.map(u32::from_be_bytes).unwrap_or_default();
    let name = find(generation, 3).unwrap_or_default();
    let plain = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let name: String = name
        .iter()
        .filter(plain)
        .map(|byte| char::from(*byte))
        .collect();
    format!("{name} (process {id})")
}
