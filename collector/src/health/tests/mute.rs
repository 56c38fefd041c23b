//! Checks that fall silent while their host is heard.

use std::cell::RefCell;

use watchward_protocol::hosts::{Doctor, FindingState};

use super::*;

thread_local! {
    /// When the host was last heard, and what its agent says that it watches.
    static SIGNS: RefCell<Option<Said>> = const { RefCell::new(None) };
}

fn signs(_: &mut Tx, _: HostId) -> BoxFuture<'_, sqlx::Result<Option<Said>>> {
    let signs = SIGNS.with_borrow(Clone::clone);
    Box::pin(async move { Ok(signs) })
}

fn finding(check: &str, state: FindingState) -> Finding {
    Finding {
        subject: format!("health: {check}"),
        state,
        detail: String::new(),
    }
}

/// Looks, with the host heard at `seen` and its agent running `tcp.db` or not.
async fn look(store: &Store, now: i64, seen: i64, runs: bool) -> usize {
    let runs = runs.then(|| finding("tcp.db", FindingState::Watched));
    SIGNS.set(Some((at(seen), runs.into_iter().collect())));
    let mut tx = store.begin().await.unwrap();
    let config = Config::default();
    let changed = activate(&mut tx, &config, signs, at(now)).await.unwrap();
    tx.commit().await.unwrap();
    changed
}

#[tokio::test]
async fn a_silent_check_of_a_host_that_is_heard_is_told_and_over_when_it_is_heard() {
    for store in stores().await {
        // Due at 50.
        hear(&store, &results(1, "tcp.db", "p"), at(10)).await;
        assert_eq!(look(&store, 49, 49, true).await, 0);
        assert_eq!(look(&store, 55, 54, true).await, 0);
        assert_eq!(look(&store, 114, 114, true).await, 0, "not for a minute");
        assert_eq!(look(&store, 116, 116, true).await, 1);
        assert_eq!(look(&store, 500, 500, true).await, 0, "told once");
        let told = incidents(&store).await;
        assert_eq!(told[0].0, 1, "a warning");
        assert_eq!(told[0].1, "web-1: tcp.db is not reported any more");
        let failed = report(1, 2, 510, "tcp.db", Verdict::Unknown);
        hear(&store, &[failed], at(510)).await;
        assert!(incidents(&store).await[0].2.is_some(), "it is heard again");
    }
}

#[tokio::test]
async fn a_host_that_goes_or_has_just_come_back_is_not_told_of() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "p"), at(10)).await;
        for now in [55, 120, 300, 1_000] {
            assert_eq!(
                look(&store, now, 49, true).await,
                0,
                "gone before it was due"
            );
        }
        assert_eq!(look(&store, 1_005, 1_005, true).await, 0, "back");
        assert_eq!(look(&store, 1_300, 1_030, true).await, 0, "and gone again");
        assert_eq!(look(&store, 2_000, 2_000, true).await, 0, "and back");
        assert_eq!(look(&store, 2_050, 2_050, true).await, 0);
        assert_eq!(look(&store, 2_061, 2_061, true).await, 1);
    }
}

#[tokio::test]
async fn a_check_that_the_agent_does_not_run_any_more_is_forgotten() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "pfff"), at(40)).await;
        assert_eq!(look(&store, 85, 85, false).await, 0);
        assert_eq!(look(&store, 150, 150, false).await, 1);
        assert!(states(&store).await.is_empty());
        assert!(incidents(&store).await[0].2.is_some(), "what was open ends");
    }
}

#[tokio::test]
async fn a_disk_that_is_no_longer_mounted_is_forgotten_while_its_host_is_looked_at() {
    for store in stores().await {
        hear(&store, &results(1, "host.disk /mnt/usb", "pfff"), at(40)).await;
        hear(&store, &results(1, "host.cpu", "pppp"), at(40)).await;
        let runs = || vec![finding("host", FindingState::Watched)];
        let look = async |now: i64| {
            SIGNS.set(Some((at(now), runs())));
            let mut tx = store.begin().await.unwrap();
            let config = Config::default();
            activate(&mut tx, &config, signs, at(now)).await.unwrap();
            tx.commit().await.unwrap();
        };
        let cpu = |second: i64| {
            report(
                1,
                4 + second.unsigned_abs(),
                second,
                "host.cpu",
                Verdict::Passed,
            )
        };
        hear(&store, &[cpu(82)], at(82)).await;
        look(85).await;
        assert_eq!(names(&store).await, ["host.cpu", "host.disk /mnt/usb"]);
        hear(&store, &[cpu(144)], at(144)).await;
        look(150).await;
        assert_eq!(names(&store).await, ["host.cpu"]);
        let told = incidents(&store).await;
        assert_eq!(
            told.len(),
            1,
            "what it was told of before, and nothing more"
        );
        assert_eq!(
            told[0].2.as_deref(),
            Some("The disk is not mounted any more.")
        );
    }
}

/// What an agent says at `seconds`.
async fn say(store: &Store, seconds: i64, findings: Vec<Finding>) {
    let doctor = Heard {
        host: report(1, 1, 0, "", Verdict::Passed).host,
        lane: Lane::Access,
        epoch: Epoch(u64::MAX - 7),
        seq: 1,
        kept_at: at(seconds),
        boot: [9; 16],
        report: Doctor {
            findings,
            ..Doctor::default()
        },
    };
    let mut tx = store.begin().await.unwrap();
    doctors(&mut tx, &[doctor], at(seconds)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn names(store: &Store) -> Vec<String> {
    let all = check::list(store, None).await.unwrap();
    all.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn what_the_agent_says_that_it_no_longer_runs_is_forgotten_at_once() {
    for store in stores().await {
        for check in ["tcp.db", "tcp.db.more", "host.cpu", "host.disk /", "hosts"] {
            hear(&store, &results(1, check, "pfff"), at(40)).await;
        }
        hear(&store, &results(2, "tcp.db", "p"), at(40)).await;
        let findings = vec![
            finding("tcp.db", FindingState::Absent),
            finding("host", FindingState::Absent),
            finding("hosts", FindingState::Watched),
        ];
        say(&store, 50, findings).await;
        assert_eq!(names(&store).await, ["hosts", "tcp.db.more", "tcp.db"]);
        let over = incidents(&store).await;
        assert_eq!(over.iter().filter(|one| one.2.is_some()).count(), 3);
        assert_eq!(
            look(&store, 500, 500, true).await,
            0,
            "and nobody waits for it"
        );
    }
}

#[tokio::test]
async fn what_was_found_before_the_end_changes_nothing_and_what_comes_after_is_new() {
    for store in stores().await {
        hear(&store, &results(1, "tcp.db", "pff"), at(30)).await;
        say(&store, 50, vec![finding("tcp.db", FindingState::Absent)]).await;
        hear(
            &store,
            &[report(1, 4, 45, "tcp.db", Verdict::Failed)],
            at(51),
        )
        .await;
        assert!(names(&store).await.is_empty());
        assert_eq!(incidents(&store).await.len(), 0);
        hear(
            &store,
            &[report(1, 5, 60, "tcp.db", Verdict::Failed)],
            at(61),
        )
        .await;
        assert_eq!(names(&store).await, ["tcp.db"]);
        assert_eq!(incidents(&store).await.len(), 0, "it has failed once");
    }
}
