//! What the open incidents are about.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;

use crate::keys::judge::{About, Trouble};
use crate::store::Tx;
use crate::store::bulk::Bulk;
use crate::store::value::{code, variant};

/// What an incident is about: with the others of its trouble and batch it is one incident.
pub(in crate::keys) type Told = BTreeMap<(Trouble, About), i64>;

/// What people were told of a host.
pub(in crate::keys) async fn load(tx: &mut Tx, host: HostId) -> sqlx::Result<Told> {
    let rows = sqlx::query("SELECT trouble, about, batch FROM keys_told WHERE host = $1")
        .bind(host.as_bytes().to_vec())
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(told).collect()
}

fn told(row: &AnyRow) -> sqlx::Result<((Trouble, About), i64)> {
    let trouble = variant(&Trouble::ALL, row.try_get("trouble")?)?;
    let about = about(&row.try_get::<Vec<u8>, _>("about")?)?;
    Ok(((trouble, about), row.try_get("batch")?))
}

/// Adds to what people were told, and takes away from it.
pub(in crate::keys) async fn change(
    tx: &mut Tx,
    host: HostId,
    begun: &Told,
    ended: &[(Trouble, About)],
) -> sqlx::Result<()> {
    let begun: Vec<_> = begun.iter().collect();
    Bulk {
        before: "INSERT INTO keys_told (host, trouble, about, batch) VALUES ",
        columns: 4,
        after: " ON CONFLICT (host, trouble, about) DO UPDATE SET batch = excluded.batch",
    }
    .execute(tx, &begun, |((trouble, about), batch), values| {
        values
            .bytes(&host.as_bytes()[..])
            .number(code(&Trouble::ALL, trouble))
            .bytes(&bytes(about)[..])
            .number(**batch);
    })
    .await?;
    Bulk {
        before: "DELETE FROM keys_told WHERE (host, trouble, about) IN (VALUES ",
        columns: 3,
        after: ")",
    }
    .execute(tx, ended, |(trouble, about), values| {
        values
            .bytes(&host.as_bytes()[..])
            .number(code(&Trouble::ALL, trouble))
            .bytes(&bytes(about)[..]);
    })
    .await
}

fn bytes(about: &About) -> Vec<u8> {
    match about {
        About::Opening(id) => [b"o", &id.to_be_bytes()[..]].concat(),
        About::Stray(id) => [b"s", &id.to_be_bytes()[..]].concat(),
        About::Holder(name) => [b"h", &name[..]].concat(),
    }
}

fn about(bytes: &[u8]) -> sqlx::Result<About> {
    let number = |rest: &[u8]| rest.try_into().ok().map(i64::from_be_bytes);
    let found = match bytes.split_first() {
        Some((b'o', rest)) => number(rest).map(About::Opening),
        Some((b's', rest)) => number(rest).map(About::Stray),
        Some((b'h', rest)) => Some(About::Holder(rest.to_vec())),
        _ => None,
    };
    found.ok_or_else(|| sqlx::Error::Decode("what was told was written by a newer version".into()))
}
