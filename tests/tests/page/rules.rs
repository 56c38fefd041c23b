//! A policy and bans on the stage, with what hosts say of both.

use std::fs;

use anyhow::Result;
use watchward_collector::intake::Host;
use watchward_collector::restriction;
use watchward_daemon::clock;
use watchward_protocol::restriction::{
    GateHeld, Holding, Mode, News, Phase, Restriction, Veto, Vetoed,
};

use super::site::Site;

const RULES: &str = r#"
[groups]
web = ["web-*"]
[networks]
office = ["192.0.2.0/24", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:0/112"]
"a-network-with-a-rather-long-name.example.org" = ["198.51.100.0/25"]
[[restriction.rules]]
groups = ["all"]
services = ["ssh"]
from = ["office", "a-network-with-a-rather-long-name.example.org"]
mode = "enforce"
[[restriction.exceptions]]
groups = ["web"]
services = ["ssh"]
from = ["office"]
until = "2999-12-31"
reason = "the yearly audit"
"#;

impl Site {
    /// A policy with long words, bans, and what hosts say of both.
    pub(crate) async fn rules(&self, hosts: &[&Host]) -> Result<()> {
        let file = self.folder.path().join("new.toml");
        fs::write(&file, RULES)?;
        let (file, note) = (
            file.display().to_string(),
            "after the audit: the office and the VPN",
        );
        self.ask(&[
            "policy",
            "apply",
            &file,
            "--yes",
            "--no-wait",
            "--note",
            note,
        ])?;
        let reason = "abuse report 2026-11-21/4711 of the provider, with a long reference";
        for net in ["203.0.113.77", "2001:db8:bad:beef::/64"] {
            self.ask(&["ban", "add", net, "--for", "7d", "--reason", reason])?;
        }
        let now = clock::now();
        for host in hosts {
            let holding = News::Holding(Holding {
                enforcer: Some("0.1.0".to_owned()),
                addresses: vec!["192.0.2.10".parse()?],
                phase: Phase::Refused,
                why: "the guard file is writable by others: nothing is done".to_owned(),
                gates: vec![GateHeld {
                    name: "ssh".to_owned(),
                    mode: Mode::Watch,
                    turned_away: 4711,
                    from: vec!["203.0.113.7".parse()?, "2001:db8:1:2::7".parse()?],
                }],
                bans: 2,
                vetoed: vec![Vetoed {
                    net: "203.0.113.77/32".parse()?,
                    why: Veto::Resolver,
                }],
                ..Holding::default()
            });
            let heard = [self.heard(
                host,
                now,
                Restriction {
                    at: now,
                    news: holding,
                },
            )];
            let rules = (
                &restriction::Policy::default(),
                &restriction::Config::default(),
            );
            let mut tx = self.store.begin().await?;
            restriction::hear(&mut tx, &heard, rules, now).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
