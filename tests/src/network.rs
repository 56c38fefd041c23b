//! A network of its own for one scenario: a bridge, and a range of addresses that nobody else has.

use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};

use crate::run::run;
use crate::undo::Undo;

/// A bridge with the address `10.213.N.1/24`, where the programs outside the hosts listen.
#[derive(Debug)]
pub struct Network {
    number: u8,
    next: AtomicU8,
    _bridge: Undo,
    _claim: UnixListener,
}

impl Network {
    /// A new network; the machine's other test processes have others.
    pub fn new() -> Result<Self> {
        let (number, claim) = claim()?;
        let bridge = format!("wwt{number}");
        let _left_by_a_killed_keeper = ip(&["link", "del", &bridge]);
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        let undo = Undo::promise(format!("ip link del {bridge}"))?;
        ip(&[
            "addr",
            "add",
            &format!("10.213.{number}.1/24"),
            "dev",
            &bridge,
        ])?;
        ip(&["link", "set", &bridge, "up"])?;
        Ok(Self {
            number,
            next: AtomicU8::new(10),
            _bridge: undo,
            _claim: claim,
        })
    }

    /// The name of its bridge.
    pub fn bridge(&self) -> String {
        format!("wwt{}", self.number)
    }

    /// The address outside the hosts.
    pub fn outside(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.number, 1)
    }

    /// An address that no host of this network has had, with a short name made of it.
    pub fn claim_address(&self) -> (Ipv4Addr, String) {
        let last = self.next.fetch_add(1, Ordering::Relaxed);
        (
            Ipv4Addr::new(10, 213, self.number, last),
            format!("ww{}-{last}", self.number),
        )
    }
}

/// Cuts a host off, or heals the cut, by its machine name: on the side of the bridge.
pub(crate) fn link(machine: &str, state: &str) -> Result<()> {
    ip(&["link", "set", &format!("vb-{machine}"), state]).map(drop)
}

/// A number that is ours for as long as the listener lives: the kernel frees it when we end.
fn claim() -> Result<(u8, UnixListener)> {
    let free = (0..=u8::MAX).find_map(|number| {
        let name = SocketAddr::from_abstract_name(format!("watchward-test-network-{number}"));
        Some((number, UnixListener::bind_addr(&name.ok()?).ok()?))
    });
    free.context("all 256 test networks are taken")
}

fn ip(arguments: &[&str]) -> Result<String> {
    run(Command::new("ip").args(arguments))
}
