//! The only place of the enforcer that asks what time it is.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What the host's clock shows, in microseconds since 1970: as generations of gates are counted.
pub(crate) fn shown() -> u64 {
    let time = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let rest = u64::try_from(time.tv_nsec).unwrap_or_default() / 1000;
    seconds.saturating_mul(1_000_000).saturating_add(rest)
}

/// How long the machine has run, not counting its sleep: as the kernel counts the time of bans.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// How long the machine has run, counting its sleep: as the kernel says when a process began.
pub(crate) fn up() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
