//! How much waits on a host: kept as it was last said, and in which life of its spool.

use watchward_protocol::record::{Backlog, Epoch};

use super::*;
use crate::intake::Behind;

impl Room {
    async fn say_behind(&self, records: u64, oldest: u64, now: Timestamp) {
        let behind = Behind {
            host: self.only_host().await,
            epoch: Epoch(u64::MAX - 1),
            backlog: Backlog {
                records,
                oldest: Duration::from_secs(oldest),
            },
        };
        let mut tx = self.store.begin().await.unwrap();
        self.hosts.behind(&mut tx, &[behind], now).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// How many records wait, and since when.
    async fn waiting(&self) -> (Option<i64>, Option<i64>) {
        let hosts = rows::hosts(&self.store, None).await.unwrap();
        (hosts[0].behind, hosts[0].behind_since)
    }
}

#[tokio::test]
async fn what_waits_on_a_host_is_what_it_said_last() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        assert_eq!(room.waiting().await, (None, None));
        room.say_behind(0, 0, at(1)).await;
        assert_eq!(room.waiting().await, (Some(0), None));
        room.say_behind(1204, 180, at(200)).await;
        assert_eq!(room.waiting().await, (Some(1204), Some(at(20).as_micros())));
        room.say_behind(1204, 190, at(230)).await;
        assert_eq!(room.waiting().await, (Some(1204), Some(at(40).as_micros())));
        room.say_behind(0, 0, at(240)).await;
        assert_eq!(room.waiting().await, (Some(0), None));
        let hosts = rows::hosts(&room.store, None).await.unwrap();
        assert_eq!(hosts[0].epoch.as_deref(), Some("fffffffffffffffe"));
    }
}
