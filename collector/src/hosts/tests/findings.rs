//! What agents found: the whole of it, each time.

use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::record::{Epoch, Lane};

use super::*;

fn finding(subject: &str, state: FindingState) -> Finding {
    Finding {
        subject: subject.to_owned(),
        state,
        detail: "seen".to_owned(),
    }
}

impl Room {
    async fn find(&self, findings: &[Finding], now: Timestamp) {
        let heard = Heard {
            host: self.only_host().await,
            lane: Lane::Health,
            epoch: Epoch(1),
            seq: 1,
            kept_at: now,
            boot: [0; 16],
            report: Doctor {
                version: "1".to_owned(),
                system: "Debian".to_owned(),
                findings: findings.to_vec(),
            },
        };
        let mut tx = self.store.begin().await.unwrap();
        self.hosts.doctors(&mut tx, &[heard], now).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What is kept: the subject, how it stands, and since when.
    async fn found(&self) -> Vec<(String, String, i64)> {
        let rows = findings_after(&self.store, 0, 10_000).await.unwrap();
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|row| (row.subject, row.state, row.at / 1_000_000 - 1_000_000))
            .collect();
        rows.sort();
        rows
    }
}

#[tokio::test]
async fn what_is_no_longer_found_goes_and_what_has_not_changed_stays() {
    use FindingState::{Failing, Watched};
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        let first = ["a", "b", "c"].map(|subject| finding(subject, Watched));
        room.find(&first, at(1)).await;
        let second = [
            finding("a", Watched),
            finding("b", Failing),
            finding("d", Watched),
            finding("d", Watched),
        ];
        room.find(&second, at(2)).await;
        let row = |subject: &str, state: &str, at| (subject.to_owned(), state.to_owned(), at);
        let all = [
            row("a", "watched", 1),
            row("b", "failing", 2),
            row("d", "watched", 2),
        ];
        assert_eq!(room.found().await, all);

        let many: Vec<_> = (0..3_000)
            .map(|n| finding(&n.to_string(), Watched))
            .collect();
        room.find(&many, at(3)).await;
        assert_eq!(room.found().await.len(), 3_000);
        let last = last_finding(&room.store).await.unwrap();
        room.find(&[], at(4)).await;
        assert_eq!(room.found().await, []);
        room.find(&first, at(5)).await;
        let news = findings_after(&room.store, last, 10).await.unwrap();
        assert_eq!(news.len(), 3, "who follows misses none");
    }
}
