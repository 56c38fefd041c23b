//! Tells people that somebody who knows a password tries codes of the second factor.

use futures_util::future::BoxFuture;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use crate::alerting::{self, Alert, Bell, Severity};
use crate::people;
use crate::store::{Store, Tx, timer};

/// Looks every few seconds, until told to stop.
///
/// # Errors
/// None.
pub(super) async fn run(store: Store, bell: Bell, stop: Stop) -> anyhow::Result<()> {
    timer::run(store, &[], act, move || bell.ring(), stop).await
}

fn act(tx: &mut Tx, now: Timestamp) -> BoxFuture<'_, sqlx::Result<usize>> {
    Box::pin(look(tx, now))
}

async fn look(tx: &mut Tx, now: Timestamp) -> sqlx::Result<usize> {
    for name in people::calm(tx, now).await? {
        let why = "No wrong code came for an hour.";
        alerting::resolve(tx, &key(&name), why, now).await?;
    }
    let found = people::guessed(tx, now).await?;
    for one in &found {
        let name = &one.name;
        let title = format!("people: somebody who knows the password of {name} tries codes");
        let alert = Alert {
            key: key(name),
            severity: Severity::Critical,
            host: None,
            title: alerting::cut(&title, 100),
            detail: format!(
                "{} wrong codes of the second factor came in a row, after the right password.",
                one.tries
            ),
            advice: format!(
                "If it was not {name}, the password is known: `watchward people reset {name}`; \
                 `watchward audit --who {name}` says from where."
            ),
            since: one.since,
        };
        alerting::raise(tx, &alert, now).await?;
    }
    Ok(found.len())
}

fn key(name: &str) -> String {
    format!("collector.codes {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    async fn wrong_codes(tx: &mut Tx, seconds: &[i64]) {
        for second in seconds {
            sqlx::query(
                "INSERT INTO people_event (at, event, account, name) \
                 VALUES ($1, 'gave a wrong code', 7, 'ada')",
            )
            .bind(second * 1_000_000)
            .execute(&mut **tx)
            .await
            .unwrap();
        }
    }

    async fn incidents(tx: &mut Tx) -> Vec<(String, bool)> {
        sqlx::query_as::<_, (String, i64)>(
            "SELECT key, CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END FROM alerting_incident",
        )
        .fetch_all(&mut **tx)
        .await
        .unwrap()
        .into_iter()
        .map(|(key, open)| (key, open != 0))
        .collect()
    }

    #[tokio::test]
    async fn who_tries_codes_after_the_password_is_told_of_until_it_is_calm() {
        for store in testing::stores(&[people::SCHEMA, alerting::SCHEMA]).await {
            let mut tx = store.begin().await.unwrap();
            wrong_codes(&mut tx, &[1, 2, 3, 4]).await;
            assert_eq!(look(&mut tx, at(5)).await.unwrap(), 0);
            wrong_codes(&mut tx, &[6]).await;
            assert_eq!(look(&mut tx, at(7)).await.unwrap(), 1);
            assert_eq!(look(&mut tx, at(8)).await.unwrap(), 0, "told once");
            let incident = |open| [("collector.codes ada".to_owned(), open)];
            assert_eq!(incidents(&mut tx).await, incident(true));
            assert_eq!(look(&mut tx, at(3000)).await.unwrap(), 0);
            assert_eq!(incidents(&mut tx).await, incident(true));
            assert_eq!(look(&mut tx, at(3700)).await.unwrap(), 0);
            assert_eq!(incidents(&mut tx).await, incident(false));
        }
    }
}
