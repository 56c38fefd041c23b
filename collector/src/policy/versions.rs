//! Every policy that was ever in force, as rows: its text, who brought it, when, why.

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use crate::store::{Schema, Store, Tx};

/// The tables of versions. `policy_file` has, for each file that a collector reads, the text that was
/// taken from there last, as its SHA-256: only another counts as changed.
pub const SCHEMA: Schema = Schema {
    room: "policy",
    steps: &["CREATE TABLE policy_version (
            number BIGINT PRIMARY KEY, at BIGINT NOT NULL, author TEXT NOT NULL,
            note TEXT NOT NULL, text TEXT NOT NULL, sha256 TEXT NOT NULL,
            signature TEXT, signer TEXT);
        CREATE TABLE policy_file (place TEXT PRIMARY KEY, sha256 TEXT NOT NULL, at BIGINT NOT NULL)",
        "ALTER TABLE policy_version ADD COLUMN back_to BIGINT"],
};

/// A version without its text. The newest is the one in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its number: 1 is the first.
    pub number: i64,
    /// When it came into force. Later than that of each before.
    pub at: Timestamp,
    /// Who brought it: an account of the collector's machine, or the file.
    pub author: String,
    /// Why, if they said it.
    pub note: String,
    /// The SHA-256 of its text, in hexadecimal digits.
    pub sha256: String,
    /// Who signed it, as the file of signers names them.
    pub signer: Option<String>,
    /// The version that somebody went back to by it.
    pub back_to: Option<i64>,
}

/// A version with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// All the rest.
    #[serde(flatten)]
    pub version: Version,
    /// The policy.
    pub text: String,
    /// Its signature, as `ssh-keygen -Y sign` makes one.
    pub signature: Option<String>,
}

/// A version that comes into force.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// See [`Version::author`].
    pub author: String,
    /// See [`Version::note`].
    pub note: String,
    /// The policy.
    pub text: String,
    /// Its signature, as `ssh-keygen -Y sign` makes one.
    pub signature: Option<String>,
    /// Who made that, if it is known.
    pub signer: Option<String>,
    /// See [`Version::back_to`].
    pub back_to: Option<i64>,
}

/// The SHA-256 of a policy, in hexadecimal digits.
pub fn digest(text: &str) -> String {
    let bytes = Sha256::digest(text);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a version into force: the number after the newest.
///
/// # Errors
/// The database's; so if another came into force at the same moment.
pub async fn add(tx: &mut Tx, new: &New, now: Timestamp) -> sqlx::Result<Version> {
    let newest: Option<(i64, i64)> =
        sqlx::query_as("SELECT number, at FROM policy_version ORDER BY number DESC LIMIT 1")
            .fetch_optional(&mut **tx)
            .await?;
    // A clock that was put back makes no version older than the one before, nor too near to it for
    // what hosts are ordered of the two to differ (`restriction/gates.rs`).
    let (number, earliest) = newest.map_or((1, 0), |(number, at)| (number + 1, at + 10_000));
    let version = Version {
        number,
        at: now.max(Timestamp::from_micros(earliest)),
        author: new.author.clone(),
        note: new.note.clone(),
        sha256: digest(&new.text),
        signer: new.signer.clone(),
        back_to: new.back_to,
    };
    sqlx::query(
        "INSERT INTO policy_version (number, at, author, note, text, sha256, signature, signer, \
         back_to) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(version.number)
    .bind(version.at.as_micros())
    .bind(&version.author)
    .bind(&version.note)
    .bind(&new.text)
    .bind(&version.sha256)
    .bind(&new.signature)
    .bind(&version.signer)
    .bind(version.back_to)
    .execute(&mut **tx)
    .await?;
    Ok(version)
}

const SELECT: &str = "SELECT number, at, author, note, sha256, signer, back_to, signature, text \
    FROM policy_version";

/// The number of the newest version; 0 if there is none.
///
/// # Errors
/// The database's.
pub async fn newest(store: &Store) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM policy_version")
        .fetch_one(store.read())
        .await
}

/// The newest version up to this number.
///
/// # Errors
/// The database's.
pub async fn up_to(store: &Store, number: i64) -> sqlx::Result<Option<Whole>> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{SELECT} WHERE number <= $1 ORDER BY number DESC LIMIT 1"
    )))
    .bind(number)
    .fetch_optional(store.read())
    .await?;
    row.as_ref().map(whole).transpose()
}

/// The version of this number.
///
/// # Errors
/// The database's.
pub async fn find(store: &Store, number: i64) -> sqlx::Result<Option<Whole>> {
    let found = up_to(store, number).await?;
    Ok(found.filter(|found| found.version.number == number))
}

/// The newest versions, the newest first.
///
/// # Errors
/// The database's.
pub async fn list(store: &Store, limit: i64) -> sqlx::Result<Vec<Version>> {
    let rows = sqlx::query(
        "SELECT number, at, author, note, sha256, signer, back_to FROM policy_version \
         ORDER BY number DESC LIMIT $1",
    )
    .bind(limit)
    .fetch_all(store.read())
    .await?;
    rows.iter().map(version).collect()
}

fn version(row: &AnyRow) -> sqlx::Result<Version> {
    Ok(Version {
        number: row.try_get("number")?,
        at: Timestamp::from_micros(row.try_get("at")?),
        author: row.try_get("author")?,
        note: row.try_get("note")?,
        sha256: row.try_get("sha256")?,
        signer: row.try_get("signer")?,
        back_to: row.try_get("back_to")?,
    })
}

fn whole(row: &AnyRow) -> sqlx::Result<Whole> {
    Ok(Whole {
        version: version(row)?,
        text: row.try_get("text")?,
        signature: row.try_get("signature")?,
    })
}

/// The SHA-256 of what was taken from a file last; none, if it was never looked at.
///
/// # Errors
/// The database's.
pub async fn taken(store: &Store, place: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT sha256 FROM policy_file WHERE place = $1")
        .bind(place)
        .fetch_optional(store.read())
        .await
}

/// Notes what was taken from a file.
///
/// # Errors
/// The database's.
pub async fn take(tx: &mut Tx, place: &str, sha256: &str, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO policy_file (place, sha256, at) VALUES ($1, $2, $3) \
         ON CONFLICT (place) DO UPDATE SET sha256 = excluded.sha256, at = excluded.at",
    )
    .bind(place)
    .bind(sha256)
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
