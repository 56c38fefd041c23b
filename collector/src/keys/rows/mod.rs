//! The room's tables: the only SQL.

pub(super) mod asked;
pub(super) mod authority;
pub(super) mod cause;
pub(super) mod certificate;
pub(super) mod change;
pub(super) mod claim;
pub(super) mod deed;
pub(super) mod door;
pub(super) mod ended;
pub(super) mod glass;
pub(super) mod guarded;
pub(super) mod host;
pub(super) mod host_key;
pub(super) mod identity;
pub(super) mod lineage;
pub(super) mod listing;
pub(super) mod managed;
pub(super) mod opening;
pub(super) mod peer;
pub(super) mod reached;
pub(super) mod retire;
pub(super) mod revoked;
pub(super) mod rotation;
pub(super) mod shown;
pub(super) mod signer;
pub(super) mod stray;
pub(super) mod taken;
pub(super) mod told;
pub(super) mod way;
pub(super) mod wire;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::keys::Means;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::inventory::Whose;
use crate::store::value::{fixed, stamp};
use crate::store::{Deadlines, Schema, Tx};

/// The room's tables.
///
/// A `holder` is an account's name, or empty for the host itself. `gone_by` is by the host's clock,
/// and so are `first_at` and `at` of a holder; all other times are the collector's. `keys_told` says
/// which openings, stray logins and holders the open incidents are about, `next_at` when a host
/// is to be judged again by time alone, and `keys_policy` by what all were judged. `keys_wire` has the
/// keys themselves, each once. `keys_proven` is what a host said last to a key of `keys_revoked`, with
/// every door in `answers`. `keys_generation` is the one row that counts what was revoked and
/// reinstated, `keys_reached` when each host was told of which generation and held it first,
/// `keys_holding` what it said last, and `keys_ended` the sessions that a revoked key had open.
/// `keys_signer` is what signs receipts, sealed, and `keys_managed` the lines of ours that open accounts.
/// `keys_rotation` is how far the rotation of each machine's key is, and `keys_identity` what clients
/// said of theirs. `keys_glass` is what each host said last to each break-glass key.
/// `keys_given_up` is which databases' revocations hosts need not keep any more.
/// `keys_host_certificate` and `keys_host_key` are what hosts show of themselves.
pub const SCHEMA: Schema = Schema {
    room: "keys",
    steps: &[
        "CREATE TABLE keys_host (
            host {bytes} PRIMARY KEY, host_name TEXT NOT NULL, listed_at BIGINT,
            next_at BIGINT NOT NULL);
        CREATE INDEX keys_host_next ON keys_host (next_at);
        CREATE TABLE keys_holder (
            host {bytes} NOT NULL, holder {bytes} NOT NULL, first_at BIGINT NOT NULL,
            at BIGINT NOT NULL, heard_at BIGINT NOT NULL, epoch BIGINT NOT NULL,
            seq BIGINT NOT NULL, omitted BIGINT NOT NULL, troubles TEXT NOT NULL,
            PRIMARY KEY (host, holder));
        CREATE TABLE keys_opening (
            id {id}, host {bytes} NOT NULL, holder {bytes} NOT NULL, identity {bytes} NOT NULL,
            host_name TEXT NOT NULL, means BIGINT NOT NULL, kind TEXT, bits BIGINT,
            fingerprint TEXT, file TEXT NOT NULL, line BIGINT, copies BIGINT NOT NULL,
            comment {bytes} NOT NULL, options {bytes} NOT NULL, approved {bytes} NOT NULL,
            principals {bytes} NOT NULL, not_before BIGINT, not_after BIGINT,
            is_new BIGINT NOT NULL, was TEXT, first_at BIGINT NOT NULL, seen_at BIGINT NOT NULL,
            gone_at BIGINT, gone_by BIGINT, due_at BIGINT, warn_at BIGINT, weak TEXT,
            used_at BIGINT, used_from TEXT, uses BIGINT NOT NULL,
            UNIQUE (host, holder, identity));
        CREATE INDEX keys_opening_fingerprint ON keys_opening (fingerprint);
        CREATE INDEX keys_opening_host ON keys_opening (host_name, holder, id);
        CREATE INDEX keys_opening_gone ON keys_opening (gone_at) WHERE gone_at IS NOT NULL;
        CREATE TABLE keys_change (
            id {id}, opening BIGINT NOT NULL, at BIGINT NOT NULL, what TEXT NOT NULL);
        CREATE INDEX keys_change_opening ON keys_change (opening);
        CREATE TABLE keys_stray (
            id {id}, host {bytes} NOT NULL, account {bytes} NOT NULL, fingerprint TEXT NOT NULL,
            kind TEXT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, address TEXT,
            times BIGINT NOT NULL, hearsay BIGINT NOT NULL, told BIGINT NOT NULL,
            due_at BIGINT NOT NULL, UNIQUE (host, account, fingerprint));
        CREATE TABLE keys_policy (id BIGINT PRIMARY KEY, policy {bytes} NOT NULL);
        CREATE TABLE keys_told (
            host {bytes} NOT NULL, trouble BIGINT NOT NULL, about {bytes} NOT NULL,
            batch BIGINT NOT NULL, PRIMARY KEY (host, trouble, about))",
        "ALTER TABLE keys_opening ADD COLUMN condition TEXT",
        "CREATE TABLE keys_retired (
            id {id}, fingerprint TEXT NOT NULL, kind TEXT NOT NULL, wire {bytes} NOT NULL,
            reason TEXT NOT NULL, author TEXT NOT NULL, at BIGINT NOT NULL, ended_at BIGINT,
            ended_by TEXT);
        CREATE UNIQUE INDEX keys_retired_open ON keys_retired (fingerprint) WHERE ended_at IS NULL;
        CREATE TABLE keys_proven (
            retired BIGINT NOT NULL, host_name TEXT NOT NULL, at BIGINT NOT NULL,
            doors BIGINT NOT NULL, refused BIGINT NOT NULL, controlled BIGINT NOT NULL,
            unknown BIGINT NOT NULL, accepted TEXT NOT NULL, trouble TEXT, PRIMARY KEY (retired, host_name))",
        "ALTER TABLE keys_retired RENAME TO keys_revoked;
        ALTER TABLE keys_revoked ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE keys_revoked ADD COLUMN comment TEXT NOT NULL DEFAULT '';
        ALTER TABLE keys_revoked ADD COLUMN person TEXT NOT NULL DEFAULT '';
        UPDATE keys_revoked SET generation = at;
        ALTER TABLE keys_proven RENAME COLUMN retired TO revoked;
        ALTER TABLE keys_proven ADD COLUMN answers TEXT NOT NULL DEFAULT '';
        CREATE TABLE keys_generation (id BIGINT PRIMARY KEY, generation BIGINT NOT NULL);
        INSERT INTO keys_generation (id, generation)
            SELECT 1, COALESCE(MAX(generation), 0) FROM keys_revoked;
        CREATE TABLE keys_wire (
            fingerprint TEXT PRIMARY KEY, kind TEXT NOT NULL, wire {bytes} NOT NULL);
        CREATE TABLE keys_holding (
            host {bytes} PRIMARY KEY, host_name TEXT NOT NULL, at BIGINT NOT NULL,
            generation BIGINT, revoked BIGINT NOT NULL, digest {bytes}, trouble TEXT, told TEXT);
        CREATE TABLE keys_reached (
            host {bytes} NOT NULL, generation BIGINT NOT NULL, host_name TEXT NOT NULL,
            said_at BIGINT, held_at BIGINT, digest {bytes}, PRIMARY KEY (host, generation));
        CREATE TABLE keys_ended (
            id {id}, fingerprint TEXT NOT NULL, host {bytes} NOT NULL, host_name TEXT NOT NULL,
            at BIGINT NOT NULL, heard_at BIGINT NOT NULL, account {bytes} NOT NULL, address TEXT,
            opened_at BIGINT NOT NULL, leader BIGINT NOT NULL, how BIGINT NOT NULL,
            why TEXT NOT NULL, survivors TEXT NOT NULL, over_at BIGINT);
        CREATE INDEX keys_ended_fingerprint ON keys_ended (fingerprint);
        CREATE INDEX keys_ended_over ON keys_ended (over_at) WHERE over_at IS NOT NULL;
        CREATE TABLE keys_signer (
            id BIGINT PRIMARY KEY, public {bytes} NOT NULL, sealed {bytes} NOT NULL,
            made_at BIGINT NOT NULL)",
        authority::TABLES,
        authority::ROTATED,
        managed::TABLES,
        rotation::TABLES,
        identity::TABLES,
        guarded::TABLE,
        "ALTER TABLE keys_proven ADD COLUMN elsewhere TEXT NOT NULL DEFAULT ''",
        retire::TABLES,
        rotation::MOVED,
        peer::TABLES,
        glass::TABLE,
        retire::MISSED,
        host_key::TABLES,
        peer::GATHERED,
        lineage::TABLES,
        peer::LEFT,
        authority::VOUCHED,
        host_key::REVOKED,
        reached::UNKNOWN,
        cause::TABLES,
        shown::FIRST,
        reached::HELD_THERE,
        retire::AWAY,
    ],
};

// What the database has for a variant is its place in these lists: only ever append.
const MEANS: [Means; 8] = [
    Means::AuthorizedKey,
    Means::Authority,
    Means::Principals,
    Means::Command,
    Means::HostKey,
    Means::HostCertificate,
    Means::AgentCertificate,
    Means::PrincipalsCommand,
];

/// A holder as the database has it.
fn holder_bytes(whose: &Whose) -> &[u8] {
    whose.account().map(Foreign::as_bytes).unwrap_or_default()
}

fn whose(bytes: Vec<u8>) -> Whose {
    match bytes.is_empty() {
        true => Whose::Host,
        false => Whose::Account(bytes.into()),
    }
}

fn host_id(row: &AnyRow) -> sqlx::Result<HostId> {
    fixed(row.try_get("host")?).map(HostId::from_bytes)
}

fn maybe_stamp(row: &AnyRow, column: &str) -> sqlx::Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(stamp))
}

/// What waits for hosts to be heard. When keys are due is a day of the calendar, and stays.
pub const DEADLINES: Deadlines = &[
    ("keys_stray", "due_at"),
    ("keys_ended", "over_at"),
    ("keys_retiring", "since"),
    ("keys_peer_taken", "over_at"),
    ("keys_peer", "late_since"),
];

/// Forgets some of what has been gone since before `oldest`, and its history.
pub(super) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<()> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM keys_opening WHERE id IN (SELECT id FROM keys_opening \
         WHERE gone_at IS NOT NULL AND gone_at < $1 ORDER BY gone_at LIMIT 500) RETURNING id",
    )
    .bind(oldest.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    ended::prune(tx, oldest).await?;
    if !gone.is_empty() {
        wire::prune(tx).await?;
    }
    certificate::prune(tx, oldest).await?;
    rotation::prune(tx, oldest).await?;
    reached::prune(tx, oldest).await?;
    peer::prune(tx, oldest).await?;
    change::forget(tx, &gone).await
}

/// Forgets all of a host.
pub(super) async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    let id = host;
    let host = host.as_bytes().to_vec();
    let gone: Vec<i64> =
        sqlx::query_scalar("DELETE FROM keys_opening WHERE host = $1 RETURNING id")
            .bind(host.clone())
            .fetch_all(&mut **tx)
            .await?;
    change::forget(tx, &gone).await?;
    revoked::forget(tx, host.clone()).await?;
    reached::forget(tx, id).await?;
    identity::forget(tx, id).await?;
    peer::forget(tx, id).await?;
    wire::prune(tx).await?;
    host_key::begin_anew(tx, id).await?;
    for delete in [
        "DELETE FROM keys_host WHERE host = $1",
        "DELETE FROM keys_holder WHERE host = $1",
        "DELETE FROM keys_stray WHERE host = $1",
        "DELETE FROM keys_told WHERE host = $1",
    ] {
        sqlx::query(delete)
            .bind(host.clone())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
