//! The policy: what it orders is run on hosts and ends with it; a mistake in it changes nothing.

use anyhow::{Result, ensure};
use serde_json::Value;
use watchward_tests::agent;
use watchward_tests::host::Host;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until, until_seen};

const SHOP: &[u8] = b"[Service]\nExecStart=/bin/sleep infinity\n";

const GROUPS: &str = "[groups]\nweb = [\"we*\"]\n";
const CHECK: &str = "
[health.web.systemd.shop]
unit = \"shop.service\"
interval = \"1s\"
failures = 2
";

#[test]
fn a_check_that_is_ordered_runs_until_it_is_ordered_no_more() -> Result<()> {
    play("a check is ordered", "", |site| {
        let web = site.boot("web")?;
        web.write("/etc/systemd/system/shop.service", SHOP, 0o644)?;
        web.sh("systemctl daemon-reload; systemctl start shop")?;
        site.watch(&web, "")?;
        let look = || site.collector.list(&["health"]);
        let shop = |all: &[Value]| -> Option<String> {
            let mut all = all.iter();
            let shop = all.find(|it| it["check"] == "systemd.shop")?;
            Some(shop["state"].as_str()?.to_owned())
        };

        site.collector.rule(&format!("{GROUPS}{CHECK}"))?;
        until_seen("the shop is checked", SOON, look, |all| {
            shop(all).as_deref() == Some("up")
        })?;
        web.sh("systemctl stop shop")?;
        site.told_until("the shop is down", |told| {
            told.of(&["web", "shop"]) == (1, 1)
        })?;

        site.collector.rule(GROUPS)?;
        until_seen("the check is forgotten", SOON, look, |all| {
            shop(all).is_none()
        })?;
        site.incidents_until("and what was open about it", |all| {
            all.iter().all(|one| !one["resolved_at"].is_null())
        })
    })
}

/// What the policy has every host check; the host has a word in it.
const ORDERED: &str = r#"
[health.all.tcp.ssh]
address = "127.0.0.1:22"
interval = "1s"
[health.all.tcp.own]
address = "127.0.0.1:1"
interval = "1s"
[health.all.command.load]
command = ["/usr/lib/nagios/plugins/check_load", "-w", "9999,9999,9999", "-c", "9999,9999,9999"]
interval = "1s"
[health.all.command.any]
command = ["/bin/echo", "obeyed"]
interval = "1s"
[health.all.command.link]
command = ["/opt/plugins/check_link"]
interval = "1s"
[health.all.command.lent]
command = ["/opt/plugins/lent/check_theirs"]
interval = "1s"
[health.all.command.words]
command = ["/opt/plugins/check_words", "a; touch /var/lib/watchward-agent/pwned\n$(touch /var/lib/watchward-agent/pwned)"]
interval = "1s"
[health.all.command.hangs]
command = ["/opt/plugins/check_hangs"]
interval = "10m"
timeout = "1s"
[health.all.command.counts]
command = ["/opt/plugins/check_words", "counted"]
directory = "/var/lib/watchward-agent"
interval = "1s"
"#;

/// What the host says itself.
const OWN: &str = "
[health.orders]
plugins = [\"/usr/lib/nagios/plugins\", \"/opt/plugins\"]
[health.tcp.own]
address = \"127.0.0.1:22\"
interval = \"1s\"
";

/// Says what it is told; leaves a mark in the agent's folder, when it runs there.
const WORDS: &[u8] =
    b"#!/bin/sh\n[ $(pwd) = / ] || echo ran >> ./ran\nprintf 'told %s\\n' \"$1\"\n";

/// Never ends, and neither does what it leaves: without its group, its parent, its environment.
const RUNS_AWAY: &[u8] = b"#!/bin/bash
(setsid env -i /bin/bash -c '(sleep 7654321 &)' > /dev/null 2>&1 &)
setsid sleep 7654321 &
sleep 7654321
";

const MARK: &str = "/var/lib/watchward-agent/ran";

#[test]
fn what_the_collector_orders_is_run_and_no_more() -> Result<()> {
    play("ordered checks", "", |site| {
        let web = site.boot("web")?;
        web.sh("mkdir -p /opt/plugins/lent; chmod 777 /opt/plugins/lent
                ln -s /bin/echo /opt/plugins/check_link")?;
        for (name, text) in [
            ("check_words", WORDS),
            ("check_hangs", RUNS_AWAY),
            ("lent/check_theirs", WORDS),
        ] {
            web.write(&format!("/opt/plugins/{name}"), text, 0o755)?;
        }
        agent::start_unprivileged(&web, &site.network, &site.collector, OWN)?;
        site.collector.rule(ORDERED)?;
        for (check, state, words) in [
            ("tcp.ssh", "up", "127.0.0.1:22 accepts connections"),
            ("tcp.own", "up", "127.0.0.1:22 accepts connections"),
            ("command.load", "up", "load average: "),
            ("command.any", "unknown", "is in none of the folders"),
            ("command.link", "unknown", "is in none of the folders"),
            ("command.lent", "unknown", "others than root may write"),
            ("command.words", "up", "told a; touch "),
            ("command.counts", "up", "told counted"),
            (
                "command.hangs",
                "unknown",
                "did not end within 1s and was killed",
            ),
        ] {
            site.check_until(check, state, words)?;
        }
        until("nothing is left of the plugin that hung", SOON, || {
            Ok((!web.try_sh("pgrep -f '[s]leep 7654321'")?).then_some(()))
        })?;
        ensure!(!web.try_sh("test -e /var/lib/watchward-agent/pwned")?);
        for (subject, words) in [
            ("tcp.own as ordered", "in this host's configuration"),
            ("command.any", "is in none of the folders"),
        ] {
            site.hosts_until("what is not run is told", |hosts| {
                let findings = hosts.iter().filter_map(|host| host["findings"].as_array());
                findings.flatten().any(|it| {
                    it["subject"] == format!("health: {subject}")
                        && it["state"] == "failing"
                        && it["detail"].to_string().contains(words)
                })
            })?;
        }
        an_order_holds_until_the_next(site, &web)
    })
}

/// It holds while the collector is away, also for an agent that is started again; and then no more.
fn an_order_holds_until_the_next(site: &Site, web: &Host) -> Result<()> {
    let ran = || Ok(web.try_sh(&format!("test -e {MARK}"))?.then_some(()));
    site.collector.kill()?;
    web.sh(&format!(
        "systemctl stop watchward-agent; rm {MARK}; systemctl start watchward-agent"
    ))?;
    until("what was ordered runs without a collector", SOON, ran)?;

    site.collector.start_again()?;
    site.collector
        .rule("[health.all.tcp.next]\naddress = \"127.0.0.1:22\"\ninterval = \"1s\"\n")?;
    site.check_until("tcp.next", "up", "accepts connections")?;
    let look = || site.collector.list(&["health"]);
    until_seen(
        "what is not ordered any more is forgotten",
        SOON,
        look,
        |all| {
            let mut left = all.iter().filter_map(|one| one["check"].as_str());
            left.all(|check| !check.starts_with("command.") && check != "tcp.ssh")
        },
    )?;
    web.sh(&format!("rm -f {MARK}"))?;
    let before = heard(site, "tcp.next")?;
    let look = || heard(site, "tcp.next");
    until_seen("the new order runs again", SOON, look, |now| now > &before)?;
    ensure!(
        !web.try_sh(&format!("test -e {MARK}"))?,
        "an order that is over is run"
    );
    Ok(())
}

/// When a check was last heard of, in microseconds.
fn heard(site: &Site, check: &str) -> Result<Option<i64>> {
    let all = site.collector.list(&["health"])?;
    let one = all.iter().find(|one| one["check"] == check);
    Ok(one.and_then(|one| one["last_at"].as_i64()))
}
