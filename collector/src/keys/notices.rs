//! What of a policy about keys cannot work for now, or is a mistake: for whoever is about to bring it.

use std::collections::HashMap;

use watchward_protocol::text::{Foreign, escaped};

use super::authority::Login;
use super::policy::Policy;
use super::retire::few;
use super::rotation::Machine;
use super::rows::reached::{self, Holding};
use super::rows::revoked;
use crate::policy::Members;
use crate::store::Store;

/// What is worth a word, if `after` takes the place of `before` on these hosts. Safe for a terminal.
///
/// # Errors
/// The database's.
pub async fn notices(
    store: &Store,
    (before, after): (&Policy, &Policy),
    hosts: &[String],
) -> sqlx::Result<Vec<String>> {
    let holdings = reached::holdings(store).await?;
    let mut notices = Vec::new();
    for machine in &after.machines {
        notices.extend(moved(machine, before));
        let name = format!("the machine key {}", machine.name());
        if !hosts.contains(&machine.client) {
            let client = Foreign::from(machine.client.as_str()).shortened(60);
            notices.push(format!(
                "{name} waits: no host is watched that is called {client}"
            ));
        }
        notices.extend(idle(&name, &machine.groups, hosts));
    }
    for login in &after.logins {
        notices.extend(idle(&words(login), &login.groups, hosts));
    }
    notices.extend(mute(after, hosts, &holdings));
    let revoked = revoked::marks(store).await?;
    for key in &after.break_glass {
        let mut canaries = after.canaries.iter();
        if let Some(canary) = canaries.find(|it| it.fingerprint == key.fingerprint) {
            notices.push(format!(
                "the break-glass key {} is the canary key {} too, which nobody has a reason to use",
                key.name(),
                canary.name()
            ));
        }
        if let Some(mark) = revoked.get(key.fingerprint.as_str()) {
            notices.push(format!(
                "the break-glass key {} is revoked since {} by {}: it opens nothing until it is \
                 reinstated",
                key.name(),
                mark.at,
                escaped(&mark.by)
            ));
        }
    }
    Ok(notices)
}

/// A machine's key that would be another client's: it stays the first one's.
fn moved(machine: &Machine, before: &Policy) -> Option<String> {
    let mut all = before.machines.iter();
    let was = all.find(|it| it.name() == machine.name() && it.client != machine.client)?;
    Some(format!(
        "the machine key {} stays that of {}: give the one of {} another name",
        machine.name(),
        Foreign::from(was.client.as_str()).shortened(60),
        Foreign::from(machine.client.as_str()).shortened(60)
    ))
}

/// What is about none of these hosts: its groups may have names to come, or mistakes.
fn idle(what: &str, groups: &Members, hosts: &[String]) -> Option<String> {
    let is_idle = !hosts.iter().any(|host| groups.has(host));
    is_idle.then(|| format!("{what} is about no host that is watched now"))
}

fn words(login: &Login) -> String {
    let accounts: Vec<_> = login.accounts().collect();
    format!("the table [[keys.logins]] for {}", accounts.join(", "))
}

/// Hosts on which accounts are to be opened, and where nothing does.
fn mute(policy: &Policy, hosts: &[String], holdings: &HashMap<String, Holding>) -> Option<String> {
    let logins = policy.logins.iter().map(|it| &it.groups);
    let machines = policy.machines.iter().map(|it| &it.groups);
    let groups: Vec<_> = logins.chain(machines).collect();
    let is_opened = |host: &&String| groups.iter().any(|it| it.has(host));
    let is_mute = |host: &&String| holdings.get(*host).is_some_and(|it| !it.has_role);
    let mute = hosts.iter().filter(is_opened).filter(is_mute);
    let mute: Vec<_> = mute.map(|host| escaped(host)).collect();
    (!mute.is_empty()).then(|| {
        format!(
            "on {} nothing tells sshd which keys open accounts: install watchward-enforcer there",
            few(&mute)
        )
    })
}

#[cfg(test)]
mod tests {
    use watchward_protocol::hosts::HostId;
    use watchward_protocol::instruments;
    use watchward_protocol::time::Timestamp;

    use super::*;
    use crate::intake::Host;
    use crate::keys::SCHEMA;
    use crate::keys::proof::Revoked;
    use crate::policy::{Groups, Networks};
    use crate::store::testing;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn policy(text: &str) -> Policy {
        let mut policy: Policy = toml::from_str(text).unwrap();
        policy
            .join(&Groups::default(), &Networks::default())
            .unwrap();
        policy
    }

    fn backup(client: &str) -> Policy {
        policy(&format!(
            "[[machines]]\nname = \"backup\"\nclient = \"{client}\"\nuser = \"backup\"\n\
             groups = [\"all\"]\naccounts = [\"store\"]\n"
        ))
    }

    async fn said(store: &Store, before: &Policy, after: &Policy) -> Vec<String> {
        let hosts = ["web".to_owned(), "db".to_owned()];
        notices(store, (before, after), &hosts).await.unwrap()
    }

    #[tokio::test]
    async fn what_cannot_work_is_said_and_what_does_is_not() {
        for store in testing::stores(&[SCHEMA]).await {
            let none = Policy::default();
            assert_eq!(said(&store, &none, &backup("db")).await, [""; 0]);
            let unknown = "the machine key backup waits: no host is watched that is called nosuch";
            assert_eq!(said(&store, &none, &backup("nosuch")).await, [unknown]);
            let moved = "the machine key backup stays that of db: give the one of web another name";
            assert_eq!(said(&store, &backup("db"), &backup("web")).await, [moved]);

            let web = Host {
                id: HostId::from_bytes([1; 16]),
                name: "web".to_owned(),
            };
            let holding = instruments::Holding {
                trouble: Some(instruments::Holding::NOBODY.to_owned()),
                ..Default::default()
            };
            let mut tx = store.begin().await.unwrap();
            reached::holding(&mut tx, &web, &holding, NOW)
                .await
                .unwrap();
            let generation = revoked::next(&mut tx, NOW).await.unwrap();
            let fingerprint = format!("SHA256:{}", "a".repeat(43));
            let key = Revoked {
                fingerprint: fingerprint.clone(),
                kind: "ssh-ed25519".into(),
                wire: Vec::new(),
                reason: "lost".into(),
                author: "ada".into(),
                at: NOW,
                comment: String::new(),
                person: String::new(),
                generation,
            };
            revoked::revoke(&mut tx, &key).await.unwrap();
            tx.commit().await.unwrap();
            let mute = "on web nothing tells sshd which keys open accounts: install \
                watchward-enforcer there";
            assert_eq!(said(&store, &none, &backup("db")).await, [mute]);
            let key = format!("fingerprint = \"{fingerprint}\"\nname");
            let safe = policy(&format!(
                "[[break_glass]]\n{key} = \"safe\"\n[[canaries]]\n{key} = \"laptop\"\n"
            ));
            let [canary, told] = &said(&store, &none, &safe).await[..] else {
                panic!("two");
            };
            let both = "the break-glass key safe is the canary key laptop too";
            assert!(canary.starts_with(both), "{canary}");
            assert!(
                told.starts_with("the break-glass key safe is revoked since"),
                "{told}"
            );
        }
    }
}
