//! Who tries which gate of whom: from inside and from outside, a few of each. Pure.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Gate, MOST_PROBES, Mode, Probe, Transport};
use watchward_protocol::time::Timestamp;

/// From how many hosts a gate is tried that may pass it, and from how many that may not.
const OF_EACH: usize = 2;
/// How many addresses of a host are tried, and how many ports of a gate.
const ADDRESSES: usize = 4;
const PORTS: usize = 8;

/// A host, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) id: HostId,
    pub(super) name: String,
    /// What it says its own addresses are.
    pub(super) addresses: Vec<IpAddr>,
    /// Who may reach what of it.
    pub(super) gates: Vec<Gate>,
}

/// What each host is to try, in an order that does not change by itself. Whoever tries is chosen by
/// rank, so that the work is spread, and a host more or less moves few of them.
pub(super) fn plan(sites: &[Site], now: Timestamp) -> HashMap<HostId, BTreeSet<Probe>> {
    let mut plan: HashMap<HostId, BTreeSet<Probe>> = HashMap::new();
    for target in sites {
        for (gate, probe) in probes(target) {
            let (mut inside, mut outside) = (Vec::new(), Vec::new());
            for vantage in sites.iter().filter(|one| one.id != target.id) {
                let like = |own: &&IpAddr| own.is_ipv4() == probe.address.is_ipv4();
                let Some(own) = vantage.addresses.iter().find(like) else {
                    continue;
                };
                let side = match may_pass(gate, *own, now) {
                    true => &mut inside,
                    false => &mut outside,
                };
                side.push((rank(vantage.id, &probe), vantage.id));
            }
            for side in [&mut inside, &mut outside] {
                side.sort_unstable_by_key(|(rank, _)| *rank);
                for (_, vantage) in side.iter().take(OF_EACH) {
                    let own = plan.entry(*vantage).or_default();
                    if own.len() < MOST_PROBES {
                        own.insert(probe);
                    }
                }
            }
        }
    }
    plan
}

/// Whether a gate may be passed from an address.
pub(super) fn may_pass(gate: &Gate, from: IpAddr, now: Timestamp) -> bool {
    let from = from.to_canonical();
    let mut excepted = gate.exceptions.iter();
    gate.from.iter().any(|net| net.contains(&from))
        || excepted.any(|one| one.until > now && one.from.contains(&from))
}

/// The gate that a probe tries.
pub(super) fn tried<'a>(target: &'a Site, probe: &Probe) -> Option<&'a Gate> {
    let before = |gate: &&Gate| {
        gate.ports.iter().any(|ports| {
            ports.transport == probe.transport && (ports.first..=ports.last).contains(&probe.port)
        })
    };
    // Where two are before the same port, the one that is shut decides.
    let mut gates: Vec<_> = target.gates.iter().filter(before).collect();
    gates.sort_by_key(|gate| gate.mode != Mode::Enforce);
    gates.first().copied()
}

/// What there is to try of a host: of UDP nothing, for silence says nothing.
fn probes(target: &Site) -> impl Iterator<Item = (&Gate, Probe)> {
    let ports = |gate: &'_ Gate| -> Vec<u16> {
        let tcp = gate
            .ports
            .iter()
            .filter(|ports| ports.transport == Transport::Tcp);
        tcp.map(|ports| ports.first).take(PORTS).collect()
    };
    target.gates.iter().flat_map(move |gate| {
        let ports = ports(gate);
        let addresses = target.addresses.iter().take(ADDRESSES);
        addresses.flat_map(move |address| {
            let probe = |port: &u16| Probe {
                address: *address,
                transport: Transport::Tcp,
                port: *port,
                ssh: gate.name == "ssh",
            };
            let probes: Vec<_> = ports.iter().map(probe).collect();
            probes.into_iter().map(move |probe| (gate, probe))
        })
    })
}

/// Where a host stands among those who could try something. Beware: it must not change between
/// versions without need, or all hosts try something else.
fn rank(vantage: HostId, probe: &Probe) -> u64 {
    let mut hasher = DefaultHasher::new();
    (vantage, probe).hash(&mut hasher);
    hasher.finish()
}
