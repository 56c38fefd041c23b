//! What the room does with what hosts tell, on both databases.

mod ended;
mod judged;
mod mute;
mod texts;

use std::time::Duration;

use futures_util::future::BoxFuture;
use watchward_protocol::health::{Value, Verdict};
use watchward_protocol::hosts::{Finding, HostId};
use watchward_protocol::record::{Epoch, Lane};

use super::*;
use crate::intake::Host;
use crate::store::deadline;
use crate::store::testing::{self, Fresh};

async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, alerting::SCHEMA]).await
}

/// So many seconds after the tests' beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

/// A check that runs every ten seconds and is down after three failures.
fn report(host: u8, seq: u64, seconds: i64, check: &str, verdict: Verdict) -> Heard<HealthReport> {
    let detail = match verdict {
        Verdict::Passed => format!("{check} answers"),
        Verdict::Failed => format!("{check} does not answer"),
        Verdict::Unknown => format!("{check} cannot be asked"),
    };
    Heard {
        host: Host {
            id: HostId::from_bytes([host; 16]),
            name: format!("web-{host}"),
        },
        lane: Lane::Health,
        epoch: Epoch(u64::MAX - 7),
        seq,
        kept_at: at(seconds),
        boot: [9; 16],
        report: HealthReport {
            at: at(seconds),
            check: check.into(),
            verdict,
            detail,
            took: Duration::from_millis(3),
            interval: Duration::from_secs(10),
            failures: 3,
            values: vec![Value::new("time", 0.003, "s").up_to(1.5)],
        },
    }
}

/// One check's results, ten seconds apart: `p`assed, `f`ailed, `u`nknown.
fn results(host: u8, check: &str, letters: &str) -> Vec<Heard<HealthReport>> {
    letters
        .chars()
        .zip(1_u32..)
        .map(|(letter, n)| {
            let verdict = match letter {
                'p' => Verdict::Passed,
                'f' => Verdict::Failed,
                _ => Verdict::Unknown,
            };
            report(host, n.into(), i64::from(n) * 10, check, verdict)
        })
        .collect()
}

async fn hear(store: &Store, reports: &[Heard<HealthReport>], now: Timestamp) {
    let mut tx = store.begin().await.unwrap();
    absorb(&mut tx, reports, &Config::default(), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// When a host was last heard, and what its agent says that it watches.
type Said = (Timestamp, Vec<Finding>);

/// Of no host there are any signs.
fn nobody(_: &mut Tx, _: HostId) -> BoxFuture<'_, sqlx::Result<Option<Said>>> {
    Box::pin(async { Ok(None) })
}

async fn pass(store: &Store, now: Timestamp) -> usize {
    let mut tx = store.begin().await.unwrap();
    let config = Config::default();
    let ended = activate(&mut tx, &config, nobody, now).await.unwrap();
    tx.commit().await.unwrap();
    ended
}

async fn states(store: &Store) -> Vec<State> {
    let all = check::list(store, None).await.unwrap();
    all.into_iter().map(|(_, kept)| kept.check.state).collect()
}

/// Incidents as `severity` (0 to 2), `title`, and why they are over.
async fn incidents(store: &Store) -> Vec<(i64, String, Option<String>)> {
    sqlx::query_as("SELECT severity, title, resolution FROM alerting_incident ORDER BY id")
        .fetch_all(store.read())
        .await
        .unwrap()
}

async fn samples(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM health_sample WHERE measured IS NOT NULL")
        .fetch_one(store.read())
        .await
        .unwrap()
}

/// All that the room keeps, as text, but for when it came.
async fn everything(store: &Store) -> String {
    let checks: Vec<_> = check::list(store, None)
        .await
        .unwrap()
        .into_iter()
        .map(|(name, kept)| (name, kept.check, kept.detail, kept.last_at))
        .collect();
    let changes: Vec<_> = after(store, 0, 100_000)
        .await
        .unwrap()
        .into_iter()
        .map(|one| (one.at, one.host, one.check, one.before, one.state))
        .collect();
    let incidents = incidents(store).await;
    format!(
        "{checks:?}\n{changes:?}\n{incidents:?}\n{}",
        samples(store).await
    )
}

#[tokio::test]
async fn a_check_that_fails_is_told_once_and_its_end_with_how_long_it_took() {
    for store in stores().await {
        let all = results(1, "tcp.db", &format!("p{}p", "f".repeat(16)));
        hear(&store, &all[..3], at(30)).await;
        assert_eq!(incidents(&store).await, []);
        hear(&store, &all[3..17], at(170)).await;
        let told = incidents(&store).await;
        assert_eq!(told, [(2, "web-1: tcp.db does not answer".into(), None)]);
        assert_eq!(states(&store).await, [State::Down]);
        hear(&store, &all[17..], at(180)).await;
        let over = incidents(&store).await.remove(0).2;
        let text = "up again after 2m 20s: tcp.db answers";
        assert_eq!(over.as_deref(), Some(text));
        let changes = after(&store, 0, 10).await.unwrap();
        let states: Vec<_> = changes.iter().map(|one| (one.before, one.state)).collect();
        assert_eq!(
            states,
            [
                (None, State::Up),
                (Some(State::Up), State::Down),
                (Some(State::Down), State::Up)
            ]
        );
        assert_eq!(samples(&store).await, 18);
    }
}

#[tokio::test]
async fn a_check_that_goes_up_and_down_is_one_incident() {
    for store in stores().await {
        let turns = format!("{}{}{}", "p".repeat(20), "fp".repeat(10), "p".repeat(30));
        let all = results(1, "tcp.db", &turns);
        hear(&store, &all, at(900)).await;
        let told = incidents(&store).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (told[0].0, &told[0].1[..]),
            (1, "web-1: tcp.db goes up and down")
        );
        assert!(told[0].2.is_some());
    }
}

#[tokio::test]
async fn how_results_are_split_into_groups_makes_no_difference() {
    let letters = "pffuffffpfpfpfpfpfpfpuuuupppppppppppppppppppppppffffffuuuuf";
    let mut all = Vec::new();
    for (one, other) in results(1, "tcp.db", letters).into_iter().zip(results(
        2,
        "unit.nginx",
        &letters.chars().rev().collect::<String>(),
    )) {
        all.extend([one, other]);
    }
    for (whole, split) in stores().await.iter().zip(stores().await) {
        hear(whole, &all, at(2_000)).await;
        let (mut rest, mut size) = (&all[..], 1);
        while !rest.is_empty() {
            let (part, after) = rest.split_at(size.min(rest.len()));
            hear(&split, part, at(2_000)).await;
            (rest, size) = (after, size * 5 % 7 + 1);
        }
        assert_eq!(everything(&split).await, everything(whole).await);
        hear(whole, &all, at(2_000)).await;
        hear(whole, &all[40..], at(2_000)).await;
        assert_eq!(everything(&split).await, everything(whole).await, "repeats");
    }
}

#[tokio::test]
async fn whatever_an_agent_sends_the_database_takes() {
    for store in stores().await {
        let mut odd = report(1, 1, 1, "", Verdict::Failed);
        odd.report.check = "\0é\u{1b}".repeat(10_000);
        odd.report.detail = "\u{1b}[2J\0".repeat(10_000);
        odd.report.at = Timestamp::from_micros(i64::MAX);
        odd.report.interval = Duration::MAX;
        odd.report.took = Duration::MAX;
        odd.report.failures = 0;
        odd.report.values[0].number = f64::NAN;
        hear(&store, &[odd], at(1)).await;
        let title = incidents(&store).await.remove(0).1;
        assert!(
            !title.contains('\u{1b}') && title.chars().count() <= 100,
            "{title}"
        );
        assert_eq!(states(&store).await, [State::Down]);
        pass(&store, at(2)).await;
        let mut tx = store.begin().await.unwrap();
        for away in [Duration::from_secs(600), Duration::MAX] {
            deadline::put_off(&mut tx, DEADLINES, away).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(
            states(&store).await.len(),
            1,
            "after a start of the collector"
        );
    }
}

#[test]
fn thresholds_that_make_no_sense_are_refused() {
    for (high, low) in [(25, 50), (50, 50), (101, 5), (50, 0)] {
        assert!(Flapping::try_from(Thresholds { high, low }).is_err());
    }
    assert!(Flapping::try_from(Thresholds { high: 100, low: 1 }).is_ok());
}
