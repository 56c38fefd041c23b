//! What time alone brings about, and the end of a host.

use super::*;
use crate::store::deadline;

#[tokio::test]
async fn a_check_that_falls_silent_is_unknown_and_raises_nothing() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "pfff"), at(40)).await;
        pass(&store, at(79)).await;
        assert_eq!(states(&store).await, [State::Down]);
        pass(&store, at(80)).await;
        pass(&store, at(90)).await;
        assert_eq!(states(&store).await, [State::Unknown]);
        assert_eq!(after(&store, 0, 10).await.unwrap().len(), 3);
        let told = incidents(&store).await;
        assert_eq!(told.len(), 1);
        assert!(told[0].2.is_none(), "nobody knows that it is up");
        hear(
            &store,
            &[report(1, 5, 200, "tcp.db", Verdict::Passed)],
            at(200),
        )
        .await;
        assert_eq!(states(&store).await, [State::Up]);
        assert!(incidents(&store).await[0].2.is_some());
    }
}

#[tokio::test]
async fn the_time_that_the_collector_was_away_makes_nothing_silent() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "p"), at(10)).await;
        let mut tx = store.begin().await.unwrap();
        deadline::put_off(&mut tx, DEADLINES, Duration::from_secs(600))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        pass(&store, at(640)).await;
        assert_eq!(states(&store).await, [State::Up]);
        pass(&store, at(650)).await;
        assert_eq!(states(&store).await, [State::Unknown]);
    }
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_what_was_open_ends() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "pfff"), at(40)).await;
        hear(&store, &results(2, "tcp.db", "p"), at(1_000)).await;
        assert_eq!(pass(&store, at(41 + 7 * 86_400)).await, 1);
        assert_eq!(states(&store).await.len(), 1);
        assert!(incidents(&store).await[0].2.is_some());
        assert_eq!(samples(&store).await, 1);
    }
}

#[tokio::test]
async fn of_a_host_that_is_revoked_nothing_stays_open() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "pfff"), at(40)).await;
        hear(&store, &results(1, "unit.nginx", "uuu"), at(40)).await;
        hear(&store, &results(2, "tcp.db", "pfff"), at(40)).await;
        let mut tx = store.begin().await.unwrap();
        let host = HostId::from_bytes([1; 16]);
        forget(&mut tx, host, at(50)).await.unwrap();
        tx.commit().await.unwrap();
        let over: Vec<_> = incidents(&store)
            .await
            .into_iter()
            .map(|one| one.2)
            .collect();
        let revoked = Some("the host was revoked".to_owned());
        assert_eq!(over, [revoked.clone(), revoked, None]);
        assert_eq!(states(&store).await, [State::Down]);
    }
}

#[tokio::test]
async fn changes_of_state_are_kept_for_long_and_not_for_ever() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "pfff"), at(40)).await;
        hear(&store, &results(2, "tcp.db", "p"), at(1_000)).await;
        let year = 400 * 86_400;
        let left = async |now: i64| {
            pass(&store, at(now)).await;
            let all = after(&store, 0, 10).await.unwrap();
            all.into_iter().map(|one| one.host).collect::<Vec<_>>()
        };
        // That both have fallen silent is a change too.
        assert_eq!(
            left(39 + year).await,
            ["web-1", "web-1", "web-2", "web-1", "web-2"]
        );
        assert_eq!(left(41 + year).await, ["web-2", "web-1", "web-2"]);
        let last = last(&store).await.unwrap();
        assert_eq!(left(10 * year).await, ["web-2"], "the newest stays");
        assert_eq!(super::last(&store).await.unwrap(), last);
    }
}
