//! Checks: one row each, as they stand.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::health::HealthReport;
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::Epoch;
use watchward_protocol::time::Timestamp;

use super::past::{self, Transition};
use super::{STATES, host, micros, state};
use crate::health::judge::{Check, History, Open, State};
use crate::intake::{Heard, Host};
use crate::store::bulk::{Bulk, without_nul};
use crate::store::question::Question;
use crate::store::value::{code, stamp};
use crate::store::{Store, Tx};

/// Which check of which host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::health) struct Key {
    host: HostId,
    check_name: String,
}

impl Key {
    /// The check that a report is of.
    pub(in crate::health) fn of(heard: &Heard<HealthReport>) -> Self {
        Self {
            host: heard.host.id,
            check_name: name(&heard.report.check),
        }
    }
}

/// A check's name as it is kept. Beware: PostgreSQL refuses long index entries, and NUL.
pub(in crate::health) fn name(check: &str) -> String {
    without_nul(check).chars().take(200).collect()
}

/// What is kept of a check.
#[derive(Clone, Debug)]
pub(in crate::health) struct Kept {
    pub(in crate::health) check: Check,
    pub(in crate::health) host: Host,
    pub(in crate::health) detail: String,
    pub(in crate::health) last_at: Timestamp,
    heard_at: Timestamp,
    pub(in crate::health) every: Duration,
    due_at: Timestamp,
    epoch: Epoch,
    seq: u64,
    /// When the host's agent said that it does not run it any more, by the host's clock.
    gone_at: Option<Timestamp>,
}

impl Kept {
    /// What is to be kept after a report.
    pub(in crate::health) fn new(
        heard: &Heard<HealthReport>,
        check: Check,
        now: Timestamp,
    ) -> Self {
        let report = &heard.report;
        Self {
            check,
            host: heard.host.clone(),
            detail: report.detail.chars().take(2_000).collect(),
            last_at: report.at,
            heard_at: now,
            every: report.interval,
            due_at: now + report.interval.saturating_mul(3) + DELIVERY,
            epoch: heard.epoch,
            seq: heard.seq,
            gone_at: None,
        }
    }

    /// Whether this report has been judged already, or is from before the check was ended: results
    /// travel in a lane of their own, and come late.
    pub(in crate::health) fn has(&self, heard: &Heard<HealthReport>) -> bool {
        self.epoch == heard.epoch && heard.seq <= self.seq
            || self.gone_at.is_some_and(|gone_at| heard.kept_at <= gone_at)
    }

    /// How often it has failed, and how often makes it down, while it fails and is not down yet.
    pub(in crate::health) fn failing(&self, now: Timestamp) -> Option<(u32, u32)> {
        let failing = self.check.is_failing() && now < self.due_at;
        failing.then_some((self.check.failures, self.check.enough))
    }

    /// Whether it is still run.
    pub(in crate::health) fn stands(&self) -> bool {
        self.gone_at.is_none()
    }
}

/// How long a report may be on its way.
const DELIVERY: Duration = Duration::from_secs(10);

/// What is known of these checks.
pub(in crate::health) async fn load(
    tx: &mut Tx,
    keys: &[Key],
) -> sqlx::Result<BTreeMap<Key, Kept>> {
    let rows = Bulk {
        before: "WITH asked (host, check_name) AS (VALUES ",
        columns: 2,
        after: ") SELECT c.* FROM asked CROSS JOIN health_check c \
            WHERE c.host = asked.host AND c.check_name = asked.check_name",
    }
    .fetch(tx, keys, |key, values| {
        values
            .bytes(&key.host.as_bytes()[..])
            .text(key.check_name.as_str());
    })
    .await?;
    rows.iter().map(kept).collect()
}

fn kept(row: &AnyRow) -> sqlx::Result<(Key, Kept)> {
    let key = Key {
        host: host(row)?,
        check_name: row.try_get("check_name")?,
    };
    let number = |column| row.try_get::<i64, _>(column);
    let small = |column| number(column).map(|all| u32::try_from(all).unwrap_or(u32::MAX));
    let kept = Kept {
        check: Check {
            state: state(number("state")?),
            since: stamp(number("since")?),
            failures: small("failures")?,
            enough: small("enough")?,
            unrunnable: small("unrunnable")?,
            history: History::from_bits(number("history")?),
            open: Open::from_bits(number("incidents")?),
        },
        host: Host {
            id: key.host,
            name: row.try_get("host_name")?,
        },
        detail: row.try_get("detail")?,
        last_at: stamp(number("last_at")?),
        heard_at: stamp(number("heard_at")?),
        every: Duration::from_micros(number("every")?.unsigned_abs()),
        due_at: stamp(number("due_at")?),
        epoch: Epoch(number("epoch")?.cast_unsigned()),
        seq: number("seq")?.cast_unsigned(),
        gone_at: row.try_get::<Option<i64>, _>("gone_at")?.map(stamp),
    };
    Ok((key, kept))
}

/// Keeps how checks stand.
pub(in crate::health) async fn keep(tx: &mut Tx, checks: &BTreeMap<Key, Kept>) -> sqlx::Result<()> {
    let checks: Vec<_> = checks.iter().collect();
    Bulk {
        before: "INSERT INTO health_check (host, check_name, host_name, state, since, failures, \
            unrunnable, history, incidents, detail, last_at, heard_at, every, due_at, epoch, seq, enough) \
            VALUES ",
        columns: 17,
        after: " ON CONFLICT (host, check_name) DO UPDATE SET host_name = excluded.host_name, \
            state = excluded.state, since = excluded.since, failures = excluded.failures, \
            unrunnable = excluded.unrunnable, history = excluded.history, \
            incidents = excluded.incidents, detail = excluded.detail, last_at = excluded.last_at, \
            heard_at = excluded.heard_at, every = excluded.every, due_at = excluded.due_at, \
            epoch = excluded.epoch, seq = excluded.seq, enough = excluded.enough, mute_at = NULL, gone_at = NULL",
    }
    .execute(tx, &checks, |(key, kept), values| {
        let check = &kept.check;
        values
            .bytes(&key.host.as_bytes()[..])
            .text(key.check_name.as_str())
            .text(kept.host.name.as_str())
            .number(code(&STATES, &check.state))
            .number(check.since.as_micros())
            .number(i64::from(check.failures))
            .number(i64::from(check.unrunnable))
            .number(check.history.bits())
            .number(check.open.bits())
            .text(kept.detail.as_str())
            .number(kept.last_at.as_micros())
            .number(kept.heard_at.as_micros())
            .number(micros(kept.every))
            .number(kept.due_at.as_micros())
            .number(kept.epoch.0.cast_signed())
            .number(kept.seq.cast_signed())
            .number(i64::from(check.enough));
    })
    .await
}

/// Marks some hundred checks that have fallen silent as unknown.
pub(in crate::health) async fn mark_silent(tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "SELECT host, check_name, host_name, state FROM health_check \
         WHERE due_at <= $1 AND state <> $2 AND gone_at IS NULL ORDER BY due_at LIMIT 500",
    )
    .bind(now.as_micros())
    .bind(code(&STATES, &State::Unknown))
    .fetch_all(&mut **tx)
    .await?;
    let mut silent = Vec::with_capacity(rows.len());
    for row in &rows {
        let key = Key {
            host: host(row)?,
            check_name: row.try_get("check_name")?,
        };
        if !mark(tx, &key, now).await? {
            continue;
        }
        silent.push(Transition {
            host: Host {
                id: key.host,
                name: row.try_get("host_name")?,
            },
            check_name: key.check_name,
            at: now,
            before: Some(state(row.try_get("state")?)),
            state: State::Unknown,
            detail: "no result for three intervals".to_owned(),
        });
    }
    past::transitions(tx, &silent, now).await
}

/// Marks one; `false` if another collector was faster.
async fn mark(tx: &mut Tx, key: &Key, now: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE health_check SET state = $1, since = $2 \
         WHERE host = $3 AND check_name = $4 AND due_at <= $2 AND state <> $1",
    )
    .bind(code(&STATES, &State::Unknown))
    .bind(now.as_micros())
    .bind(key.host.as_bytes().to_vec())
    .bind(key.check_name.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// A check that no host speaks of any more.
#[derive(Debug)]
pub(in crate::health) struct Gone {
    /// Its host.
    pub(in crate::health) host: HostId,
    /// Its name.
    pub(in crate::health) check_name: String,
    /// The incidents that it has open.
    pub(in crate::health) open: Open,
}

/// Takes some hundred checks out that were last heard of before `oldest`.
pub(in crate::health) async fn take_gone(
    tx: &mut Tx,
    oldest: Timestamp,
) -> sqlx::Result<Vec<Gone>> {
    let rows = sqlx::query(
        "DELETE FROM health_check WHERE (host, check_name) IN \
         (SELECT host, check_name FROM health_check WHERE heard_at < $1 ORDER BY heard_at LIMIT 500) \
         RETURNING host, check_name, incidents",
    )
    .bind(oldest.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(gone).collect()
}

/// Takes all checks of a host out.
pub(in crate::health) async fn take_of(tx: &mut Tx, host: HostId) -> sqlx::Result<Vec<Gone>> {
    let rows = sqlx::query(
        "DELETE FROM health_check WHERE host = $1 RETURNING host, check_name, incidents",
    )
    .bind(host.as_bytes().to_vec())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(gone).collect()
}

pub(super) fn gone(row: &AnyRow) -> sqlx::Result<Gone> {
    Ok(Gone {
        host: host(row)?,
        check_name: row.try_get("check_name")?,
        open: Open::from_bits(row.try_get("incidents")?),
    })
}

/// Checks as they stand, by host and name: all of them, or those of the host of this name.
pub(in crate::health) async fn list(
    store: &Store,
    host: Option<&str>,
) -> sqlx::Result<Vec<(String, Kept)>> {
    let mut question = Question::default();
    question.add_fixed(Some("gone_at IS NULL"));
    question.add("host_name = ", host.map(str::to_owned));
    let text = (
        "SELECT * FROM health_check",
        " ORDER BY host_name, check_name",
    );
    let rows = question.ask(store, text, i64::MAX).await?;
    rows.iter()
        .map(|row| kept(row).map(|(key, kept)| (key.check_name, kept)))
        .collect()
}
