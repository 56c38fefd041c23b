//! Whom gates turned away, or would have: what the kernel counts, across the times its chains are written.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use crate::answer::{MOST_TURNED, Turned};
use crate::gates::{Gate, Mode};
use crate::hand::Hand;
use crate::netlink::counters::Peer;
use crate::table::{MOST_PEERS, Slot};

/// How many packets each gate turned away, by its name and mode.
pub(crate) type Tally = BTreeMap<(String, Mode), u64>;

impl Hand {
    /// Whom the gates that hold turned away.
    pub(crate) fn turned(&mut self) -> io::Result<Vec<Turned>> {
        let (tally, mut peers) = (self.tally()?, self.kernel.turned()?);
        self.make_room_for_turned(&peers)?;
        peers.sort_unstable_by_key(|peer| Reverse(peer.packets));
        let trial = self.trial.as_ref().map(|(gates, _)| gates);
        let gates = trial.unwrap_or(&self.confirmed).gates.iter();
        let turned = gates.map(|gate| Turned {
            name: gate.name.clone(),
            packets: tally.get(&key(gate)).copied().unwrap_or_default(),
            from: some_of(&peers, gate),
        });
        Ok(turned.collect())
    }

    /// Empties a set that is almost full, once what it has is told: nobody has to prove that they are
    /// where a packet says, so whoever forges addresses could keep out those who come later.
    fn make_room_for_turned(&mut self, peers: &[Peer]) -> io::Result<()> {
        for family in [4, 6] {
            let of = |peer: &&Peer| peer.address.is_ipv4() == (family == 4);
            if peers.iter().filter(of).count() >= MOST_PEERS / 4 * 3 {
                let text = format!("flush set inet watchward turned{family}\n");
                self.kernel.apply(&text)?;
            }
        }
        Ok(())
    }

    /// What each gate that holds has counted. Its chain goes on from there when it is written anew, so
    /// that nothing is lost with this program. What came to nothing with a trial counts no more.
    pub(crate) fn tally(&mut self) -> io::Result<Tally> {
        let chains = self.kernel.counted()?;
        let trial = self.trial.as_ref().map(|(gates, _)| (Slot::New, gates));
        let (slot, gates) = trial.unwrap_or((Slot::Old, &self.confirmed));
        let counted = gates.gates.iter().enumerate().map(|(number, gate)| {
            let packets = chains.get(&slot.chain(number)).copied();
            (key(gate), packets.unwrap_or_default())
        });
        Ok(counted.collect())
    }
}

pub(crate) fn key(gate: &Gate) -> (String, Mode) {
    (gate.name.clone(), gate.mode)
}

/// Some of those who tried the ports of a gate; each address once.
fn some_of(peers: &[Peer], gate: &Gate) -> Vec<IpAddr> {
    let tried = |port: u16| {
        let mut ports = gate.ports.iter();
        ports.any(|it| (it.first..=it.last).contains(&port))
    };
    let mut some = Vec::new();
    for peer in peers.iter().filter(|peer| tried(peer.port)) {
        if some.len() < MOST_TURNED && !some.contains(&peer.address) {
            some.push(peer.address);
        }
    }
    some
}
