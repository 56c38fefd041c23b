//! A key that is revoked opens nothing any more, and the session that it opened ends; whatever is killed meanwhile.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use watchward_protocol::instruments::{Instruments, Revoked};
use watchward_protocol::order::Order;
use watchward_protocol::wire::encode_order;
use watchward_tests::host::Host;
use watchward_tests::ready::notice;
use watchward_tests::root::Release;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};
use watchward_tests::{agent, enforcer};

use super::client::{Session, opens};
use super::survivors::Left;
use super::{Key, append, new_key, now, watched_as};

/// Newer than whatever a collector of today orders.
pub(super) const FIRST: u64 = 1_900_000_000;

#[test]
fn a_revoked_key_opens_nothing_and_its_session_ends() -> Result<()> {
    revoked_on(Release::Usual)
}

pub(super) fn revoked_on(release: Release) -> Result<()> {
    play("a key is revoked", "", |site| {
        let ground = Ground::new(site, release)?;
        let Ground { web, home, old, .. } = &ground;
        // In such a host Debian 13 starts no services of a user.
        let leaves = (release == Release::Usual).then(|| Left::before(home, web));
        let mut left = leaves.transpose()?;
        let others = usize::from(left.is_some());
        let mut with_old = Session::open(home, web, "old")?;
        let mut with_new = Session::open(home, web, "new")?;
        until("two sessions", SOON, || {
            Ok((count(web)? == 2 + others).then_some(()))
        })?;
        left.as_mut().map_or(Ok(()), |it| it.leave(home, web))?;

        // What it leaves behind to come back by.
        web.sh("runuser -u alice -- sh -c 'echo >> ~/.bashrc'
            install -m 600 -o alice /dev/null /var/spool/cron/crontabs/alice 2>/dev/null ||
            install -D -m 600 -o alice /dev/null /var/spool/cron/crontabs/alice")?;

        let start = now()?;
        order(web, FIRST, &[old])?;
        until("the old key is refused", SOON, || {
            Ok((!opens(home, web, "old")?).then_some(()))
        })
        .with_context(|| log(web))?;
        until("its session ends", SOON, || {
            with_old.ended().map(|it| it.then_some(()))
        })
        .with_context(|| log(web))?;
        notice(&format!(
            "its session ended {:?} after the order",
            now()?.saturating_sub(start)
        ));
        ensure!(opens(home, web, "new")?, "the other key opens still");
        until("all of it ends", SOON, || {
            Ok((count(web)? == 1 + others).then_some(()))
        })
        .with_context(|| log(web))?;
        ensure!(!with_new.ended()?, "{}", log(web));
        until("it is told", SOON, || {
            let said = log(web);
            let left = [".bashrc was changed", "the crontab of alice was changed"];
            let told = said.contains("a session of a revoked key");
            Ok((told && left.iter().all(|it| said.contains(it))).then_some(()))
        })
        .with_context(|| log(web))?;
        left.map_or(Ok(()), |it| it.told(home, web))?;

        comes_back(&ground)?;

        turns(&ground, &mut with_new)
    })
}

/// What is not revoked any more opens again, and the other does not.
fn turns(ground: &Ground, with_new: &mut Session) -> Result<()> {
    let Ground { web, home, new, .. } = ground;
    order(web, FIRST + 1, &[new])?;
    until("the old key opens", SOON, || {
        Ok(opens(home, web, "old")?.then_some(()))
    })
    .with_context(|| log(web))?;
    until("the other session ends", SOON, || {
        with_new.ended().map(|it| it.then_some(()))
    })
    .with_context(|| log(web))?;
    ensure!(!opens(home, web, "new")?);
    Ok(())
}

/// What a third hand takes away is put back, and nobody is locked out meanwhile for long.
fn comes_back(ground: &Ground) -> Result<()> {
    let Ground { web, home, .. } = ground;
    for harm in [
        "rm /etc/ssh/watchward/now/revoked_keys",
        "rm /etc/ssh/watchward/now",
        "rm -r /etc/ssh/watchward",
        "echo no list > /etc/ssh/watchward/now/revoked_keys",
        "rm /etc/ssh/sshd_config.d/10-watchward.conf; systemctl reload ssh",
    ] {
        web.sh(harm)?;
        until(harm, SOON, || {
            Ok((!opens(home, web, "old")? && opens(home, web, "new")?).then_some(()))
        })
        .with_context(|| log(web))?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_held_changes_nothing_and_is_said() -> Result<()> {
    play("revocations that cannot be held", "", |site| {
        let ground = Ground::new(site, Release::Usual)?;
        let Ground { web, home, old, .. } = &ground;
        let refused = |why: &str, mend: &str| -> Result<()> {
            until(why, SOON, || Ok(log(web).contains(why).then_some(())))
                .with_context(|| log(web))?;
            ensure!(
                opens(home, web, "old")? && opens(home, web, "new")?,
                "{}",
                log(web)
            );
            ensure!(web.try_sh("! test -e /etc/ssh/sshd_config.d/10-watchward.conf")?);
            web.sh(mend).map(drop)
        };
        web.sh("echo Nonsense yes > /etc/ssh/sshd_config.d/z.conf")?;
        order(web, FIRST, &[old])?;
        refused("sshd's configuration has an error", "true")?;

        web.sh("touch /etc/ssh/others; echo RevokedKeys /etc/ssh/others > /etc/ssh/sshd_config.d/z.conf")?;
        refused(
            "`RevokedKeys /etc/ssh/others` that is not Watchward's",
            "rm /etc/ssh/sshd_config.d/z.conf",
        )?;
        until("it holds", SOON, || {
            Ok((!opens(home, web, "old")?).then_some(()))
        })
        .with_context(|| log(web))?;

        confirmed(web, FIRST)?;

        guarded(&ground)
    })
}

/// The guard of a host has the last word, and the rest holds nevertheless.
fn guarded(ground: &Ground) -> Result<()> {
    let Ground { web, home, old, .. } = ground;
    let guard = format!("[keys]\nnever_revoke = [\"{}\"]\n", ground.new.fingerprint);
    web.write("/etc/watchward/guard.toml", guard.as_bytes(), 0o644)?;
    order(web, FIRST + 1, &[old, &ground.new])?;
    until("that key is left out", SOON, || {
        Ok(log(web).contains("is never revoked").then_some(()))
    })
    .with_context(|| log(web))?;
    confirmed(web, FIRST + 1)?;
    ensure!(opens(home, web, "new")? && !opens(home, web, "old")?);

    // A list after which nobody could come in holds only where the guard lets it.
    web.write("/etc/watchward/guard.toml", b"", 0o644)?;
    order(web, FIRST + 2, &[old, &ground.new])?;
    until("it is given back", SOON, || {
        let why = "no key would open this host any more";
        Ok(log(web).contains(why).then_some(()))
    })
    .with_context(|| log(web))?;
    ensure!(opens(home, web, "new")?, "{}", log(web));
    web.write(
        "/etc/watchward/guard.toml",
        b"[keys]\nclose = true\n",
        0o644,
    )?;
    order(web, FIRST + 3, &[old, &ground.new])?;
    until("it holds", SOON, || {
        Ok((!opens(home, web, "new")?).then_some(()))
    })
    .with_context(|| log(web))
}

#[test]
fn whoever_is_killed_at_whatever_moment_nobody_is_locked_out() -> Result<()> {
    play("revocations while programs are killed", "", |site| {
        let ground = Ground::new(site, Release::Usual)?;
        let Ground { web, home, old, .. } = &ground;
        let other = new_key(home, "other")?;
        for round in 0..12_u64 {
            let revoked: &[&Key] = if round % 2 == 0 {
                &[old]
            } else {
                &[old, &other]
            };
            order(web, FIRST + round, revoked)?;
            let after = web.sh("shuf -i 0-3000 -n 1")?;
            let victim = if round % 3 == 0 {
                "agent"
            } else {
                "enforcer-keys"
            };
            web.sh(&format!(
                "sleep $(({} / 1000)).$(({} % 1000)); systemctl kill -s KILL watchward-{victim}",
                after.trim(),
                after.trim()
            ))?;
            ensure!(opens(home, web, "new")?, "round {round}: {}", log(web));
        }
        confirmed(web, FIRST + 11)?;
        ensure!(!web.try_sh("test -e /etc/ssh/watchward/before")?);
        ensure!(!opens(home, web, "old")? && opens(home, web, "new")?);
        Ok(())
    })
}

#[test]
fn whoever_fills_sshd_up_neither_holds_up_a_revocation_nor_has_a_host_closed() -> Result<()> {
    play("revocations while sshd is full", "", |site| {
        let ground = Ground::new(site, Release::Usual)?;
        let Ground {
            web,
            home,
            old,
            new,
        } = &ground;
        order(web, FIRST, &[&new_key(home, "other")?])?;
        confirmed(web, FIRST)?;
        web.sh("echo MaxStartups 1 > /etc/ssh/sshd_config.d/z.conf; systemctl reload ssh")?;
        let fill = format!(
            "exec 3<>/dev/tcp/{}/22; read -r line <&3; sleep 250",
            web.address()
        );
        let mut strangers = Vec::new();
        let full = "test \"$(timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; head -c 8 <&3')\" = Exceeded";
        // Whoever came before sshd read its configuration again does not count.
        until("sshd is full", SOON, || {
            strangers.push(home.command(&["bash", "-c", &fill])?.spawn()?);
            Ok(web.try_sh(full)?.then_some(()))
        })?;

        order(web, FIRST + 1, &[old])?;
        confirmed(web, FIRST + 1)?;
        order(web, FIRST + 2, &[old, new])?;
        until("it is given back", SOON, || {
            let why = "no key would open this host any more";
            Ok(log(web).contains(why).then_some(()))
        })
        .with_context(|| log(web))?;
        home.sh("pkill -x sleep")?;
        for stranger in &mut strangers {
            // One may wait still for the sshd that was there before.
            stranger.kill()?;
            stranger.wait()?;
        }
        until("there is room", SOON, || {
            Ok((!web.try_sh(full)?).then_some(()))
        })?;
        ensure!(
            !opens(home, web, "old")? && opens(home, web, "new")?,
            "{}",
            log(web)
        );
        Ok(())
    })
}

/// Waits until this list holds, and not for a trial only.
pub(super) fn confirmed(web: &Host, generation: u64) -> Result<()> {
    let line = format!("list {generation} is confirmed");
    until(&line, SOON * 2, || {
        Ok(log(web).contains(&line).then_some(()))
    })
    .with_context(|| log(web))
}

/// A server with two keys for one account, and a client that has both.
struct Ground {
    web: Host,
    home: Host,
    old: Key,
    new: Key,
}

impl Ground {
    fn new(site: &mut watchward_tests::site::Site, release: Release) -> Result<Self> {
        let (web, home) = (watched_as(site, release)?, site.boot("home")?);
        enforcer::start_keys(&web, "")?;
        web.sh("useradd -m -s /bin/bash alice")?;
        let (old, new) = (new_key(&home, "old")?, new_key(&home, "new")?);
        append(&web, "alice", &old.text)?;
        append(&web, "alice", &new.text)?;
        ensure!(opens(&home, &web, "old")? && opens(&home, &web, "new")?);
        Ok(Self {
            web,
            home,
            old,
            new,
        })
    }
}

/// How many sessions live on a host.
fn count(web: &Host) -> Result<usize> {
    Ok(web.sh("pgrep -xu alice sleep | wc -l")?.trim().parse()?)
}

/// What a collector would order, as the agent finds it when it starts.
fn order(web: &Host, generation: u64, keys: &[&Key]) -> Result<()> {
    let revoked = keys.iter().map(|key| Ok(Revoked::Key(wire(&key.text)?)));
    let instruments = Instruments {
        generation,
        revoked: revoked.collect::<Result<_>>()?,
        managed: Vec::new(),
        ..Instruments::default()
    };
    order_all(web, instruments)
}

pub(super) fn order_all(web: &Host, instruments: Instruments) -> Result<()> {
    let order = Order::Instruments(Arc::new(instruments));
    let place = "/var/lib/watchward-agent/instruments.order";
    web.write(place, &encode_order(order), 0o600)?;
    // Whoever was killed a moment ago may be starting just now.
    web.sh(&format!(
        "chown watchward-agent: {place}; systemctl reset-failed
         systemctl restart watchward-agent || systemctl restart watchward-agent"
    ))
    .map(drop)
}

pub(super) fn wire(text: &str) -> Result<Vec<u8>> {
    use base64::Engine;
    let encoded = text.split(' ').nth(1).context("no key")?;
    Ok(base64::engine::general_purpose::STANDARD.decode(encoded)?)
}

pub(super) fn log(web: &Host) -> String {
    let own = web.sh(
        "journalctl -u watchward-enforcer-keys --no-pager -o cat -n 60; ls -lR /etc/ssh/watchward; cat /etc/ssh/sshd_config.d/*",
    );
    format!("{}\n{}", agent::log(web), own.unwrap_or_default())
}
