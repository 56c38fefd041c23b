//! What `/proc` says of processors, memory and load (proc(5)). Pure.

/// How long all processors have worked since the start, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    /// How many percent of the time they worked. None if no time has passed.
    pub(super) fn busy_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let busy = self.busy.saturating_sub(before.busy).min(all);
        Some(super::percentage(busy, all))
    }
}

/// From `/proc/stat`: `cpu user nice system idle iowait irq softirq steal ...`. What follows is
/// counted in `user` and `nice` already.
pub(super) fn ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut idle = 0_u64;
    let mut all = 0_u64;
    for (index, number) in line.split_ascii_whitespace().take(8).enumerate() {
        let number: u64 = number.parse().ok()?;
        all = all.saturating_add(number);
        if matches!(index, 3 | 4) {
            idle = idle.saturating_add(number);
        }
    }
    Some(Ticks {
        busy: all.saturating_sub(idle),
        all,
    })
}

/// How many processors `/proc/stat` has.
pub(super) fn processors(stat: &str) -> u32 {
    let own = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    u32::try_from(stat.lines().filter(own).count()).unwrap_or(u32::MAX)
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    /// What could be given to programs without swapping.
    pub(super) available: u64,
}

/// From `/proc/meminfo`, whose `kB` are 1024 bytes.
pub(super) fn memory(meminfo: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        kilobytes.checked_mul(1024)
    };
    Some(Memory {
        total: field("MemTotal:")?,
        available: field("MemAvailable:")?,
    })
}

/// From `/proc/loadavg`: over one, five and fifteen minutes.
pub(super) fn load(loadavg: &str) -> Option<[f64; 3]> {
    let mut numbers = loadavg
        .split_ascii_whitespace()
        .map_while(|number| number.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_writes() {
        let before = "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2\ncpu1 1 2\nintr 5\n";
        let after = "cpu  150 0 100 750 100 0 0 0 99 0\ncpu0 1 2\n";
        assert_eq!(processors(before), 2);
        let (before, after) = (ticks(before).unwrap(), ticks(after).unwrap());
        assert_eq!(after.busy_since(before), Some(50.0));
        assert_eq!(before.busy_since(before), None);
        let text = "MemTotal:   1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n";
        assert_eq!(
            memory(text),
            Some(Memory {
                total: 1_024_000,
                available: 256_000
            })
        );
        assert_eq!(load("0.50 1.25 2.00 1/80 4711\n"), Some([0.5, 1.25, 2.0]));
    }

    #[test]
    fn what_is_not_as_expected_is_not_guessed() {
        assert_eq!(ticks("cpu  1 x 3\n"), None);
        assert_eq!(ticks(""), None);
        assert_eq!(memory("MemTotal: 5 kB\n"), None);
        assert_eq!(load("0.5"), None);
    }
}
