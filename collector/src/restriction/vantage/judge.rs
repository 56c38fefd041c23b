//! What a probe says of a gate: whether it is as it should be. Pure.

use std::time::Duration;

use watchward_protocol::restriction::{Mode, Probed, Reached, Transport};
use watchward_protocol::time::Timestamp;

use super::plan::{Site, may_pass, tried};

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The gate is as it should be.
    Right,
    /// It let somebody in who should be turned away.
    Leaks,
    /// It turned away somebody who may pass.
    Blocks,
    /// Nothing: no gate is there, it is only watched, or it is not known where the probe came from.
    Nothing,
}

/// What a probe says of the gate that it tried. `changed_at` is when it became known who may pass:
/// until some time after that hosts are still at it.
pub(super) fn judge(
    target: &Site,
    probed: &Probed,
    (changed_at, settle): (Timestamp, Duration),
    now: Timestamp,
) -> Said {
    let (Some(from), Some(gate)) = (probed.from, tried(target, &probed.probe)) else {
        return Said::Nothing;
    };
    let said = match (may_pass(gate, from, now), gate.mode, probed.reached) {
        (false, Mode::Watch, _) => return Said::Nothing,
        // A firewall on the way may refuse as the host does, and who is let in may say nothing.
        (_, _, Reached::Refused | Reached::Silent | Reached::Unreachable)
            if probed.probe.transport == Transport::Udp =>
        {
            return Said::Nothing;
        }
        (false, Mode::Enforce, Reached::Open) => Said::Leaks,
        (false, Mode::Enforce, Reached::Refused | Reached::Silent | Reached::Unreachable) => {
            Said::Right
        }
        (true, _, Reached::Open) => Said::Right,
        // Refused: nobody listens there, which is no matter of gates.
        (true, _, Reached::Refused) => return Said::Nothing,
        (true, _, Reached::Silent | Reached::Unreachable) => Said::Blocks,
    };
    match said != Said::Right && now.since(changed_at) < settle {
        true => Said::Nothing,
        false => said,
    }
}
