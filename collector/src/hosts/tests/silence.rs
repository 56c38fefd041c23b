//! Who is silent: by the deadline, never before, and told once with its end.

use super::*;
use crate::alerting::testing::{over, raised, told};
use crate::store::Kind;

impl Room {
    async fn hear(&self, now: Timestamp) {
        let host = self.only_host().await;
        let mut tx = self.store.begin().await.unwrap();
        self.hosts.alive(&mut tx, &[host], now).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Whether the host's silence is an open incident.
    async fn silent(&self) -> bool {
        let open: i64 = sqlx::query_scalar("SELECT silent FROM host WHERE revoked_at IS NULL")
            .fetch_one(self.store.read())
            .await
            .unwrap();
        open != 0
    }

    /// Looks every five seconds, as it goes on; says when somebody fell silent.
    async fn look(&mut self, from: i64, to: i64) -> Option<i64> {
        for second in (from..=to).step_by(5) {
            if self.hosts.look(at(second)).await.unwrap() {
                return Some(second);
            }
        }
        None
    }
}

#[tokio::test]
async fn a_host_falls_silent_at_its_deadline_and_is_back_when_heard() {
    for mut room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        room.hear(at(30)).await;
        assert!(!room.hosts.look(at(90)).await.unwrap());
        assert!(room.hosts.look(at(91)).await.unwrap());
        assert!(!room.hosts.look(at(92)).await.unwrap(), "it was told twice");
        assert!(room.silent().await);
        room.hear(at(100)).await;
        assert!(!room.silent().await);
    }
}

#[tokio::test]
async fn a_sign_of_life_of_who_is_revoked_counts_for_nothing_and_is_said() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        let host = room.only_host().await;
        for gone in [false, true] {
            if gone {
                assert!(room.hosts.revoke("web-1", at(1)).await.unwrap());
            }
            let hosts = std::slice::from_ref(&host);
            let mut tx = room.store.begin().await.unwrap();
            let said = room.hosts.alive(&mut tx, hosts, at(2)).await.unwrap();
            assert_eq!(said.contains(&host.id), gone);
        }
    }
}

#[tokio::test]
async fn no_deadline_passes_while_the_collector_does_not_run() {
    for mut room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        room.hear(at(10)).await;
        room.hosts.look(at(20)).await.unwrap();
        let mut tx = room.store.begin().await.unwrap();
        let away = room.hosts.thaw(&mut tx, at(5000)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(away, Duration::from_secs(4980));
        let fell = room.look(5001, 5200).await;
        assert_eq!(fell, Some(5061), "hosts have a minute to come back");
    }
}

#[tokio::test]
async fn no_deadline_passes_while_the_collector_is_stopped_or_its_clock_jumps() {
    for mut room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        room.hear(at(10)).await;
        assert_eq!(room.look(10, 20).await, None);
        let fell = room.look(5000, 5200).await;
        assert_eq!(fell, Some(5065), "hosts have a minute to come back");
        room.hear(at(5070)).await;
        assert!(!room.silent().await);
    }
}

#[tokio::test]
async fn a_host_that_is_heard_while_another_collector_finds_it_silent_is_told_to_be_back() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        let host = room.only_host().await;
        let mut other = room.store.begin().await.unwrap();
        assert!(
            rows::fall_silent(&mut other, host.id, at(100))
                .await
                .unwrap()
        );
        let seen = judge::Seen { host, last: at(0) };
        let alert = judge::silent(&seen, at(100));
        alerting::raise(&mut other, &alert, at(100)).await.unwrap();
        tokio::join!(room.hear(at(101)), async {
            let waits = tokio::time::timeout(Duration::from_secs(30), room.waits()).await;
            waits.expect("nobody waited");
            other.commit().await.unwrap();
        });
        assert!(!room.silent().await);
        let over = Some("heard again after 101 seconds".to_owned());
        assert_eq!(room.ends().await, [over]);
    }
}

impl Room {
    /// Waits until somebody waits for a lock. SQLite has one writer at a time anyway.
    async fn waits(&self) {
        while self.store.kind() == Kind::Postgres {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(self.store.read())
            .await
            .unwrap();
            if waiting > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn silence_is_told_with_since_when_and_what_to_do() {
    let mut room = rooms().await.remove(0);
    let name = "web-1.customers.eu-central.example.org";
    let secret = room.token(name, at(900)).await;
    room.enrol(&secret, name, at(0)).await.unwrap();
    room.hear(at(30)).await;
    assert!(room.hosts.look(at(91)).await.unwrap());
    let alert = raised(&room.store).await.remove(0);
    let text = "CRITICAL web-1.customers.eu-central.example.org is silent since 13:47 UTC. \
        Check that it is up and its watchward-agent runs. W-7K3F";
    let subject = "[CRITICAL] web-1.customers.eu-central.example.org is silent (W-7K3F)";
    assert_eq!(told(&alert), [text, subject]);
    assert_eq!(
        over(&alert, at(300), "heard again after 4 minutes")[0],
        "OVER web-1.customers.eu-central.example.org is silent, 13:47 to 13:51 UTC. \
         heard again after 4 minutes. W-7K3F"
    );
}
