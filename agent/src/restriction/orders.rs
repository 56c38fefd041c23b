//! From what the collector orders to what the enforcer is asked, and back. Pure.

use watchward_enforcer as enforcer;
use watchward_protocol::restriction as ordered;
use watchward_protocol::restriction::{Gate, GateHeld, Gates, Mode, Transport, Veto};
use watchward_protocol::time::Timestamp;

// What the collector may order, the enforcer takes: people hear of too much while they plan.
const _: () = assert!(
    ordered::MOST_GATES == enforcer::gates::MOST_GATES
        && ordered::MOST_PORTS == enforcer::gates::MOST_PORTS
        && ordered::MOST_NETWORKS == enforcer::gates::MOST_NETWORKS
        && ordered::MOST_EXCEPTIONS == enforcer::gates::MOST_EXCEPTIONS
);

/// These gates in the enforcer's words.
pub(super) fn gates(ordered: &Gates) -> enforcer::Gates {
    enforcer::Gates {
        generation: ordered.generation,
        put_back: ordered.put_back,
        gates: ordered.gates.iter().map(gate).collect(),
    }
}

fn gate(ordered: &Gate) -> enforcer::Gate {
    let ports = ordered.ports.iter().map(|ports| enforcer::Ports {
        protocol: match ports.transport {
            Transport::Tcp => enforcer::Protocol::Tcp,
            Transport::Udp => enforcer::Protocol::Udp,
        },
        first: ports.first,
        last: ports.last,
    });
    let exceptions = ordered.exceptions.iter();
    let exceptions = exceptions.map(|exception| enforcer::Exception {
        net: exception.from.trunc(),
        until: seconds(exception.until),
    });
    enforcer::Gate {
        name: ordered.name.clone(),
        ports: ports.collect(),
        from: ordered.from.iter().map(ipnet::IpNet::trunc).collect(),
        exceptions: exceptions.collect(),
        mode: match ordered.mode {
            Mode::Watch => enforcer::Mode::Watch,
            Mode::Enforce => enforcer::Mode::Enforce,
        },
    }
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros().div_euclid(1_000_000)).unwrap_or(0)
}

/// These gates as they hold, of which nobody was counted yet.
pub(super) fn held(ordered: &Gates) -> Vec<GateHeld> {
    let held = ordered.gates.iter().map(|gate| GateHeld {
        name: gate.name.clone(),
        mode: gate.mode,
        turned_away: 0,
        from: Vec::new(),
    });
    held.collect()
}

/// Whether somebody is not shut out only for the sake of somebody else in the same network.
pub(super) fn is_for_somebody(veto: enforcer::Veto) -> bool {
    match veto {
        enforcer::Veto::Own
        | enforcer::Veto::Gateway
        | enforcer::Veto::Dns
        | enforcer::Veto::Collector
        | enforcer::Veto::Guard
        | enforcer::Veto::Vouched
        | enforcer::Veto::TooWide => true,
        enforcer::Veto::OverBudget
        | enforcer::Veto::Full
        | enforcer::Veto::Reserved
        | enforcer::Veto::Unable => false,
    }
}

/// Why the enforcer does not shut somebody out, in the words of the contract.
pub(super) fn veto(veto: enforcer::Veto) -> Veto {
    match veto {
        enforcer::Veto::Own => Veto::Own,
        enforcer::Veto::Gateway => Veto::Gateway,
        enforcer::Veto::Dns => Veto::Resolver,
        enforcer::Veto::Collector => Veto::Collector,
        enforcer::Veto::Guard => Veto::Guard,
        enforcer::Veto::Vouched => Veto::Vouched,
        enforcer::Veto::TooWide => Veto::Wide,
        enforcer::Veto::OverBudget => Veto::Budget,
        enforcer::Veto::Full => Veto::Full,
        enforcer::Veto::Reserved => Veto::Reserved,
        enforcer::Veto::Unable => Veto::Unable,
    }
}
