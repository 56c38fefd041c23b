//! Who tries which gate of whom: from inside and from outside, a few of each. Pure.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Gate, MOST_PROBES, Mode, Ports, Probe, Transport};
use watchward_protocol::time::Timestamp;

/// From how many hosts a gate is tried that may pass it, and from how many that may not.
const OF_EACH: usize = 2;
/// How many addresses of a host are tried, and how many ports of a gate.
pub(super) const ADDRESSES: usize = 4;
const PORTS: usize = 8;
/// How many places of a host one other tries at which a server of SSH should be. From OpenSSH 9.8 on,
/// sshd keeps a second against each address that left without trying an account, and turns away
/// addresses that have 15: four hosts behind one address have 12, and those are gone before the next round.
const MOST_GREETED: usize = 3;

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
        let mut greeted: HashMap<HostId, usize> = HashMap::new();
        for (gate, probe) in probes(target) {
            for mut side in sides(sites, target, (gate, &probe), now) {
                side.sort_unstable();
                let mut chosen = 0;
                for (_, vantage) in side {
                    let own = plan.entry(vantage).or_default();
                    let greets = greeted.entry(vantage).or_default();
                    let is_full = own.len() >= MOST_PROBES || probe.ssh && *greets >= MOST_GREETED;
                    if is_full || chosen == OF_EACH {
                        continue;
                    }
                    own.insert(probe);
                    chosen += 1;
                    *greets += usize::from(probe.ssh);
                }
            }
        }
    }
    plan.retain(|_, probes| !probes.is_empty());
    plan
}

type Ranked = (u64, HostId);

/// Who could try it from inside, and who from outside. Of UDP silence says nothing, so that it is tried
/// only where an answer would: from outside, of a gate that is to be shut.
fn sides(
    sites: &[Site],
    target: &Site,
    (gate, probe): (&Gate, &Probe),
    now: Timestamp,
) -> [Vec<Ranked>; 2] {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    let is_tcp = probe.transport == Transport::Tcp;
    for vantage in sites.iter().filter(|one| one.id != target.id) {
        let like = |own: &&IpAddr| own.is_ipv4() == probe.address.is_ipv4();
        let Some(own) = vantage.addresses.iter().find(like) else {
            continue;
        };
        let ranked = (rank(vantage.id, probe), vantage.id);
        match may_pass(gate, *own, now) {
            true if is_tcp => inside.push(ranked),
            false if is_tcp || gate.mode == Mode::Enforce => outside.push(ranked),
            true | false => {}
        }
    }
    [inside, outside]
}

/// Whether a gate may be passed from an address.
pub(super) fn may_pass(gate: &Gate, from: IpAddr, now: Timestamp) -> bool {
    let from = from.to_canonical();
    let mut excepted = gate.exceptions.iter();
    let host = IpNet::from(from);
    // They are in order and do not overlap.
    let after = gate.from.partition_point(|net| *net <= host);
    let before = after.checked_sub(1).and_then(|at| gate.from.get(at));
    before.is_some_and(|net| net.contains(&from))
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

/// What there is to try of a host.
fn probes(target: &Site) -> impl Iterator<Item = (&Gate, Probe)> {
    target.gates.iter().flat_map(move |gate| {
        let addresses = target.addresses.iter().take(ADDRESSES);
        addresses.flat_map(move |address| {
            let probe = |ports: &Ports| Probe {
                address: *address,
                transport: ports.transport,
                port: ports.first,
                ssh: gate.name == "ssh" && ports.transport == Transport::Tcp,
            };
            let ports = gate.ports.iter().take(PORTS);
            ports.map(move |ports| (gate, probe(ports)))
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
