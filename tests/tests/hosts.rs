//! Room `hosts`: a host falls silent and comes back; tokens and certificates open what they are for.

use anyhow::Result;
use watchward_tests::agent;
use watchward_tests::site::play;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

const SOON_SILENT: &str = "hosts.silent_after = '8s'";

#[test]
fn a_host_that_is_powered_off_is_silent_until_it_is_back() -> Result<()> {
    play("a host is powered off", SOON_SILENT, |site| {
        let web = site.watched("web", "")?;
        web.power_off()?;
        site.hosts_until("the host is silent", |hosts| hosts[0]["state"] == "silent")?;
        site.told_until("people know", |told| told.of(&["web"]) == (1, 1))?;
        web.power_on()?;
        site.hosts_until("the host is heard again", |hosts| {
            hosts[0]["state"] == "heard"
        })?;
        let told = site.told_until("people know it is over", |told| told.of(&["web"]) == (2, 2))?;
        assert_eq!(told.mails.len(), 2, "{told:#?}");
        Ok(())
    })
}

#[test]
fn a_token_enrols_one_host_once() -> Result<()> {
    play("tokens", "", |site| {
        let web = site.boot("web")?;
        agent::install(&web, &site.network, "")?;
        let forget = "rm -f /var/lib/watchward-agent/identity.json";

        let token = site.collector.token("web")?;
        let other = agent::enrol(&web, &token, Some("db"));
        assert!(other.is_err(), "a token for web enrolled db");
        agent::enrol(&web, &token, None)?;
        web.sh(forget)?;
        assert!(
            agent::enrol(&web, &token, None).is_err(),
            "a token was used twice"
        );

        let made = site
            .collector
            .ask(&["token", "create", "web", "--life", "1s"])?;
        let expired = made["token"].as_str().unwrap_or_default().to_owned();
        web.sh("sleep 2")?; // The life of the token, and a second.
        assert!(
            agent::enrol(&web, &expired, None).is_err(),
            "an expired token enrolled a host"
        );
        assert!(agent::enrol(&web, "not-a-token", None).is_err());
        Ok(())
    })
}

#[test]
fn a_token_used_in_parallel_enrols_one_host() -> Result<()> {
    play("a token in parallel", "", |site| {
        let web = site.boot("web")?;
        agent::install(&web, &site.network, "")?;
        let token = site.collector.token("web")?;
        let enrolled = web.sh(&format!(
            "for n in 1 2 3 4 5 6; do
                 sed \"s|^\\[uplink\\]|[hosts]\\nidentity = '/root/identity$n.json'\\n[uplink]|\" \
                     /etc/watchward/agent.toml > agent$n.toml
                 watchward-agent enroll --config agent$n.toml '{token}' > /dev/null 2>> refusals &
             done
             wait
             ls | grep -c '^identity' || true; cat refusals >&2"
        ))?;
        assert_eq!(enrolled.trim(), "1");
        Ok(())
    })
}

#[test]
fn a_host_speaks_for_itself_alone_and_not_once_revoked() -> Result<()> {
    play("revocation", SOON_SILENT, |site| {
        let (web, db) = (site.watched("web", "")?, site.watched("db", "")?);
        let office = site.boot("office")?;

        // It calls itself db, in every way that a host can.
        web.sh("hostname db; echo db > /etc/hostname; systemctl restart watchward-agent")?;
        assert!(!ssh::password(&office, &web, "liar", "wrong")?);
        let events = site.access_until("it", &["--user", "liar"], |seen| !seen.is_empty())?;
        assert!(
            events.iter().all(|event| event["host"] == "web"),
            "{events:#?}"
        );

        site.collector.ask(&["hosts", "revoke", "web", "--yes"])?;
        assert!(!ssh::password(&office, &web, "revoked", "wrong")?);
        assert!(!ssh::password(&office, &db, "witness", "wrong")?);
        until("the stream is cut", SOON, || {
            let streams = "ss -Htn state established dport = :7443 | grep -q .";
            Ok((!web.try_sh(streams)?).then_some(()))
        })?;
        site.access_until("the other host", &["--user", "witness"], |seen| {
            !seen.is_empty()
        })?;
        web.sh("systemctl restart watchward-agent")?;
        assert!(!ssh::password(&office, &db, "later", "wrong")?);
        site.access_until("it still is", &["--user", "later"], |seen| !seen.is_empty())?;
        let again = site.collector.list(&["access", "--user", "revoked"])?;
        assert!(again.is_empty(), "a revoked host was heard: {again:#?}");
        Ok(())
    })
}
