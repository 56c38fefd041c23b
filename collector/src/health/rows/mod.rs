//! The room's tables: the only SQL.

pub(super) mod check;
pub(super) mod late;
pub(super) mod past;
pub(super) mod recent;

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::health::Verdict;
use watchward_protocol::hosts::HostId;

use super::judge::State;
use crate::store::value::fixed;
use crate::store::{Deadlines, Schema};

/// The room's tables.
///
/// `due_at` is when a check has fallen silent, if nothing more comes; `epoch` and `seq` are those of
/// its last report, so that a repeat is known. `mute_at` is when people are told of a silent check,
/// if its host is heard until then. `gone_at` is when the host's agent said that it does not run the
/// check any more, by the host's clock: what it found before may come after. `enough` is how many
/// failures in a row make it down.
pub const SCHEMA: Schema = Schema {
    room: "health",
    steps: &[
        "CREATE TABLE health_check (
            host {bytes} NOT NULL, check_name TEXT NOT NULL, host_name TEXT NOT NULL,
            state BIGINT NOT NULL, since BIGINT NOT NULL, failures BIGINT NOT NULL,
            unrunnable BIGINT NOT NULL, history BIGINT NOT NULL, incidents BIGINT NOT NULL,
            detail TEXT NOT NULL, last_at BIGINT NOT NULL, heard_at BIGINT NOT NULL,
            every BIGINT NOT NULL, due_at BIGINT NOT NULL,
            epoch BIGINT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (host, check_name));
        CREATE INDEX health_check_due ON health_check (due_at);
        CREATE INDEX health_check_heard ON health_check (heard_at);
        CREATE TABLE health_transition (
            id {id}, host {bytes} NOT NULL, check_name TEXT NOT NULL, host_name TEXT NOT NULL,
            at BIGINT NOT NULL, received_at BIGINT NOT NULL,
            before BIGINT, state BIGINT NOT NULL, detail TEXT NOT NULL);
        CREATE TABLE health_sample (
            id {id}, host {bytes} NOT NULL, check_name TEXT NOT NULL, at BIGINT NOT NULL,
            received_at BIGINT NOT NULL, verdict BIGINT NOT NULL, took BIGINT NOT NULL,
            measured TEXT);
        CREATE INDEX health_sample_check ON health_sample (host, check_name, at);
        CREATE INDEX health_sample_received ON health_sample (received_at)",
        "ALTER TABLE health_check ADD COLUMN mute_at BIGINT",
        "ALTER TABLE health_check ADD COLUMN gone_at BIGINT",
        "CREATE INDEX health_transition_received ON health_transition (received_at)",
        "ALTER TABLE health_check ADD COLUMN enough BIGINT NOT NULL DEFAULT 0",
    ],
};

// What the database has for a variant is its place in these lists: only ever append.
const STATES: [State; 4] = [State::Unknown, State::Up, State::Down, State::Flapping];
const VERDICTS: [Verdict; 3] = [Verdict::Unknown, Verdict::Passed, Verdict::Failed];

fn state(code: i64) -> State {
    let found = usize::try_from(code)
        .ok()
        .and_then(|place| STATES.get(place));
    found.copied().unwrap_or(State::Unknown)
}

fn host(row: &AnyRow) -> sqlx::Result<HostId> {
    fixed(row.try_get("host")?).map(HostId::from_bytes)
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 4)
}

/// What time brings about, unless hosts are heard. `heard_at` says from when on a check is forgotten
/// that nobody speaks of any more, and is put off as well; when its last result came, `last_at` says.
pub const DEADLINES: Deadlines = &[
    ("health_check", "due_at"),
    ("health_check", "heard_at"),
    ("health_check", "mute_at"),
];
