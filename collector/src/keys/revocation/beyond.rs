//! Revoked keys for which the order has no room: people are told which, for nothing has them refused.

use watchward_protocol::instruments::Instruments;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::order::left_out;
use crate::alerting::{self, Alert, Severity};
use crate::keys::rows::revoked;
use crate::store::Store;

/// The key of the incident.
const KEY: &str = "keys.left-out order";
/// So many of each sort are named.
const NAMED: usize = 20;

/// What was looked at last.
#[derive(Debug, Default)]
pub(super) struct Beyond {
    generation: Option<u64>,
    since: Option<Timestamp>,
}

impl Beyond {
    /// Tells of them, and says whether there was news.
    pub(super) async fn look(&mut self, store: &Store, now: Timestamp) -> sqlx::Result<bool> {
        if self.generation == Some(revoked::generation(store).await?) {
            return Ok(false);
        }
        let (generation, keys) = revoked::ordered(store).await?;
        let (peers, others) = left_out(&keys);
        let is_any = !peers.is_empty() || !others.is_empty();
        self.since = is_any.then(|| self.since.unwrap_or(now));
        let alert = self.since.map(|since| alert(&peers, &others, since));
        let mut tx = store.begin().await?;
        match &alert {
            Some(alert) => alerting::hold(&mut tx, alert, now).await?,
            None => {
                let why = "Hosts are ordered to refuse everything that is revoked.";
                alerting::resolve(&mut tx, KEY, why, now).await?;
            }
        }
        tx.commit().await?;
        self.generation = Some(generation);
        Ok(true)
    }
}

fn alert(peers: &[&str], others: &[&str], since: Timestamp) -> Alert {
    let count = peers.len() + others.len();
    let (keys, are) = match count {
        1 => ("key", "is"),
        _ => ("keys", "are"),
    };
    let mut lines = listed("Keys", others, Instruments::MOST_REVOKED);
    lines.extend(listed("Peers of WireGuard", peers, Instruments::MOST_PEERS));
    Alert {
        key: KEY.to_owned(),
        severity: Severity::Critical,
        host: None,
        title: format!("{count} revoked {keys} {are} refused nowhere: there is no room for more"),
        detail: lines.join("\n"),
        advice: "What people revoked has room before what the policy revokes by itself. `watchward keys \
                 reinstate` with a key that stands nowhere any more makes room. A host whose keys are many \
                 of these makes them up: look at it."
            .to_owned(),
        since,
    }
}

fn listed(what: &str, keys: &[&str], most: usize) -> Vec<String> {
    if keys.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{what}: hosts can be ordered to refuse {most}, and these are more. Left out:"
    )];
    lines.extend(keys.iter().take(NAMED).map(|it| escaped(it)));
    if keys.len() > NAMED {
        lines.push(format!("and {} more", keys.len() - NAMED));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alerting::testing::{is_of_a_known_kind, raised};
    use crate::keys::SCHEMA;
    use crate::store::testing;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    /// So many peers are revoked by the policy.
    async fn fill(store: &Store, count: usize) {
        let mut tx = store.begin().await.unwrap();
        revoked::next(&mut tx, NOON).await.unwrap();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 100001 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
            INSERT INTO keys_revoked (fingerprint, kind, wire, reason, author, at, cause) \
            SELECT CAST(i AS TEXT) || $2, 'wireguard', $3, '', 'policy', 1, 2 FROM n";
        let filled = sqlx::query(sql)
            .bind(i64::try_from(100_000 + count).unwrap())
            .bind("A".repeat(37) + "=")
            .bind(Vec::<u8>::new());
        filled.execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn what_has_no_room_is_told_until_it_has() {
        for store in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            let mut beyond = Beyond::default();
            fill(&store, Instruments::MOST_PEERS + 1).await;
            assert!(beyond.look(&store, NOON).await.unwrap());
            let alert = raised(&store).await.remove(0);
            assert!(is_of_a_known_kind(&alert.key));
            let first = format!("100001{}=", "A".repeat(37));
            assert!(alert.detail.ends_with(&first), "{}", alert.detail);
            assert!(!beyond.look(&store, NOON).await.unwrap());

            let mut tx = store.begin().await.unwrap();
            let later = NOON + Duration::from_secs(1);
            revoked::next(&mut tx, later).await.unwrap();
            let by = (first.as_str(), "ada");
            assert!(revoked::reinstate(&mut tx, by, later).await.unwrap());
            tx.commit().await.unwrap();
            beyond.look(&store, later).await.unwrap();
            assert!(raised(&store).await.is_empty());
        }
    }
}
