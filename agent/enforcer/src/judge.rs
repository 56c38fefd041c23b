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
    }
    match shuts_out_everybody(&gates.gates, guard, vouched) {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// Why nobody could sign in through these gates, if nobody could. Who is vouched for passes any gate,
/// but not for long: one of them must pass all gates at once.
fn shuts_out_everybody(gates: &[Gate], guard: &Guard, vouched: &[IpAddr]) -> Option<String> {
    if !guard.never.is_empty() {
        return None;
    }
    let shut = |gate: &&Gate| gate.mode == Mode::Enforce && to_sign_in(gate, guard);
    let shut: Vec<&Gate> = gates.iter().filter(shut).collect();
    let to_nobody = |gate: &&&Gate| gate.from.is_empty() && gate.exceptions.is_empty();
    if let Some(gate) = shut.iter().find(to_nobody) {
        return Some(format!(
            "{} would let nobody in at all, also not with a key",
            gate.name
        ));
    }
    let passes = |it: &&IpAddr| {
        shut.iter()
            .all(|gate| gate.from.iter().any(|net| net.contains(*it)))
    };
    if vouched.is_empty() || vouched.iter().any(|it| passes(&it)) {
        return None;
    }
    let names: Vec<&str> = shut.iter().map(|gate| gate.name.as_str()).collect();
    // Who has a stolen key could hold gates up like this for as long as nobody else comes in: whoever
    // reads it has to see from where that was.
    let some = vouched.iter().take(3).map(IpAddr::to_string);
    Some(format!(
        "nobody who came in with a key lately ({}) could pass {}; with `never` in the guard file this \
         is not asked",
        some.collect::<Vec<_>>().join(", "),
        names.join(" and ")
    ))
}

fn to_sign_in(gate: &Gate, guard: &Guard) -> bool {
    let common = |one: &Ports, other: &Ports| {
        one.protocol == other.protocol && one.first <= other.last && other.first <= one.last
    };
    let behind = |ports: &Ports| guard.gates.signing_in.iter().any(|it| common(&it.0, ports));
    gate.ports.iter().any(behind)
}

fn within(ports: &Ports, all: &Ports) -> bool {
    ports.protocol == all.protocol && all.first <= ports.first && ports.last <= all.last
}
