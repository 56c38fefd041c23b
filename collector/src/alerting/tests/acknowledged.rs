//! What somebody has taken on: nobody else is told, until it is worse or over.

use super::*;
use crate::alerting::acknowledge::{Acknowledging, acknowledge};

async fn take_on(life: &Life) {
    let code: String = sqlx::query_scalar("SELECT code FROM alerting_incident")
        .fetch_one(life.store.read())
        .await
        .unwrap();
    let done = acknowledge(&life.store, &code, ("ada", ""), clock::now()).await;
    assert_eq!(done.unwrap(), Acknowledging::Done);
    life.bell.ring();
}

async fn told(life: &Life) -> Vec<(String, String)> {
    let all = life.states().await.into_iter();
    all.map(|(_, kind, state)| (kind, state)).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(kind, state): &(&str, &str)| ((*kind).to_owned(), (*state).to_owned());
    all.iter().map(own).collect()
}

#[tokio::test]
async fn a_repeat_is_not_told_a_worsening_is_and_so_is_the_end() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        life.raise(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        take_on(&life).await;
        life.raise(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        assert_eq!(told(&life).await, pairs(&[("opened", "written")]));
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        let worse = [
            ("opened", "written"),
            ("risen", "written"),
            ("opened", "written"),
        ];
        assert_eq!(told(&life).await, pairs(&worse), "{:?}", fresh.kind());
        take_on(&life).await;
        life.resolve(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        let ends = [("resolved", "written"), ("resolved", "written")];
        let all = [&worse[..], &ends[..]].concat();
        assert_eq!(told(&life).await, pairs(&all), "{:?}", fresh.kind());
    }
}

#[tokio::test]
async fn what_waits_to_be_sent_is_not_sent_any_more() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        life.raise(&brute_force(Severity::Critical)).await;
        let mut outbox = life.outbox().await;
        outbox.prepare(clock::now()).await.unwrap();
        let mut tx = life.store.begin().await.unwrap();
        sqlx::query(
            "UPDATE alerting_message SET state = 'held', held_at = 1 WHERE channel = 'sms'",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        take_on(&life).await;
        life.deliver_all().await;
        let neither = pairs(&[("opened", "dropped"), ("opened", "dropped")]);
        assert_eq!(told(&life).await, neither, "{:?}", fresh.kind());
    }
}
