//! Whether gates may be tried at all.

use std::net::IpAddr;

use crate::gates::{Gate, Gates, Mode, Ports};
use crate::guard::Guard;

/// How far a generation may lie ahead of what the host's clock shows, in microseconds: one day. Were
/// there no end, one of the far future would keep out all that come later.
const AHEAD: u64 = 24 * 3600 * 1_000_000;

/// Why these gates may not be, if they may not, while the host's clock shows `now` (microseconds
/// since 1970).
pub(crate) fn judge(
    gates: &Gates,
    confirmed: &Gates,
    guard: &Guard,
    vouched: &[IpAddr],
    now: u64,
) -> Result<(), String> {
    if gates.generation < confirmed.generation {
        return Err(format!(
            "generation {} is confirmed, which is later",
            confirmed.generation
        ));
    }
    if gates.generation == confirmed.generation && gates != confirmed {
        return Err("other gates of the same generation are confirmed".to_owned());
    }
    if gates != confirmed && gates.generation > now.saturating_add(AHEAD) {
        return Err(format!(
            "generation {} lies in the future; is this host's clock right?",
            gates.generation
        ));
    }
    for gate in &gates.gates {
        let name = &gate.name;
        let may = |ports: &Ports| guard.gates.ports.iter().any(|it| within(ports, &it.0));
        if !gate.ports.iter().all(may) {
            return Err(format!("the guard file does not let {name} have a gate"));
        }
        if shuts_out_everybody(gate, guard, vouched) {
            return Err(format!(
                "nobody who came in with a key lately could pass {name}"
            ));
        }
    }
    Ok(())
}

/// Who is vouched for passes any gate, but not for long.
fn shuts_out_everybody(gate: &Gate, guard: &Guard, vouched: &[IpAddr]) -> bool {
    let to_sign_in = |ports: &Ports| {
        let behind = |it: &Ports| {
            it.protocol == ports.protocol && it.first <= ports.last && ports.first <= it.last
        };
        guard.gates.signing_in.iter().any(|it| behind(&it.0))
    };
    let pass = |address: &IpAddr| gate.from.iter().any(|net| net.contains(address));
    gate.mode == Mode::Enforce
        && gate.ports.iter().any(to_sign_in)
        && guard.never.is_empty()
        && !vouched.is_empty()
        && !vouched.iter().any(pass)
}

fn within(ports: &Ports, all: &Ports) -> bool {
    ports.protocol == all.protocol && all.first <= ports.first && ports.last <= all.last
}
