//! Hosts on which certificates do not open what the policy says: people are told for as long as it is so.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::HostId;
use watchward_protocol::instruments::Opens;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::alerting::{self, Alert, Bell, Severity};
use crate::intake::{Host, Watched};
use crate::keys::revocation::Inventory;
use crate::keys::rows::managed;
use crate::keys::rows::reached::{self, Holding};
use crate::store::Store;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(30);
/// So long a host may take to hold a line, or to say why it does not.
const GRACE: Duration = Duration::from_secs(300);

/// Looks who holds what, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    (store, inventory): (Store, Inventory),
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut doubts = Doubts::default();
    loop {
        let looked = doubts.look((&store, inventory), clock::now()).await;
        let what = "look what certificates open";
        if !bell.after(what, looked, (LOOK, &stop)).await {
            return Ok(());
        }
    }
}

/// Since when each host does not hold lines of ours; none: it holds them.
#[derive(Debug, Default)]
pub(super) struct Doubts(HashMap<HostId, Option<Timestamp>>);

impl Doubts {
    /// Tells of each host that does not hold its lines, and says whether there was news. One that is
    /// silent is told of by that.
    pub(super) async fn look(
        &mut self,
        (store, inventory): (&Store, Inventory),
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let lacks = lacks(store).await?;
        let mut news = false;
        for Watched { host, is_silent } in inventory(store).await? {
            let before = self.0.get(&host.id).copied();
            match lacks.get(&host.name) {
                Some(_) if is_silent => {}
                Some(lack) => {
                    let since = before.flatten().unwrap_or(now);
                    self.0.insert(host.id, Some(since));
                    let alert = alert(&host, lack, since);
                    if now.since(since) >= GRACE && !alerting::is_held(store, &alert).await? {
                        let mut tx = store.begin().await?;
                        alerting::hold(&mut tx, &alert, now).await?;
                        tx.commit().await?;
                        news = true;
                    }
                }
                None if before == Some(None) => {}
                // What was told before the collector's start ends, too.
                None => {
                    self.0.insert(host.id, None);
                    let why = "Certificates open there what the policy says.";
                    let mut tx = store.begin().await?;
                    alerting::resolve(&mut tx, &key(host.id), why, now).await?;
                    tx.commit().await?;
                    news = true;
                }
            }
        }
        Ok(news)
    }
}

/// What a host does not hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Lack {
    pub(in crate::keys) accounts: Vec<String>,
    pub(in crate::keys) why: String,
}

/// The hosts that do not hold the lines by which certificates open accounts there, by name.
pub(in crate::keys) async fn lacks(store: &Store) -> sqlx::Result<BTreeMap<String, Lack>> {
    let holdings = reached::holdings(store).await?;
    let mut lacks: BTreeMap<String, Lack> = BTreeMap::new();
    for one in managed::all(store).await? {
        if !matches!(one.line.opens, Opens::Authority { .. }) {
            continue;
        }
        let Some(why) = why(holdings.get(&one.host), one.generation) else {
            continue;
        };
        let accounts = Vec::new();
        let lack = lacks.entry(one.host).or_insert(Lack { accounts, why });
        if !lack.accounts.contains(&one.line.account) {
            lack.accounts.push(one.line.account);
        }
    }
    Ok(lacks)
}

/// Why a host does not hold a line of this generation, if so.
fn why(holding: Option<&Holding>, generation: u64) -> Option<String> {
    let nobody = "nothing there tells sshd: install watchward-enforcer, or add what `watchward \
        authority` prints to the file that TrustedUserCAKeys names";
    let Some(holding) = holding.filter(|it| it.has_role) else {
        return Some(nobody.to_owned());
    };
    let said = holding.trouble.as_ref().or(holding.unmanaged.as_ref());
    let holds = holding.generation.is_some_and(|held| held >= generation);
    match (said, holds) {
        (Some(said), _) => Some(said.clone()),
        (None, true) => None,
        (None, false) => Some("it was told, and does not hold them yet".to_owned()),
    }
}

fn key(host: HostId) -> String {
    format!("keys.unopened {host}")
}

fn alert(host: &Host, lack: &Lack, since: Timestamp) -> Alert {
    let name = Foreign::from(host.name.as_str()).shortened(40);
    Alert {
        key: key(host.id),
        severity: Severity::Warning,
        host: Some(host.name.clone()),
        title: format!("{name}: certificates do not open what the policy says"),
        detail: format!(
            "The policy has certificates of `watchward login` open {} there ([[keys.logins]]), and the \
             host does not hold that: {}.",
            lack.accounts.join(", "),
            lack.why
        ),
        advice:
            "Put right on the host what is named; it tries again by itself. [keys] accounts in its \
                 guard.toml says which accounts may be opened so."
                .to_owned(),
        since,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use watchward_protocol::instruments::{self, Managed};

    use super::*;
    use crate::alerting::testing::{is_of_a_known_kind, raised, told};
    use crate::keys::SCHEMA;
    use crate::store::testing;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn web() -> Host {
        Host {
            id: HostId::from_bytes([1; 16]),
            name: "web".into(),
        }
    }

    fn inventory(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
        let web = Watched {
            host: web(),
            is_silent: false,
        };
        Box::pin(async move { Ok(vec![web]) })
    }

    async fn says(store: &Store, unmanaged: Option<&str>, generation: u64) {
        let holding = instruments::Holding {
            at: NOON,
            generation: Some(generation),
            revoked: 0,
            digest: None,
            trouble: None,
            managed: 0,
            unmanaged: unmanaged.map(str::to_owned),
            ..instruments::Holding::default()
        };
        let mut tx = store.begin().await.unwrap();
        reached::holding(&mut tx, &web(), &holding, NOON)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn order(store: &Store) {
        let line = Managed {
            account: "deploy".into(),
            opens: Opens::Authority {
                key: b"\0\0\0\x0bssh-ed25519".to_vec(),
                principals: vec!["role:operator".into()],
            },
            from: Vec::new(),
            until: None,
            forwarding: true,
        };
        let wanted = BTreeMap::from([("web".to_owned(), vec![line])]);
        let mut tx = store.begin().await.unwrap();
        managed::replace(&mut tx, &wanted, 7).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_host_that_cannot_hold_its_lines_is_told_until_it_does() {
        for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            let (store, mut doubts) = (&*fresh, Doubts::default());
            order(store).await;
            let mut look = async |after: Duration| {
                doubts.look((store, inventory), NOON + after).await.unwrap();
                let all = raised(store).await;
                all.into_iter().map(|one| one.detail).collect::<Vec<_>>()
            };
            assert!(look(Duration::ZERO).await.is_empty(), "it may take a while");
            let [told_of] = &look(GRACE).await[..] else {
                panic!("one incident");
            };
            assert!(
                told_of.contains("open deploy there") && told_of.contains("watchward-enforcer")
            );
            says(store, Some("deploy may not be opened: see guard.toml"), 7).await;
            let [told_of] = &look(GRACE * 2).await[..] else {
                panic!("the same incident");
            };
            assert!(told_of.contains("see guard.toml"), "{told_of}");
            let alert = raised(store).await.remove(0);
            assert!(is_of_a_known_kind(&alert.key));
            assert!(told(&alert).iter().all(|it| it.contains("web")));
            says(store, None, 7).await;
            assert!(look(GRACE * 3).await.is_empty());
            says(store, None, 6).await;
            assert!(look(GRACE * 4).await.is_empty() && look(GRACE * 5).await.len() == 1);
        }
    }
}
