//! Room `access`: who comes in by OpenVPN, and who does not, and why.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use watchward_tests::host::Host;
use watchward_tests::site::{Site, play};
use watchward_tests::vpn;

const UDP: &str = "1194 udp";
const TCP: &str = "1195 tcp-client";

#[test]
fn clients_of_a_vpn_are_seen_with_name_address_and_reason() -> Result<()> {
    play("clients of a VPN", "", |site| {
        let gate = site.boot("gate")?;
        vpn::serve(&gate)?;
        let settings = "[access]\nopenvpn_logs = [\"/var/log/openvpn/door.log\"]\n";
        site.watch(&gate, settings)?;
        let office = site.boot("office")?;
        for who in ["ada", "bob", "eve"] {
            vpn::equip(&gate, &office, who)?;
        }

        vpn::connect(&gate, &office, "ada", UDP, None)?;
        let event = once(site, &office, "connected")?;
        said(&event, "ada", "success");
        assert_eq!(event["certificate_id"], "ada");
        assert_eq!(event["trust"], "server");
        let inside = event["tunnel_v4"].as_str().context("no tunnel address")?;
        assert!(inside.starts_with(vpn::INSIDE), "{event:#}");
        vpn::disconnect(&office)?;
        let closed = site.access_until("its end", &["--tunnel", inside], |seen| {
            seen.iter().any(|it| it["action"] == "session-closed")
        })?;
        let ends = closed.iter().filter(|it| it["action"] == "session-closed");
        assert_eq!(ends.count(), 1, "{closed:#?}");

        vpn::connect(&gate, &office, "bob", UDP, None)?;
        said(
            &once(site, &office, "certificate-revoked")?,
            "bob",
            "failure",
        );
        vpn::disconnect(&office)?;

        vpn::connect(&gate, &office, "eve", UDP, None)?;
        let event = once(site, &office, "unknown-authority")?;
        said(&event, "ada", "failure");
        assert_eq!(event["user_known"], false, "anybody can call themselves so");
        vpn::disconnect(&office)?;

        // This server writes a log of its own.
        vpn::connect(&gate, &office, "ada", TCP, Some("wrong"))?;
        let event = once(site, &office, "wrong-password")?;
        assert_eq!(
            (&event["outcome"], &event["method"]),
            (&json!("failure"), &json!("password"))
        );
        vpn::disconnect(&office)?;
        vpn::connect(&gate, &office, "ada", TCP, Some("correct"))?;
        let in_twice = site.access_until(
            "both",
            &["--service", "openvpn", "--outcome", "success"],
            |seen| tries(seen, "connected").len() == 2,
        )?;
        let second = &tries(&in_twice, "connected")[1];
        said(second, "ada", "success");
        assert_eq!(second["trust"], "text");

        let all = site.access_until("all", &["--service", "openvpn"], |_| true)?;
        let strange: Vec<_> = all
            .iter()
            .filter(|it| it["form"] == "unrecognised")
            .collect();
        assert!(strange.is_empty(), "{strange:#?}");
        Ok(())
    })
}

/// The try with this reason, which must be the only one.
fn once(site: &Site, from: &Host, form: &str) -> Result<Value> {
    let query = [
        "--service",
        "openvpn",
        "--address",
        &from.address().to_string(),
    ];
    let seen = site.access_until(form, &query, |seen| !tries(seen, form).is_empty())?;
    match &tries(&seen, form)[..] {
        [one] => Ok((*one).clone()),
        _ => anyhow::bail!("not once: {seen:#?}"),
    }
}

fn tries(events: &[Value], form: &str) -> Vec<Value> {
    let wanted = events
        .iter()
        .filter(|it| it["form"] == form && it["attempt"] == true);
    wanted.cloned().collect()
}

fn said(event: &Value, user: &str, outcome: &str) {
    assert_eq!(
        (&event["user"], &event["outcome"]),
        (&json!(user), &json!(outcome)),
        "{event:#}"
    );
    assert_eq!(event["host"], "gate");
    assert!(event["port"].is_u64(), "{event:#}");
}
