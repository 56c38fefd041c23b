//! Hosts that refuse what this database does not know to be revoked, as after one was lost: people are
//! told, for it is refused nowhere else, until it is known here or somebody gives it up.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use watchward_protocol::hosts::HostId;
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use crate::alerting::{self, Alert, Severity};
use crate::keys::rows::lineage::{self, Stranger};
use crate::keys::rows::revoked;
use crate::store::Store;

/// The key of the incident.
const KEY: &str = "keys.unknown-revocations hosts";
/// So many hosts are named.
const NAMED: usize = 20;

/// Since when there are such hosts; none: not known yet.
#[derive(Debug, Default)]
pub(super) struct Strange {
    since: Option<Option<Timestamp>>,
    /// Hosts that were ordered everything once more, each once: what they say does no more than that.
    ordered: HashSet<HostId>,
    /// Whether this was made another database, which what hosts say does once.
    renewed: bool,
}

impl Strange {
    /// Tells of them, and says whether there was news.
    pub(super) async fn look(&mut self, store: &Store, now: Timestamp) -> sqlx::Result<bool> {
        if !self.renewed && lineage::renew(store, now).await? {
            self.renewed = true;
            tracing::warn!(
                "hosts have heard of more than this database knows: it is an older copy"
            );
        }
        let strangers = lineage::strangers(store).await?;
        if self.order_again(store, &strangers, now).await? {
            // What they say to that is waited for.
            return Ok(false);
        }
        if strangers.is_empty() {
            if self.since == Some(None) {
                return Ok(false);
            }
            let why = "No host refuses more than what this database knows, and was not given up.";
            let mut tx = store.begin().await?;
            alerting::resolve(&mut tx, KEY, why, now).await?;
            tx.commit().await?;
            self.since = Some(None);
            return Ok(true);
        }
        let since = self.since.flatten().unwrap_or(now);
        self.since = Some(Some(since));
        let alert = alert(&strangers, since);
        if alerting::is_held(store, &alert).await? {
            return Ok(false);
        }
        let mut tx = store.begin().await?;
        alerting::hold(&mut tx, &alert, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A host takes no order that is older than what it holds: where that came from another database,
    /// this one orders all of it once more; says whether it did.
    async fn order_again(
        &mut self,
        store: &Store,
        strangers: &[Stranger],
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let own = revoked::generation(store).await?;
        let last = u64::try_from(now.as_micros()).unwrap_or(0);
        let is_ahead = |it: &&Stranger| it.generation.is_some_and(|it| own <= it && it < last);
        let ahead = strangers.iter().filter(is_ahead).map(|it| it.host);
        let before = self.ordered.len();
        // Where nothing was ever ordered, hosts keep what they hold.
        self.ordered.extend(ahead.filter(|_| own > 0));
        if self.ordered.len() == before {
            return Ok(false);
        }
        let mut tx = store.begin().await?;
        revoked::next(&mut tx, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// What could be given up.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    hosts: Vec<ShownHost>,
    /// The databases: whoever gives them up says which they were shown.
    pub(super) lineages: Vec<String>,
}

/// A host, and how much it refuses so. Safe for a terminal.
#[derive(Debug, Serialize)]
struct ShownHost {
    host: String,
    count: i64,
}

pub(super) async fn shown(store: &Store) -> sqlx::Result<Shown> {
    let strangers = lineage::strangers(store).await?;
    let host = |one: &Stranger| ShownHost {
        host: escaped(&one.name),
        count: one.count,
    };
    let all = lineages(&strangers);
    Ok(Shown {
        hosts: strangers.iter().map(host).collect(),
        lineages: all.iter().map(u64::to_string).collect(),
    })
}

/// Of one host not so many that others' would have no room.
fn lineages(strangers: &[Stranger]) -> BTreeSet<u64> {
    let all = strangers.iter();
    all.flat_map(|it| it.lineages.iter().take(4).copied())
        .collect()
}

/// What was given up, and what was not.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct GivenUp {
    /// The hosts that refused what was given up.
    pub(super) hosts: Vec<String>,
    /// Those that refuse what was not shown.
    pub(super) since: Vec<String>,
}

/// Has hosts refuse what was shown no more: what turned up since then, which a host can make up at any
/// time, stays as it is.
pub(super) async fn give_up(
    store: &Store,
    shown: &[String],
    (by, reason): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<GivenUp> {
    let strangers = lineage::strangers(store).await?;
    let shown: BTreeSet<u64> = shown.iter().filter_map(|it| it.parse().ok()).collect();
    let (mut given_up, mut lineages) = (GivenUp::default(), BTreeSet::new());
    for one in &strangers {
        let all = one.lineages.iter().copied();
        let (those, others): (Vec<u64>, Vec<u64>) = all.partition(|it| shown.contains(it));
        if !those.is_empty() {
            given_up.hosts.push(escaped(&one.name));
        }
        if !others.is_empty() {
            given_up.since.push(escaped(&one.name));
        }
        lineages.extend(those);
    }
    if lineages.is_empty() {
        return Ok(given_up);
    }
    let mut tx = store.begin().await?;
    revoked::next(&mut tx, now).await?;
    for lineage in lineages {
        lineage::give_up(&mut tx, lineage, (by, reason), now).await?;
    }
    tx.commit().await?;
    Ok(given_up)
}

fn alert(strangers: &[Stranger], since: Timestamp) -> Alert {
    let count = strangers.len();
    let title = match count {
        1 => "1 host refuses keys of which this database knows nothing".to_owned(),
        _ => format!("{count} hosts refuse keys of which this database knows nothing"),
    };
    let line = |one: &Stranger| {
        let name = Foreign::from(one.name.as_str());
        format!("{}: {}", escaped(&name.to_string()), one.count)
    };
    let mut lines: Vec<_> = strangers.iter().take(NAMED).map(line).collect();
    if count > NAMED {
        lines.push(format!("and {} more", count - NAMED));
    }
    Alert {
        key: KEY.to_owned(),
        severity: Severity::Warning,
        host: None,
        title,
        detail: format!(
            "They were revoked by another database of a collector, which was lost or is an older copy. \
             These hosts go on refusing them, and others do not. How many, by host:\n{}",
            lines.join("\n")
        ),
        advice: "Put the database back from a backup, or revoke them again: `ssh-keygen -Q -l -f \
                 /etc/ssh/watchward/now/revoked_keys` lists them on a host. If they may open something: \
                 `watchward keys give-up`."
            .to_owned(),
        since,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use watchward_protocol::instruments::Holding;
    use watchward_protocol::order::Order;

    use super::*;
    use crate::alerting::testing::{is_of_a_known_kind, raised, told};
    use crate::intake::{Host, Refusing};
    use crate::keys::SCHEMA;
    use crate::keys::revocation::Revocations;
    use crate::keys::rows::reached;
    use crate::store::testing;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    /// Of a database that is lost.
    const LOST: u64 = 7;

    async fn says(store: &Store, generation: u64, lineages: &[u64], (revoked, kept): (u32, u32)) {
        let host = Host {
            id: HostId::from_bytes([1; 16]),
            name: "web-1".into(),
        };
        let holding = Holding {
            generation: Some(generation),
            lineages: lineages.to_vec(),
            revoked,
            kept,
            ..Holding::default()
        };
        let mut tx = store.begin().await.unwrap();
        reached::holding(&mut tx, &host, &holding, NOON)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Something is ordered, as by the first line of ours.
    async fn order(store: &Store, now: Timestamp) -> u64 {
        let mut tx = store.begin().await.unwrap();
        let generation = revoked::next(&mut tx, now).await.unwrap();
        tx.commit().await.unwrap();
        generation
    }

    async fn held(store: &Store) -> Option<u64> {
        let all = reached::holdings(store).await.unwrap();
        all.get("web-1").and_then(|it| it.generation)
    }

    /// Of which databases hosts are ordered all.
    fn lineages(refusing: &Refusing) -> Vec<u64> {
        match refusing.refuse.now().order("web-1") {
            Some(Order::Instruments(all)) => all.lineages.clone(),
            _ => Vec::new(),
        }
    }

    #[tokio::test]
    async fn of_a_lost_database_people_are_told_until_it_is_given_up() {
        for store in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            let (revocations, refusing) = Revocations::open(&store).await.unwrap();
            let own = lineage::known(store.read()).await.unwrap()[0];
            assert!(own != 0 && own != LOST);
            let mut strange = Strange::default();
            let mut look = async |seconds| {
                let now = NOON + Duration::from_secs(seconds);
                strange.look(&store, now).await.unwrap();
                let details = raised(&store).await.into_iter().map(|it| it.detail);
                details.collect::<Vec<_>>()
            };
            says(&store, 0, &[own], (2, 0)).await;
            assert!(look(0).await.is_empty(), "it holds what this one ordered");

            // Before anything is ordered, and after it.
            says(&store, 99, &[LOST], (2, 0)).await;
            assert_eq!(
                held(&store).await,
                None,
                "the order of another counts for none"
            );
            assert!(look(1).await[0].ends_with("web-1: 2"));
            let alert = raised(&store).await.remove(0);
            assert!(is_of_a_known_kind(&alert.key));
            assert!(told(&alert).iter().all(|it| it.contains("1 host refuses")));
            let generation = order(&store, NOON).await;
            revocations.look(&store, NOON).await.unwrap();
            assert_eq!(lineages(&refusing), [own]);
            says(&store, generation, &[own, LOST], (5, 2)).await;
            assert_eq!(held(&store).await, Some(generation));
            assert!(look(2).await[0].ends_with("web-1: 2"));

            let why = ("ada", "nothing of it matters");
            let all = shown(&store).await.unwrap().lineages;
            assert_eq!(all, [LOST.to_string()]);
            // Another one came since somebody looked.
            says(&store, generation, &[own, LOST, LOST + 1], (5, 2)).await;
            let given_up = give_up(&store, &all, why, NOON).await.unwrap();
            assert_eq!(given_up.hosts, ["web-1"]);
            assert_eq!(given_up.since, ["web-1"], "a host vetoes nothing");
            assert_eq!(lineage::known(store.read()).await.unwrap(), [own, LOST]);
            revocations.look(&store, NOON).await.unwrap();
            assert_eq!(lineages(&refusing), [own, LOST]);
            assert!(refusing.refuse.now().generation() > generation);
            says(&store, generation + 1, &[own], (3, 0)).await;
            assert!(look(3).await.is_empty());
            let nothing = give_up(&store, &all, why, NOON).await.unwrap();
            assert_eq!(nothing, GivenUp::default());
            let (_, again) = Revocations::open(&store).await.unwrap();
            assert_eq!(lineages(&again), [own, LOST], "also after a start");
        }
    }

    #[tokio::test]
    async fn an_older_copy_of_a_database_is_another_one() {
        for store in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            lineage::begin(&store).await.unwrap();
            let known = async || lineage::known(store.read()).await.unwrap();
            let own = known().await[0];
            let minutes = |it: u64| NOON - Duration::from_secs(60 * it);
            let old = order(&store, minutes(9)).await;
            let mut strange = Strange::default();
            says(&store, old, &[own], (1, 0)).await;
            strange.look(&store, NOON).await.unwrap();
            assert_eq!(known().await, [own], "it knows what hosts have heard");

            let newer = u64::try_from(minutes(5).as_micros()).unwrap();
            says(&store, newer, &[own], (2, 0)).await;
            strange.look(&store, NOON).await.unwrap();
            let other = known().await;
            assert!(other.len() == 1 && other[0] != own, "{other:?}");
            assert!(revoked::generation(&store).await.unwrap() > newer);
            assert!(
                raised(&store).await[0].detail.ends_with("web-1: 2"),
                "and it is told of"
            );
            let last = revoked::generation(&store).await.unwrap() + 1;
            says(&store, last, &other, (2, 0)).await;
            let later = NOON + Duration::from_secs(9);
            strange.look(&store, later).await.unwrap();
            assert_eq!(known().await, other, "once");
        }
    }

    #[tokio::test]
    async fn a_host_that_holds_a_newer_order_of_another_database_is_ordered_all_once_more() {
        for store in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            lineage::begin(&store).await.unwrap();
            let generation = || async { revoked::generation(&store).await.unwrap() };
            let mut strange = Strange::default();
            let newer = u64::try_from(NOON.as_micros()).unwrap() - 5;
            says(&store, newer, &[LOST], (1, 0)).await;
            strange.look(&store, NOON).await.unwrap();
            assert_eq!(generation().await, 0, "nothing was ever ordered");
            let old = order(&store, NOON - Duration::from_secs(60)).await;
            assert!(old < newer);
            strange.look(&store, NOON).await.unwrap();
            let now = generation().await;
            assert!(now > newer);
            says(&store, now + 1, &[LOST], (1, 0)).await;
            strange
                .look(&store, NOON + Duration::from_secs(9))
                .await
                .unwrap();
            assert_eq!(generation().await, now, "a host has that done once");
        }
    }
}
