//! The kernel's hand: the table through `nft`, its elements through netlink.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::netlink::NETFILTER;

use crate::bans::{Bans, Shape};
use crate::netlink::Netlink;
use crate::netlink::counters::{self, Peer};
use crate::netlink::elements::{Batch, Element, all};
use crate::netlink::notices::Notices;

/// The program that nftables comes with.
const NFT: &str = "/usr/sbin/nft";

/// How many elements go into the kernel at once: a datagram has so much room.
const AT_ONCE: usize = 2048;

/// Our table, as `nft` names it.
const OURS: &str = "table inet watchward";

/// The sets of ours that are told besides the bans.
const SETS: [&str; 7] = [
    "never4", "never6", "vouched4", "vouched6", "turned4", "turned6", "trial",
];

/// One of our sets, and what it should hold.
pub(crate) struct Change {
    pub(crate) set: String,
    pub(crate) elements: Vec<Element>,
}

/// What we do there.
pub(crate) struct Kernel {
    netlink: Netlink,
    notices: Notices,
    /// What others did, heard while we were busy.
    meddled: Option<String>,
}

impl Kernel {
    pub(crate) fn open() -> io::Result<Self> {
        let (netlink, mut notices) = (Netlink::open(Some(NETFILTER))?, Notices::open()?);
        notices.ours(netlink.port());
        Ok(Self {
            netlink,
            notices,
            meddled: None,
        })
    }

    /// Where it is heard that others change something.
    pub(crate) fn notices(&self) -> &Notices {
        &self.notices
    }

    /// What others have changed of ours since the last time, in a sentence.
    pub(crate) fn meddled(&mut self) -> io::Result<Option<String>> {
        self.hear()?;
        Ok(self.meddled.take())
    }

    /// The kernel keeps only so many notices, and our own are among them.
    fn hear(&mut self) -> io::Result<()> {
        let heard = self.notices.hear()?;
        self.meddled = self.meddled.take().or(heard);
        Ok(())
    }

    /// Does what a text says, all of it or nothing.
    pub(crate) fn apply(&mut self, text: &str) -> io::Result<()> {
        self.nft(&["-f", "-"], text).map(drop)
    }

    /// Has sets hold these. Whatever is `fresh` is not in them yet.
    pub(crate) fn put(&mut self, changes: &[Change], fresh: bool) -> io::Result<()> {
        let mut batch = Batch::new(&mut self.netlink);
        for change in changes {
            batch.put(&mut self.netlink, &change.set, &change.elements, fresh);
        }
        batch.commit(&mut self.netlink)
    }

    /// Has sets not hold these.
    pub(crate) fn take(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut batch = Batch::new(&mut self.netlink);
        for change in changes {
            batch.take(&mut self.netlink, &change.set, &change.elements);
        }
        batch.commit(&mut self.netlink)
    }

    /// Fills empty sets, however much it is.
    pub(crate) fn fill(&mut self, changes: &[Change]) -> io::Result<()> {
        for change in changes {
            for elements in change.elements.chunks(AT_ONCE) {
                let (set, elements) = (change.set.clone(), elements.to_vec());
                self.put(&[Change { set, elements }], true)?;
                self.hear()?;
            }
        }
        Ok(())
    }

    /// The bans that the kernel has.
    pub(crate) fn bans(&mut self, now: Duration) -> io::Result<Bans> {
        let mut bans = Bans::new();
        for shape in Shape::all() {
            for element in all(&mut self.netlink, &shape.set())? {
                if let Some(net) = shape.net(element.address) {
                    bans.put(net, now + element.left);
                }
            }
        }
        Ok(bans)
    }

    /// Those whom the kernel lets pass as they were vouched for.
    pub(crate) fn vouched(&mut self) -> io::Result<Vec<Element>> {
        let mut all_of = all(&mut self.netlink, vouched(true))?;
        all_of.extend(all(&mut self.netlink, vouched(false))?);
        Ok(all_of)
    }

    /// How many packets the rules of each chain have counted.
    pub(crate) fn counted(&mut self) -> io::Result<BTreeMap<String, u64>> {
        counters::of_chains(&mut self.netlink)
    }

    /// Who was turned away within the last day, as far as there was room to remember it.
    pub(crate) fn turned(&mut self) -> io::Result<Vec<Peer>> {
        let mut all = counters::of_peers(&mut self.netlink, "turned4")?;
        all.extend(counters::of_peers(&mut self.netlink, "turned6")?);
        Ok(all)
    }

    /// Everything that is filtered, as lines of JSON. One by one: of several lists at once, `nft`
    /// 1.0.6 shows the last.
    pub(crate) fn ruleset(&mut self) -> io::Result<String> {
        let tables = self.nft(&["list", "tables"], "")?;
        let (mut whole, mut ours) = (String::new(), false);
        for table in tables.lines() {
            ours |= table == OURS;
            let terse = if table == OURS { "-jt" } else { "-j" };
            whole += self.nft(&[terse, &format!("list {table}")], "")?.trim_end();
            whole.push('\n');
        }
        for set in SETS.iter().filter(|_| ours) {
            let set = format!("list set inet watchward {set}");
            whole += self.nft(&["-j", &set], "")?.trim_end();
            whole.push('\n');
        }
        Ok(whole)
    }

    fn nft(&mut self, arguments: &[&str], input: &str) -> io::Result<String> {
        let child = Command::new(NFT)
            .args(arguments)
            .env_clear()
            .stdin(whole(input)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(missing)?;
        // Its socket has the number of its process.
        self.notices.ours(child.id());
        let done = child.wait_with_output()?;
        self.hear()?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let first = said.lines().next().unwrap_or("it says nothing");
        Err(io::Error::other(format!("nft: {first}")))
    }
}

/// A text in memory, for a program to read. Through a pipe it could end wherever this program is
/// killed, and the first lines of rules are rules, too.
fn whole(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("nft", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// What to do about a program that is not there.
fn missing(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    io::Error::other(format!(
        "the program {NFT} is not there: install the package nftables"
    ))
}

/// The set of those who are vouched for.
pub(crate) fn vouched(ipv6: bool) -> &'static str {
    if ipv6 { "vouched6" } else { "vouched4" }
}

/// Who is vouched for, as a change of its set.
pub(crate) fn vouch(address: IpAddr, left: Duration) -> Change {
    Change {
        set: vouched(address.is_ipv6()).to_owned(),
        elements: vec![Element { address, left }],
    }
}
