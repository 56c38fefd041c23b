//! The enforcer's package, as `docs/restriction.md` says: it holds from inside its unit, from before
//! the network on, and goes without a trace.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use watchward_protocol::instruments::{Instruments, Revoked};
use watchward_protocol::order::Order;
use watchward_protocol::wire::encode_order;
use watchward_tests::host::Host;
use watchward_tests::packages::Packages;
use watchward_tests::page;
use watchward_tests::ready::scenario;
use watchward_tests::wait::{SOON, until};

use super::ground::Ground;
use super::shipped::is_tight;

const ENFORCER: &str = "watchward-enforcer";

/// What it could leave behind.
const TRACES: &str = "nft list tables
    ls -d /etc/watchward/* /run/watchward-e* /var/lib/watchward-* 2>&1 || true
    ls -R /etc/ssh; sshd -T
    cut -d: -f1 /etc/passwd /etc/group | sort";

#[test]
fn the_enforcer_holds_from_inside_its_unit_and_goes_without_a_trace() -> Result<()> {
    scenario("docs/restriction.md, to the letter", || {
        let ground = Ground::enrolled()?;
        let host = &ground.host;
        let before = host.sh(TRACES)?;
        Packages::built()?.copy(host, &[ENFORCER])?;
        follow(host, "install")?;
        is_tight(host, ENFORCER)?;
        is_tight(host, "watchward-enforcer-keys")?;
        follow(host, "check")?;
        holds(&ground).with_context(|| log(&ground))?;

        // Only what the enforcer kept can be there: nobody confirms anything.
        ground.centre.sh("systemctl stop watchward-collector")?;
        host.power_off()?;
        host.power_on()?;
        let gate = gate();
        ensure!(host.try_sh(&gate)?, "after a restart: {}", log(&ground));
        is_first(host)?;

        follow(host, "nft delete table")?;
        ensure!(!host.try_sh(&gate)?, "it is there still");
        host.sh("systemctl start watchward-enforcer")?;
        until("the gates hold again", SOON, || {
            Ok(host.try_sh(&gate)?.then_some(()))
        })
        .with_context(|| log(&ground))?;
        refuses_a_key(host).with_context(|| log(&ground))?;
        host.sh("apt-get purge -y watchward-enforcer; rm -f /root/watchward-enforcer_*.deb")?;
        assert_eq!(host.sh(TRACES)?, before, "what purging leaves on the host");
        Ok(())
    })
}

/// sshd is told of a revoked key, as if the collector had ordered that before the agent started.
fn refuses_a_key(host: &Host) -> Result<()> {
    let order = Order::Instruments(Arc::new(Instruments {
        generation: 1,
        revoked: vec![Revoked::Fingerprint([1; 32])],
        managed: Vec::new(),
        ..Instruments::default()
    }));
    let place = "/var/lib/watchward-agent/instruments.order";
    host.write(place, &encode_order(order), 0o600)?;
    host.sh(&format!(
        "chown watchward-agent: {place}; systemctl restart watchward-agent"
    ))?;
    let held = "sshd -T | grep -qx 'revokedkeys /etc/ssh/watchward/now/revoked_keys' &&
        ! test -e /etc/ssh/watchward/before";
    until("sshd is told of it", SOON, || {
        Ok(host.try_sh(held)?.then_some(()))
    })
}

/// Does what the page says with this word in it.
fn follow(host: &Host, word: &str) -> Result<()> {
    let mut steps = page::steps("restriction.md")?.into_iter();
    let step = steps.find(|step| step.place == "enforcer" && step.script.contains(word));
    let step = step.with_context(|| format!("the page does not say how: {word}"))?;
    let done = host.sh(&format!("cd /root; {}", step.script));
    done.map(drop).with_context(|| format!("{step:?}"))
}

/// A gate and a ban come to the kernel through agent and enforcer, each in its unit.
fn holds(ground: &Ground) -> Result<()> {
    let policy = format!(
        "[groups]\nweb = [\"web-*\"]\n[networks]\noffice = [\"{OFFICE}\"]\n\
         [[restriction.rules]]\ngroups = [\"web\"]\nservices = [\"ssh\"]\nfrom = [\"office\"]\n\
         mode = \"enforce\"\n"
    );
    let centre = &ground.centre;
    centre.write("/root/gates.toml", policy.as_bytes(), 0o644)?;
    let told = "watchward hosts web-1 | grep -q 'enforcer holds gates and bans'";
    until("the host says that it holds", SOON, || {
        Ok(centre.try_sh(told)?.then_some(()))
    })?;
    centre.sh("watchward policy apply gates.toml")?;
    centre.sh("watchward ban add 198.51.100.7 --for 1h --reason 'abuse report'")?;
    let gate = gate();
    let known = format!("nft list set inet watchward banned4_32 | grep -qF 198.51.100.7 && {gate}");
    until("gate and ban are in the kernel", SOON * 2, || {
        Ok(ground.host.try_sh(&known)?.then_some(()))
    })
}

const OFFICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// Asks the kernel whether the gate is there, and on trial no more.
fn gate() -> String {
    format!(
        "nft list chain inet watchward old_0 | grep -q '{OFFICE}.*return' &&
         ! nft list set inet watchward trial | grep -q elements"
    )
}

/// It held before there was a network.
fn is_first(host: &Host) -> Result<()> {
    let since = |unit: &str| -> Result<u64> {
        let asked = format!("systemctl show -P ActiveEnterTimestampMonotonic {unit}");
        Ok(host.sh(&asked)?.trim().parse()?)
    };
    let (first, then) = (since(ENFORCER)?, since("network-pre.target")?);
    ensure!(0 < first && first <= then, "{first}, {then}");
    Ok(())
}

fn log(ground: &Ground) -> String {
    let log = "journalctl -b --no-pager -u watchward-enforcer -u watchward-enforcer-keys -u watchward-agent
        systemctl status --no-pager watchward-enforcer
        nft list table inet watchward";
    let said = ground.host.sh(&format!("{log} || true"));
    said.unwrap_or_default() + ground.logs().as_str()
}
