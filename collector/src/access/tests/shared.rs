//! Two collectors on one PostgreSQL.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_burst_that_comes_to_two_collectors_at_once_is_seen() {
    for store in stores().await {
        // On SQLite there is one transaction at a time.
        if store.kind() == crate::store::Kind::Sqlite {
            continue;
        }
        let config = Config::default();
        let (mut one, mut two) = (store.begin().await.unwrap(), store.begin().await.unwrap());
        let (here, there) = (
            failures(1, 0, 5, "198.51.100.1"),
            failures(2, 0, 5, "198.51.100.1"),
        );
        absorb(&mut one, &here, (&config, nobody), at(5))
            .await
            .unwrap();
        let waits = async {
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            loop {
                let waiting: i64 = sqlx::query_scalar(waiting)
                    .fetch_one(store.read())
                    .await
                    .unwrap();
                if waiting > 0 {
                    break;
                }
            }
            one.commit().await.unwrap();
        };
        let (other, ()) = tokio::join!(absorb(&mut two, &there, (&config, nobody), at(5)), async {
            tokio::time::timeout(Duration::from_secs(30), waits)
                .await
                .expect("the second waits for the first");
        });
        other.unwrap();
        two.commit().await.unwrap();
        assert_eq!(incidents(&store).await.len(), 1);
    }
}
