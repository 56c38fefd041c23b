//! The fifth figure: what a list of revoked keys costs sshd in a login, as long as it gets beside one of
//! a single key, with each release of OpenSSH.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use watchward_tests::host::Host;
use watchward_tests::network::Network;
use watchward_tests::root::Release;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

use crate::say;

/// How long the lists are.
const MANY: [u32; 3] = [1, 1_000, 10_000];
/// So many logins are measured at once, and so often with each list, one after the other.
const LOGINS: u32 = 20;
const ROUNDS: u32 = 3;

/// Measures and says it.
pub(crate) fn measure() -> Result<()> {
    say(&format!(
        "\n{:<34} {:>12} {:>12} {:>12}",
        "CPU ms of sshd in a login", "1 revoked", "1,000", "10,000"
    ))?;
    for release in [Release::Usual, Release::Thirteen] {
        let network = Network::new()?;
        let web = Host::boot_as(&network, "web", release)?;
        let home = Host::boot(&network, "home")?;
        ssh::add_user(&web, "alice", "correct")?;
        ssh::add_key(&home, "alice", &web)?;
        for many in MANY {
            list(&web, many)?;
        }
        let mut spent = [0; MANY.len()];
        for _ in 0..ROUNDS {
            for (many, spent) in MANY.iter().zip(&mut spent) {
                arm(&web, *many)?;
                *spent += cost(&web, &home)?;
            }
        }
        let version = web.sh("ssh -V 2>&1 | cut -d' ' -f1")?;
        let mut row = format!("{:<34}", version.trim_end_matches([',', '\n']));
        for ticks in spent {
            let each = f64::from(ticks) * 10.0 / f64::from(LOGINS * ROUNDS);
            write!(row, " {each:>12.1}")?;
        }
        say(&row)?;
    }
    Ok(())
}

/// Makes a list of so many keys, as hosts have them: by their digests.
fn list(web: &Host, many: u32) -> Result<()> {
    let mut text = String::new();
    for number in 0..many {
        let mut digest = [7; 32];
        for (to, from) in digest.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        writeln!(text, "hash: SHA256:{}", STANDARD_NO_PAD.encode(digest))?;
    }
    web.write("/root/list", text.as_bytes(), 0o600)?;
    web.sh(&format!("ssh-keygen -q -k -f /root/krl-{many} /root/list"))
        .map(drop)
}

/// Has sshd refuse what this list names.
fn arm(web: &Host, many: u32) -> Result<()> {
    let told = format!("RevokedKeys /root/krl-{many}\n");
    web.write("/etc/ssh/sshd_config.d/list.conf", told.as_bytes(), 0o644)?;
    web.sh("systemctl restart ssh").map(drop)
}

/// How many ticks of CPU time sshd takes for so many logins: its listener's children, once they are over.
fn cost(web: &Host, home: &Host) -> Result<u32> {
    let spent = || -> Result<u32> {
        let said = web.sh("cut -d' ' -f16,17 /proc/$(systemctl show -P MainPID ssh)/stat")?;
        said.split_whitespace()
            .map(|it| it.parse::<u32>().context("no number"))
            .sum()
    };
    let before = spent()?;
    for _ in 0..LOGINS {
        anyhow::ensure!(ssh::key(home, web, "alice")?, "no login");
    }
    let mut after = spent()?;
    until("the last session is over", SOON, || {
        let now = spent()?;
        let settled = now == after && !web.try_sh("pgrep -u alice sshd")?;
        after = now;
        Ok(settled.then_some(()))
    })?;
    Ok(after - before)
}
