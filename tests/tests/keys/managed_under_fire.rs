//! What sshd is told changes as a whole or not at all: while people log in, programs are killed, a disk is full, and a user does their worst.

use anyhow::{Context, Result, ensure};
use watchward_protocol::instruments::{Instruments, Managed, Opens, Revoked};
use watchward_tests::host::Host;
use watchward_tests::ready::notice;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};

use super::client::{endlessly, opens};
use super::managed::{GUARD, Ground, hold};
use super::new_key;
use super::revocation::{FIRST, confirmed, log, order_all, wire};

#[test]
fn nobody_is_refused_while_lines_change_and_whoever_is_killed_leaves_old_or_new() -> Result<()> {
    play("managed lines while programs are killed", "", |site| {
        let ground = Ground::new(site, GUARD)?;
        let Ground { web, home, .. } = &ground;
        web.sh("echo 'MaxStartups 100' > /etc/ssh/sshd_config.d/z.conf; systemctl reload ssh")?;
        let fresh = ground.fresh()?;
        let other = Managed {
            opens: Opens::Key(wire(&new_key(home, "other")?.text)?),
            ..fresh.clone()
        };
        hold(web, 0, vec![fresh.clone()])?;
        let background = endlessly(web, "fresh", "/root/logins");
        home.sh(&format!("({background}) </dev/null >/dev/null 2>&1; echo"))?;
        for round in 1..12_u64 {
            let mut lines = vec![fresh.clone()];
            lines.extend((round % 2 == 0).then(|| other.clone()));
            order_all(
                web,
                Instruments {
                    generation: FIRST + round,
                    revoked: Vec::new(),
                    managed: lines,
                    ..Instruments::default()
                },
            )?;
            let victim = if round % 3 == 0 {
                "agent"
            } else {
                "enforcer-keys"
            };
            web.sh(&format!(
                "after=$(shuf -i 0-2500 -n 1); sleep $((after / 1000)).$((after % 1000))
                 systemctl kill -s KILL watchward-{victim}"
            ))?;
            ensure!(opens(home, web, "own")?, "round {round}: {}", log(web));
        }
        confirmed(web, FIRST + 11)?;
        home.sh("kill $(pgrep -f 'alice@.*echo opened' -o) || true")?;
        let logins = home.sh("sort /root/logins | uniq -c")?;
        notice(&format!("logins while lines changed:\n{logins}"));
        ensure!(logins.contains("opened"), "{logins}\n{}", log(web));
        ensure!(
            !logins.contains("Permission denied"),
            "{logins}\n{}",
            log(web)
        );
        ensure!(!web.try_sh("test -e /etc/ssh/watchward/before")?);
        let left = web.sh("ls /etc/ssh/watchward | wc -l")?;
        ensure!(left.trim() == "2", "{}", log(web));
        ensure!(opens(home, web, "fresh")? && !opens(home, web, "other")?);
        Ok(())
    })
}

#[test]
fn on_a_full_disk_and_with_a_broken_configuration_what_held_holds_and_it_is_said() -> Result<()> {
    play("managed lines on a full disk", "", |site| {
        let ground = Ground::new(site, GUARD)?;
        let Ground { web, home, own } = &ground;
        web.sh("systemctl stop watchward-enforcer-keys
            mount -t tmpfs -o size=256k,mode=711 watchward-test /etc/ssh/watchward
            systemctl start watchward-enforcer-keys")?;
        let fresh = ground.fresh()?;
        hold(web, 0, vec![fresh.clone()])?;
        web.sh("dd if=/dev/zero of=/etc/ssh/watchward/filler bs=1k 2>/dev/null || true")?;
        let revoking = |number: u64| -> Result<Instruments> {
            Ok(Instruments {
                generation: FIRST + number,
                revoked: vec![Revoked::Key(wire(&own.text)?)],
                managed: vec![fresh.clone()],
                ..Instruments::default()
            })
        };
        order_all(web, revoking(1)?)?;
        until("it is said", SOON, || {
            Ok(log(web).contains("No space left").then_some(()))
        })
        .with_context(|| log(web))?;
        ensure!(
            opens(home, web, "own")? && opens(home, web, "fresh")?,
            "{}",
            log(web)
        );

        web.sh("rm /etc/ssh/watchward/filler; echo Nonsense yes > /etc/ssh/sshd_config.d/z.conf")?;
        until("it is said", SOON, || {
            let why = "sshd's configuration has an error";
            Ok(log(web).contains(why).then_some(()))
        })
        .with_context(|| log(web))?;
        ensure!(
            opens(home, web, "own")? && opens(home, web, "fresh")?,
            "{}",
            log(web)
        );
        web.sh("rm /etc/ssh/sshd_config.d/z.conf")?;
        confirmed(web, FIRST + 1)?;
        ensure!(
            !opens(home, web, "own")? && opens(home, web, "fresh")?,
            "{}",
            log(web)
        );
        Ok(())
    })
}

#[test]
fn a_user_who_races_with_links_achieves_nothing() -> Result<()> {
    play("managed lines and a hostile user", "", |site| {
        let ground = Ground::new(site, GUARD)?;
        let Ground { web, home, .. } = &ground;
        web.sh("useradd -m -s /bin/bash mallory")?;
        let guarded = "stat -c '%n %i %a %u %s' /etc/shadow /etc/passwd /etc/ssh/sshd_config; \
            sha256sum /etc/shadow; find /etc/ssh -user mallory";
        let before = web.sh(guarded)?;
        web.write("/root/race", RACE.as_bytes(), 0o755)?;
        web.sh("cp /root/race ~mallory/race; chown mallory: ~mallory/race
            runuser -u mallory -- bash ~mallory/race </dev/null >/dev/null 2>&1 &")?;
        let line = |account: &str, fresh: &Managed| Managed {
            account: account.to_owned(),
            ..fresh.clone()
        };
        let fresh = ground.fresh()?;
        for round in 0..4 {
            hold(web, round, vec![line("mallory", &fresh), fresh.clone()])?;
        }
        ensure!(web.sh(guarded)? == before, "{}", log(web));
        ensure!(opens(home, web, "fresh")?, "{}", log(web));
        let writable = "runuser -u mallory -- find /etc/ssh -writable -not -type l 2>/dev/null";
        ensure!(
            web.sh(&format!("{writable} || true"))?.is_empty(),
            "{}",
            log(web)
        );
        Ok(())
    })
}

/// Puts links to what is not theirs wherever a careless root would write or look.
const RACE: &str = "cd ~; mkdir -p .ssh; for round in $(seq 5000); do
    for to in /etc/shadow /etc/ssh/watchward/now /dev/zero /etc; do
        ln -sfn $to .ssh/authorized_keys; ln -sfn $to .ssh/next
        mv -T .ssh .other 2>/dev/null; ln -sfn $to .ssh; rm -f .ssh; mv -T .other .ssh
        ln -sfn $to /etc/ssh/watchward/now; ln -sfn $to /etc/ssh/watchward/next
        ln -sfn $to /run/watchward-enforcer-keys/work/list
    done; done 2>/dev/null";

/// So many entries a long list has.
const MANY: u32 = 10_000;
/// So many logins are measured at once, and so often with and without, one after the other.
const LOGINS: u32 = 15;
const ROUNDS: u32 = 3;

#[test]
fn a_list_of_ten_thousand_costs_a_login_less_than_as_much_again() -> Result<()> {
    play("a long list of revoked keys", "", |site| {
        let ground = Ground::new(site, GUARD)?;
        let Ground { web, home, .. } = &ground;
        let digest = |number: u32| {
            let mut digest = [7; 32];
            for (to, from) in digest.iter_mut().zip(number.to_be_bytes()) {
                *to = from;
            }
            Revoked::Fingerprint(digest)
        };
        let (mut without, mut with, mut number) = (0, 0, 0);
        for _ in 0..ROUNDS {
            for many in [1, MANY] {
                number += 1;
                order_all(
                    web,
                    Instruments {
                        generation: FIRST + number,
                        revoked: (0..many).map(digest).collect(),
                        managed: Vec::new(),
                        ..Instruments::default()
                    },
                )?;
                confirmed(web, FIRST + number)?;
                let cost = cost(web, home)?;
                match many {
                    1 => without += cost,
                    _ => with += cost,
                }
            }
        }
        let each = |ticks: u64| {
            10.0 * f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / f64::from(LOGINS * ROUNDS)
        };
        notice(&format!(
            "a login costs sshd {:.1} ms of CPU with one revoked key, {:.1} ms with {MANY}",
            each(without),
            each(with)
        ));
        ensure!(with < 2 * without, "{with} ticks, and {without} without");
        Ok(())
    })
}

/// How many ticks of CPU time sshd takes for so many logins: its listener's children, once they are over.
fn cost(web: &Host, home: &Host) -> Result<u64> {
    let spent = || -> Result<u64> {
        let said = web.sh("cut -d' ' -f16,17 /proc/$(systemctl show -P MainPID ssh)/stat")?;
        let ticks: std::result::Result<Vec<u64>, _> =
            said.split_whitespace().map(str::parse).collect();
        Ok(ticks?.iter().sum())
    };
    let before = spent()?;
    for _ in 0..LOGINS {
        ensure!(opens(home, web, "own")?, "{}", log(web));
    }
    let mut after = spent()?;
    until("the last session is over", SOON, || {
        let now = spent()?;
        let settled = now == after && !web.try_sh("pgrep -u alice")?;
        after = now;
        Ok(settled.then_some(()))
    })?;
    Ok(after - before)
}
