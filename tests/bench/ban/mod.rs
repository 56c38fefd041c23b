//! The third figure: from a line in the log to a ban in the kernel, beside Debian's fail2ban and sshguard.
//!
//! Each runs alone on a booted host, as Debian ships it but for reading `/var/log/auth.log`. When a ban
//! stands is what the kernel itself says (`nft monitor`), the same way for all.

mod fleet;
mod peers;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Zoned;
use watchward_tests::host::Host;
use watchward_tests::network::Network;
use watchward_tests::shut_out::{self, Watch};

use crate::{cpu, say};
use peers::Peer;

/// How many attackers come one after the other.
const ATTACKERS: u8 = 20;
/// How many lines of each are written at once.
const LINES: usize = 10;
/// How many addresses a flood comes from, each with two tries: below every threshold.
const FLOOD: u32 = 25_000;
/// How long a single attacker is waited for, and one behind a flood.
const PATIENCE: Duration = Duration::from_secs(10);
const LONG_PATIENCE: Duration = Duration::from_secs(60);

const LOG: &str = "/var/log/auth.log";

/// Measures and says it.
pub(crate) fn measure(programs: &Path) -> Result<()> {
    say(&format!(
        "\n{:<34} {:>9} {:>9} {:>9} {:>11} {:>12}",
        "from line to ban", "median ms", "p95 ms", "banned", "flood: ms", "flood: CPU s"
    ))?;
    for peer in Peer::ALL {
        let network = Network::new()?;
        let host = Host::boot(&network, "web-1")?;
        // In memory: `tail`, which sshguard reads with, does not trust inotify on an overlay.
        host.sh(&format!(
            "systemctl stop rsyslog ssh; mount -t tmpfs log /var/log; : > {LOG}"
        ))?;
        peer.start(&host, programs)
            .with_context(|| peer.name().to_owned())?;
        row(peer, &host)?;
    }
    fleet::measure()
}

fn row(peer: Peer, host: &Host) -> Result<()> {
    let watch = Watch::begin(host)?;
    let mut took = Vec::new();
    for number in 0..ATTACKERS {
        let attacker = format!("198.51.100.{}", number + 1);
        took.extend(attack(host, &watch, &attacker, &[], PATIENCE)?);
    }
    took.sort_unstable();
    let flood = flood();
    let before = spent(host, peer)?;
    let behind = attack(host, &watch, "203.0.113.77", &flood, LONG_PATIENCE)?;
    let spent = spent(host, peer)? - before;
    let at = |part: usize| {
        millis(
            took.get((took.len() * part / 100).min(took.len().wrapping_sub(1)))
                .copied(),
        )
    };
    say(&format!(
        "{:<34} {:>9} {:>9} {:>9} {:>11} {:>12.2}",
        peer.name(),
        at(50),
        at(95),
        format!("{}/{ATTACKERS}", took.len()),
        millis(behind),
        spent.as_secs_f64()
    ))
}

fn millis(took: Option<Duration>) -> String {
    took.map_or_else(
        || "never".to_owned(),
        |took| format!("{:.1}", took.as_secs_f64() * 1e3),
    )
}

/// Writes what an attacker leaves in a host's log, behind what others leave; how long it took until
/// they were shut out where that is watched, if they were.
fn attack(
    host: &Host,
    watch: &Watch,
    attacker: &str,
    others: &[u8],
    patience: Duration,
) -> Result<Option<Duration>> {
    let lines: String = (0..LINES).map(|_| line(attacker, "root")).collect();
    let mut log = File::options().append(true).open(host.outside_path(LOG)?)?;
    let begun = shut_out::now();
    log.write_all(others)?;
    log.write_all(lines.as_bytes())?;
    let banned = watch.wait_for(attacker, patience)?;
    Ok(banned.map(|at| at.saturating_sub(begun)))
}

/// Two lines from each of many addresses.
fn flood() -> Vec<u8> {
    let mut lines = String::new();
    for _ in 0..2 {
        for number in 0..FLOOD {
            let [_, a, b, c] = number.to_be_bytes();
            lines.push_str(&line(&format!("10.{}.{b}.{c}", 100 + a), "admin"));
        }
    }
    lines.into_bytes()
}

/// What sshd writes, at this moment.
fn line(address: &str, user: &str) -> String {
    let now = Zoned::now().strftime("%b %e %H:%M:%S").to_string();
    format!("{now} web-1 sshd[4242]: Failed password for {user} from {address} port 40022 ssh2\n")
}

/// The CPU time that a peer's programs have used, their children with them.
fn spent(host: &Host, peer: Peer) -> Result<Duration> {
    let stats = host.sh("cat /proc/[0-9]*/stat 2>/dev/null || true")?;
    let mine = stats.lines().filter(|stat| peer.runs(stat));
    mine.map(cpu::of_stat).sum()
}
