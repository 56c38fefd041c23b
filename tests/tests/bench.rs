//! The bench itself: hosts boot and reach each other, links are cut, mail arrives.

use std::process::Command;

use anyhow::Result;
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::mail::MailServer;
use watchward_tests::network::Network;
use watchward_tests::ready::scenario;
use watchward_tests::run::output;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

#[test]
fn two_hosts_boot_and_one_logs_in_to_the_other() -> Result<()> {
    scenario("two hosts boot and one logs in to the other", || {
        let network = Network::new()?;
        let (web, office) = (
            Host::boot(&network, "web")?,
            Host::boot(&network, "office")?,
        );
        ssh::add_user(&web, "alice", "correct")?;
        assert!(ssh::password(&office, &web, "alice", "correct")?);
        assert!(!ssh::password(&office, &web, "alice", "wrong")?);
        let fingerprint = ssh::add_key(&office, "alice", &web)?;
        assert!(ssh::key(&office, &web, "alice")?);

        let from = format!("from {}", office.address());
        let entry = until("the journal has the failed login", SOON, || {
            let entries = journal(&web)?;
            Ok(entries
                .into_iter()
                .find(|it| message(it).starts_with("Failed password for alice")))
        })?;
        assert!(message(&entry).contains(&from), "{entry}");
        assert_eq!(entry["_SYSTEMD_UNIT"], "ssh.service");
        assert_eq!(entry["_EXE"], "/usr/sbin/sshd");
        assert_eq!(entry["_UID"], "0");
        assert!(
            journal(&web)?
                .iter()
                .any(|it| message(it).contains(&fingerprint))
        );
        Ok(())
    })
}

#[test]
fn a_host_is_cut_off_and_powered_off_and_comes_back() -> Result<()> {
    scenario("a host is cut off and powered off and comes back", || {
        let network = Network::new()?;
        let web = Host::boot(&network, "web")?;
        let reach = format!("timeout 2 bash -c '</dev/tcp/{}/22'", web.address());
        let reached = || {
            anyhow::Ok(
                output(Command::new("bash").args(["-c", &reach]))?
                    .status
                    .success(),
            )
        };
        assert!(reached()?, "{} does not reach the host", network.outside());

        web.cut()?;
        assert!(!reached()?, "a cut host is reached");
        web.heal()?;
        until("the host is reached again", SOON, || {
            Ok(reached()?.then_some(()))
        })?;

        web.sh("echo kept > /root/note")?;
        let machine = web.sh("cat /etc/machine-id")?;
        web.power_off()?;
        assert!(web.sh("true").is_err(), "a host that is off runs nothing");
        web.power_on()?;
        assert_eq!(web.sh("cat /root/note")?, "kept\n");
        assert_eq!(web.sh("cat /etc/machine-id")?, machine);
        Ok(())
    })
}

#[test]
fn a_mail_server_takes_mail_and_can_be_down() -> Result<()> {
    scenario("a mail server takes mail and can be down", || {
        let network = Network::new()?;
        let server = MailServer::start(&network)?;
        let sender = Host::boot(&network, "sender")?;
        sender.write("/root/ca.pem", server.certificate().as_bytes(), 0o644)?;
        let send = format!(
            "{{ for line in 'EHLO sender' 'MAIL FROM:<a@b.test>' 'RCPT TO:<on-call@c.test>' DATA \
             'Subject: it works' '' 'all is well' . QUIT; do sleep 0.2; printf '%s\\r\\n' \"$line\"; \
             done; }} | openssl s_client -quiet -starttls smtp -verify_return_error \
             -CAfile ca.pem -verify_ip {0} -connect {0}:25",
            server.address()
        );
        sender.sh(&send)?;
        let mails = until("the mail is delivered", SOON, || {
            let mails = server.delivered()?;
            Ok((!mails.is_empty()).then_some(mails))
        })?;
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].subject(), "it works");
        assert!(mails[0].text().contains("all is well"));
        server.down()?;
        assert!(!sender.try_sh(&send)?);
        server.up()?;
        until("the server takes mail again", SOON, || {
            Ok(sender.try_sh(&send)?.then_some(()))
        })
    })
}

fn journal(host: &Host) -> Result<Vec<Value>> {
    let lines = host.sh("journalctl -u ssh -o json --no-pager")?;
    lines
        .lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

fn message(entry: &Value) -> &str {
    entry["MESSAGE"].as_str().unwrap_or_default()
}

#[test]
fn an_attack_makes_as_many_tries_as_it_says() -> Result<()> {
    scenario("an attack makes as many tries as it says", || {
        let network = Network::new()?;
        let (web, office) = (
            Host::boot(&network, "web")?,
            Host::boot(&network, "office")?,
        );
        ssh::allow_many_tries(&web)?;
        let attack = ssh::Attack {
            users: 2,
            connections: 2,
            tries: 3,
        };
        let mut attack = attack.begin(&office, &web)?;
        until("the attack is over", SOON * 4, || {
            Ok(attack.ended()?.then_some(()))
        })?;
        let tries = journal(&web)?;
        let tries = tries
            .iter()
            .filter(|it| message(it).starts_with("Failed password for invalid"));
        assert_eq!(tries.count(), 12);
        Ok(())
    })
}
