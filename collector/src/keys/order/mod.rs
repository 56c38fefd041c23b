//! The lines of ours that open accounts of a host: from the policy and from what stands, to the order.

mod renew;
mod unopened;

use watchward_protocol::instruments::{Instruments, Managed};
use watchward_protocol::time::Timestamp;

use super::authority;
use super::policy::Policy;
use super::rotation::{self, Running};

pub(super) use renew::Renewal;
pub use unopened::run as watch_lines;
pub(super) use unopened::{Lack, lacks};

/// What lines are made of, beside the policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Stands {
    /// Machines' keys, each with how far its rotation is.
    pub(super) rotations: Vec<Running>,
    /// The authorities of people's certificates that hosts are to trust.
    pub(super) authorities: Vec<Vec<u8>>,
}

/// Every line that the host of this name is to hold, in one order. Pure. One that no host could hold is
/// left out: it would hold up the others.
pub(super) fn managed(
    host: &str,
    policy: &Policy,
    stands: &Stands,
    now: Timestamp,
) -> Vec<Managed> {
    let mut lines = rotation::lines(host, policy, &stands.rotations, now);
    lines.extend(authority::managed(
        host,
        &policy.logins,
        &stands.authorities,
    ));
    lines.sort_unstable();
    lines.dedup();
    let mut room = Instruments::LARGEST_MANAGED;
    lines.retain(|line| match room.checked_sub(line.size()) {
        Some(left) if line.sound() => {
            room = left;
            true
        }
        Some(_) | None => false,
    });
    lines.truncate(Instruments::MOST_MANAGED);
    lines
}
