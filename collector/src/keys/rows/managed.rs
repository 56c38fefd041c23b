//! The lines of ours that open accounts: what every host was last ordered of them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use watchward_protocol::instruments::{Managed, Opens};
use watchward_protocol::time::Timestamp;

use crate::keys::proof::fingerprint;
use crate::store::bulk::Bulk;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// The table. Each line was ordered first with its `generation`.
pub(super) const TABLES: &str = "CREATE TABLE keys_managed (
            host_name TEXT NOT NULL, account TEXT NOT NULL, fingerprint TEXT NOT NULL,
            line TEXT NOT NULL, until BIGINT, generation BIGINT NOT NULL);
        CREATE INDEX keys_managed_host ON keys_managed (host_name);
        ALTER TABLE keys_holding ADD COLUMN managed BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE keys_holding ADD COLUMN unmanaged TEXT";

/// A line, on whose host, and since which generation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::keys) struct Held {
    pub(in crate::keys) host: String,
    pub(in crate::keys) line: Managed,
    pub(in crate::keys) generation: u64,
}

/// A line as it is kept, but for its account and its end.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    /// Of an authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    principals: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    from: Vec<IpNet>,
    #[serde(default)]
    forwarding: bool,
}

/// All lines of all hosts, in one order.
pub(in crate::keys) async fn all(store: &Store) -> sqlx::Result<Vec<Held>> {
    read(store.read()).await
}

async fn read(database: impl Executor<'_, Database = Any>) -> sqlx::Result<Vec<Held>> {
    let sql = "SELECT host_name, account, line, until, generation FROM keys_managed";
    let rows = sqlx::query(sql).fetch_all(database).await?;
    let mut all: Vec<_> = rows.iter().map(held).collect::<sqlx::Result<_>>()?;
    all.sort_unstable();
    Ok(all)
}

/// Has these lines be all that there are, from this generation on where they are new.
pub(in crate::keys) async fn replace(
    tx: &mut Tx,
    wanted: &BTreeMap<String, Vec<Managed>>,
    generation: u64,
) -> sqlx::Result<()> {
    let before = read(&mut **tx).await?;
    let mut known: BTreeSet<(&str, &Managed)> = BTreeSet::new();
    for one in &before {
        let stays = wanted
            .get(&one.host)
            .is_some_and(|lines| lines.contains(&one.line));
        match stays {
            true => drop(known.insert((&one.host, &one.line))),
            false => forget(tx, one).await?,
        }
    }
    let all = wanted
        .iter()
        .flat_map(|(host, lines)| lines.iter().map(move |it| (host, it)));
    let new: Vec<_> = all
        .filter(|(host, it)| !known.contains(&(host.as_str(), *it)))
        .collect();
    Bulk {
        before: "INSERT INTO keys_managed \
            (host_name, account, fingerprint, line, until, generation) VALUES ",
        columns: 6,
        after: "",
    }
    .execute(tx, &new, |(host, line), values| {
        values
            .text(host.as_str())
            .text(line.account.as_str())
            .text(fingerprint(line.opens.key()).as_str())
            .text(written(line).as_str())
            .number(line.until.map(Timestamp::as_micros))
            .number(generation.cast_signed());
    })
    .await
}

async fn forget(tx: &mut Tx, one: &Held) -> sqlx::Result<()> {
    let sql = "DELETE FROM keys_managed WHERE host_name = $1 AND account = $2 AND line = $3 \
        AND COALESCE(until, 0) = $4";
    sqlx::query(sql)
        .bind(one.host.clone())
        .bind(one.line.account.clone())
        .bind(written(&one.line))
        .bind(one.line.until.map_or(0, Timestamp::as_micros))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The lines of the host of this name.
pub(in crate::keys) async fn of_host(tx: &mut Tx, host: &str) -> sqlx::Result<Vec<Managed>> {
    let sql = "SELECT host_name, account, line, until, generation FROM keys_managed \
        WHERE host_name = $1";
    let rows = sqlx::query(sql)
        .bind(host.to_owned())
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(|row| Ok(held(row)?.line)).collect()
}

fn written(line: &Managed) -> String {
    let principals = match &line.opens {
        Opens::Key(_) => None,
        Opens::Authority { principals, .. } => Some(principals.clone()),
    };
    let line = Line {
        key: STANDARD.encode(line.opens.key()),
        principals,
        from: line.from.clone(),
        forwarding: line.forwarding,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

fn held(row: &AnyRow) -> sqlx::Result<Held> {
    let wrong = |error: serde_json::Error| sqlx::Error::Decode(error.into());
    let line: Line = serde_json::from_str(row.try_get("line")?).map_err(wrong)?;
    let key = STANDARD.decode(&line.key);
    let key = key.map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Held {
        host: row.try_get("host_name")?,
        line: Managed {
            account: row.try_get("account")?,
            opens: match line.principals {
                None => Opens::Key(key),
                Some(principals) => Opens::Authority { key, principals },
            },
            from: line.from,
            until: row.try_get::<Option<i64>, _>("until")?.map(stamp),
            forwarding: line.forwarding,
        },
        generation: row.try_get::<i64, _>("generation")?.cast_unsigned(),
    })
}
