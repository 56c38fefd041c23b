//! Who the kernel has shut out, and since when: what `nft monitor` says, with its time.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::host::Host;
use crate::wait::until;

type Seen = Arc<(Mutex<HashMap<String, Duration>>, Condvar)>;

/// Watches one host.
#[derive(Debug)]
pub struct Watch {
    seen: Seen,
    monitor: Child,
}

impl Watch {
    /// From now on.
    pub fn begin(host: &Host) -> Result<Self> {
        let mut monitor = host.command(&["nft", "-n", "monitor", "new"])?;
        let mut monitor = monitor
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let said = monitor.stdout.take().context("no pipe from nft")?;
        let seen = Seen::default();
        let hand = Arc::clone(&seen);
        thread::spawn(move || note(BufReader::new(said), &hand));
        let watch = Self { seen, monitor };
        // It listens once it has told of something.
        host.sh("nft add table ip probe; nft 'add set ip probe s { type ipv4_addr; }'")?;
        let mut last = 0;
        until("nft monitor listens", Duration::from_secs(10), || {
            last += 1;
            host.sh(&format!(
                "nft 'add element ip probe s {{ 192.0.2.{last} }}'"
            ))?;
            let seen = watch.wait_for(&format!("192.0.2.{last}"), Duration::from_millis(100))?;
            Ok(seen.map(|_| ()))
        })?;
        host.sh("nft delete table ip probe")?;
        Ok(watch)
    }

    /// When an address was shut out; waits for that.
    pub fn wait_for(&self, address: &str, patience: Duration) -> Result<Option<Duration>> {
        let (seen, more) = &*self.seen;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = more.wait_timeout_while(seen, patience, |seen| !seen.contains_key(address));
        let (seen, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Ok(seen.get(address).copied())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _gone = self.monitor.kill();
        let _status = self.monitor.wait();
    }
}

/// `add element ip sshguard attackers { 198.51.100.1 }`, `... { 198.51.100.1 timeout 10m ... }`
fn note(said: impl BufRead, seen: &Seen) {
    for line in said.lines().map_while(Result::ok) {
        let at = now();
        let Some((_, elements)) = line
            .split_once("add element")
            .and_then(|(_, it)| it.split_once('{'))
        else {
            continue;
        };
        let mut known = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        for element in elements.trim_end_matches([' ', '}']).split(',') {
            if let Some(address) = element.split_whitespace().next() {
                known.entry(address.to_owned()).or_insert(at);
            }
        }
        drop(known);
        seen.1.notify_all();
    }
}

/// The time by the clock that never jumps.
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
