//! A server that cannot do what it is told holds a rotation up; that is said, and once it is mended the
//! rotation ends.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until_seen};

use super::ground::{Ground, policy};

#[test]
fn a_full_disk_and_a_broken_configuration_hold_it_up_until_they_are_mended() -> Result<()> {
    play("a rotation on hosts in trouble", "", |site| {
        let ground = Ground::new(site)?;
        let (web, shop) = (ground.web()?, ground.shop()?);
        web.sh("systemctl stop watchward-enforcer-keys
            mount -t tmpfs -o size=256k,mode=711 watchward-test /etc/ssh/watchward
            systemctl start watchward-enforcer-keys")?;
        site.collector.rule(&policy(site, &["backup".to_owned()]))?;
        ground.until_idle(1)?;
        let logins = ground.logins(&["backup".to_owned()])?;
        web.sh("dd if=/dev/zero of=/etc/ssh/watchward/filler bs=1k 2>/dev/null || true")?;
        shop.sh("echo Nonsense yes > /etc/ssh/sshd_config.d/z.conf")?;
        ground.begin()?;
        for (host, why) in [
            ("web", "No space left"),
            ("shop", "sshd's configuration has an error"),
        ] {
            until_seen(
                why,
                SOON * 2,
                || site.collector.incidents(),
                |all| {
                    all.iter().any(|it| {
                        let detail = it["detail"].as_str().unwrap_or_default();
                        it["host"] == host && it["state"] == "open" && detail.contains(why)
                    })
                },
            )
            .with_context(|| ground.why())?;
        }
        ensure!(ground.shown()?["phase"] == "adding", "{}", ground.why());
        web.sh("rm /etc/ssh/watchward/filler")?;
        shop.sh("rm /etc/ssh/sshd_config.d/z.conf")?;
        ground.until_idle(2)?;
        ground.always_worked(logins)?;
        ground.has_one_way_in(2)?;
        let is_unheld = |it: &&Value| it["key"].to_string().contains("keys.unheld");
        site.incidents_until("their end", |all| {
            let mut unheld = all.iter().filter(is_unheld);
            unheld.all(|it| it["state"] != "open")
        })
    })
}
