//! What brought each revocation about: what the policy revokes by itself is counted, for hosts could make up
//! what it is about.

use std::collections::BTreeMap;

use crate::keys::proof::Revoked;
use crate::store::value::code;
use crate::store::{Store, Tx};

/// What brought it about, and of the policy which host told of the key.
pub(super) const TABLES: &str =
    "ALTER TABLE keys_revoked ADD COLUMN cause BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE keys_revoked ADD COLUMN told_by TEXT;
        UPDATE keys_revoked SET cause = 1 WHERE author = 'rotation';
        UPDATE keys_revoked SET cause = 2 WHERE author = 'policy'";

/// What brought a revocation about, what counts most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Cause<'a> {
    /// Somebody said so.
    Person,
    /// Another key takes the place of a machine's.
    Rotation,
    /// The key is too old by the policy, and a host of this name has told of it.
    Policy(&'a str),
}

// What the database has for a variant is its place in this list: only ever append.
const CAUSES: [Cause<'static>; 3] = [Cause::Person, Cause::Rotation, Cause::Policy("")];

impl<'a> Cause<'a> {
    pub(super) fn code(self) -> i64 {
        let plain = match self {
            Self::Policy(_) => Cause::Policy(""),
            Self::Person => Cause::Person,
            Self::Rotation => Cause::Rotation,
        };
        code(&CAUSES, &plain)
    }

    pub(super) fn told_by(self) -> Option<&'a str> {
        match self {
            Self::Policy(host) => Some(host),
            Self::Person | Self::Rotation => None,
        }
    }
}

/// What is counted apart, for an order has room for so many of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Sort {
    /// What sshd refuses.
    Keys,
    /// Peers of WireGuard.
    Peers,
}

impl Sort {
    fn condition(self) -> &'static str {
        match self {
            Self::Keys => "fingerprint LIKE 'SHA256:%'",
            Self::Peers => "fingerprint NOT LIKE 'SHA256:%'",
        }
    }
}

/// How many of this sort people have revoked.
pub(in crate::keys) async fn by_people(tx: &mut Tx, sort: Sort) -> sqlx::Result<usize> {
    let sql = format!(
        "SELECT COUNT(*) FROM keys_revoked WHERE ended_at IS NULL AND cause = $1 AND {}",
        sort.condition()
    );
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(Cause::Person.code())
        .fetch_one(&mut **tx)
        .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// How many of this sort the policy has revoked, by the host that told of them.
pub(in crate::keys) async fn by_policy(
    store: &Store,
    sort: Sort,
) -> sqlx::Result<BTreeMap<String, usize>> {
    let sql = format!(
        "SELECT COALESCE(told_by, ''), COUNT(*) FROM keys_revoked \
         WHERE ended_at IS NULL AND cause = $1 AND {} GROUP BY COALESCE(told_by, '')",
        sort.condition()
    );
    let all: Vec<(String, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(Cause::Policy("").code())
        .fetch_all(store.read())
        .await?;
    let number = |count| usize::try_from(count).unwrap_or(usize::MAX);
    let all = all.into_iter();
    Ok(all.map(|(host, count)| (host, number(count))).collect())
}

/// Keeps that a key which is revoked is so for this cause, too, where that counts for more.
pub(super) async fn raise(tx: &mut Tx, key: &Revoked, cause: Cause<'_>) -> sqlx::Result<()> {
    let sql = "UPDATE keys_revoked SET cause = $2, told_by = $3 \
        WHERE fingerprint = $1 AND ended_at IS NULL AND cause > $2";
    let raised = sqlx::query(sql)
        .bind(key.fingerprint.clone())
        .bind(cause.code())
        .bind(cause.told_by().map(str::to_owned));
    raised.execute(&mut **tx).await.map(drop)
}
