//! From a line in the log of one host to the ban in the kernel of another: by way of the collector.

use anyhow::Result;
use watchward_tests::shut_out::Watch;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};
use watchward_tests::{agent, enforcer};

use super::{ATTACKERS, LOG, PATIENCE, attack, millis};
use crate::say;

const SETTINGS: &str = "
[access]
source = \"files\"
files = [\"/var/log/auth.log\"]
[restriction]
trust_text = true
";

/// Measures and says it.
pub(super) fn measure() -> Result<()> {
    play(
        "from a line of one host to the ban on another",
        "",
        |site| {
            let (web, db) = (site.boot("web-1")?, site.boot("web-2")?);
            web.sh(&format!(
                "systemctl stop rsyslog ssh; mount -t tmpfs log /var/log; : > {LOG}"
            ))?;
            for (host, settings) in [(&web, SETTINGS), (&db, "")] {
                enforcer::start(host, "never = []\n")?;
                agent::start(host, &site.network, &site.collector, settings)?;
            }
            until("the judge reads the log", SOON, || {
                let twice = "[ \"$(ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c auth.log)\" -ge 2 ]";
                Ok(web.try_sh(twice)?.then_some(()))
            })?;
            let watch = Watch::begin(&db)?;
            let mut took = Vec::new();
            for number in 0..ATTACKERS {
                let attacker = format!("198.51.100.{}", number + 1);
                took.extend(attack(&web, &watch, &attacker, &[], PATIENCE)?);
            }
            took.sort_unstable();
            say(&format!(
                "\n{:<34} {:>9} {:>9} {:>9}\n{:<34} {:>9} {:>9} {:>9}",
                "from line to ban on another host",
                "median ms",
                "worst ms",
                "banned",
                "watchward",
                millis(took.get(took.len() / 2).copied()),
                millis(took.last().copied()),
                format!("{}/{ATTACKERS}", took.len()),
            ))
        },
    )
}
