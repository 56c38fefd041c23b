//! Peers of WireGuard: who comes is in the access log, and whose peer is revoked comes no more.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::run::run;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until};
use watchward_tests::{agent, enforcer};

/// The collector looks twice, every half a minute: that it is too old, and that its time is over.
const OLD: Duration = Duration::from_secs(90);

/// Makes a key, and says its public half.
const KEY: &str = "umask 077; wg genkey > /root/wg.key; wg pubkey < /root/wg.key";

/// A program has the interface here, and whoever is to look has to be the user that it runs as.
const INTERFACE: &str = "
    chmod 666 /dev/net/tun
    systemd-run -q --unit wg0 -p User=$user -p AmbientCapabilities=CAP_NET_ADMIN \
        -p RuntimeDirectory=wireguard wireguard-go -f wg0
    for i in $(seq 300); do wg show wg0 > /dev/null 2>&1 && break; sleep 0.1; done
    wg show wg0 > /dev/null || { journalctl -u wg0 --no-pager; systemctl status wg0 --no-pager; } >&2
    wg set wg0 private-key /root/wg.key listen-port 51820";

#[test]
fn a_persons_peer_is_watched_and_once_it_is_revoked_carries_nothing() -> Result<()> {
    play("peers of WireGuard", "", |site| {
        let (hub, home) = (site.boot("hub")?, site.boot("home")?);
        let [server, peer] = keys(&hub, &home)?;
        let known = format!("[[keys.peers]]\nkey = \"{peer}\"\nperson = \"ada\"\n");
        site.collector.rule(&known)?;
        watched(site, &hub, "[vpn]\nclose = true\n")?;
        tunnel((&hub, &server), (&home, &peer))?;
        carries(&home)?;
        let why = || format!("{}\n{}", agent::log(&hub), enforcer::log(&hub));
        came(site, &home, &peer).with_context(why)?;

        let said = site
            .collector
            .command()?
            .args(["revoke", "--yes", "ada", "--reason", "she has left"])
            .output()?;
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        let error = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.success(), "{words}\n{error}\n{}", why());
        ensure!(!reaches(&home)?, "{words}\n{}", why());

        hub.sh(&format!("wg set wg0 peer {peer} allowed-ips 10.9.0.2/32"))?;
        until("it is taken away again", SOON, || {
            let stands = hub.sh("wg show wg0 peers")?.contains(&peer);
            Ok((!stands).then_some(()))
        })
        .with_context(why)?;
        ensure!(!reaches(&home)?, "{}", why());
        proven(site, &peer)
    })
}

/// The public keys of two hosts.
fn keys(hub: &Host, home: &Host) -> Result<[String; 2]> {
    Ok([hub.sh(KEY)?, home.sh(KEY)?].map(|key| key.trim().to_owned()))
}

/// Joins two hosts by a tunnel; the second calls.
fn tunnel((hub, server): (&Host, &str), (home, client): (&Host, &str)) -> Result<()> {
    hub.sh(&format!(
        "user=watchward-enforcer {INTERFACE} peer {client} allowed-ips 10.9.0.2/32
         ip address add 10.9.0.1/24 dev wg0; ip link set wg0 up"
    ))?;
    home.sh(&format!(
        "user=root {INTERFACE} peer {server} endpoint {}:51820 allowed-ips 10.9.0.1/32
         ip address add 10.9.0.2/24 dev wg0; ip link set wg0 up",
        hub.address()
    ))?;
    Ok(())
}

/// Whether sshd of the hub answers through the tunnel.
fn reaches(home: &Host) -> Result<bool> {
    home.try_sh("timeout 3 bash -c 'read -r line < /dev/tcp/10.9.0.1/22 && test -n \"$line\"'")
}

fn carries(home: &Host) -> Result<()> {
    until("the tunnel carries", SOON, || {
        Ok(reaches(home)?.then_some(()))
    })
}

/// The access log has who came and from where; the list whose peer it is.
fn came(site: &Site, home: &Host, peer: &str) -> Result<()> {
    let from = home.address().to_string();
    until("that ada came is told", SOON, || {
        let events = site.collector.list(&["access", "--service", "wireguard"])?;
        let hers = events.iter().any(|one| {
            let text = one.to_string();
            text.contains("ada") && text.contains(&from) && text.contains(peer)
        });
        Ok(hers.then_some(()))
    })?;
    let all = site.collector.ask(&["keys", "peers"])?;
    let one = all.pointer("/peers/0").context("no peer is listed")?;
    let said = |field: &str| one.get(field).and_then(Value::as_str);
    let is_hers = said("peer") == Some(peer) && said("name") == Some("ada");
    let proved = one.get("proved_at").is_some_and(Value::is_number);
    ensure!(is_hers && proved, "{all:#}");
    Ok(())
}

fn proven(site: &Site, peer: &str) -> Result<()> {
    until("the receipt says so", SOON, || {
        let text = run(site.collector.command()?.args(["receipt", peer]))?;
        let receipt: Value = serde_json::from_str(&text)?;
        let times = receipt.pointer("/hosts/0/tunnel/taken/0/times");
        let again = times.and_then(Value::as_u64) >= Some(2);
        Ok((again && receipt.get("is_proven") == Some(&Value::Bool(true))).then_some(()))
    })
}

#[test]
fn a_peer_that_the_host_never_gives_up_stays_and_the_command_says_why() -> Result<()> {
    play("a guarded peer of WireGuard", "", |site| {
        let (hub, home) = (site.boot("hub")?, site.boot("home")?);
        let [server, peer] = keys(&hub, &home)?;
        watched(site, &hub, &format!("[vpn]\nnever_revoke = [\"{peer}\"]\n"))?;
        tunnel((&hub, &server), (&home, &peer))?;
        carries(&home)?;
        let mut command = site.collector.command()?;
        let said = command.args(["revoke", "--yes", &peer, "--reason", "by mistake"]);
        let said = said.output()?;
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        let why = "hub: refused; the host's guard file says never";
        ensure!(!said.status.success() && words.contains(why), "{words}");
        carries(&home)
    })
}

#[test]
fn a_peer_whose_key_is_too_old_is_taken_away_at_the_deadline() -> Result<()> {
    play("an old peer of WireGuard", "", |site| {
        let (hub, home) = (site.boot("hub")?, site.boot("home")?);
        let [server, peer] = keys(&hub, &home)?;
        watched(site, &hub, "[vpn]\nclose = true\n")?;
        tunnel((&hub, &server), (&home, &peer))?;
        carries(&home)?;
        site.collector.rule(
            "[[keys.peers]]\ninterfaces = [\"wg0\"]\nevery = \"2s\"\nwarn_ahead = \"1s\"\n\
             deadline = \"1s\"\nmissed = \"revoke\"\n",
        )?;
        until("the policy has it taken away", OLD, || {
            let stands = hub.sh("wg show wg0 peers")?.contains(&peer);
            Ok((!stands).then_some(()))
        })?;
        ensure!(!reaches(&home)?, "it carries still");
        let text = run(site.collector.command()?.args(["receipt", &peer]))?;
        ensure!(text.contains("older than the policy allows"), "{text}");
        Ok(())
    })
}

/// An agent and an enforcer as they are shipped.
fn watched(site: &Site, hub: &Host, guard: &str) -> Result<()> {
    agent::start_unprivileged(hub, &site.network, &site.collector, "")?;
    enforcer::start_unprivileged(hub, guard)
}
