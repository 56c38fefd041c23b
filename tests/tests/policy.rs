//! The policy: what it orders is run on hosts and ends with it; a mistake in it changes nothing.

use anyhow::Result;
use serde_json::Value;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until_seen};

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
