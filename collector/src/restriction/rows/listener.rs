//! What listens on each host, and did lately.

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::Listener;
use watchward_protocol::time::Timestamp;

use super::held::TRANSPORTS;
use crate::store::bulk::Bulk;
use crate::store::value::{address, code, fixed, sixteen, stamp, variant};
use crate::store::{Store, Tx};

/// How long what is gone is remembered.
const REMEMBERED: Duration = Duration::from_secs(30 * 86_400);

/// Something that listens, or did.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Known {
    pub(in crate::restriction) listener: Listener,
    pub(in crate::restriction) first_at: Timestamp,
    pub(in crate::restriction) gone_at: Option<Timestamp>,
}

const SELECT: &str = "SELECT transport, address, port, program, first_at, gone_at \
    FROM restriction_listener WHERE host = $1";

/// What is known of a host.
pub(in crate::restriction) async fn known(tx: &mut Tx, host: HostId) -> sqlx::Result<Vec<Known>> {
    let rows = sqlx::query(SELECT)
        .bind(host.as_bytes().to_vec())
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(one).collect()
}

/// What listens on a host of this name, by port.
pub(in crate::restriction) async fn listening(
    store: &Store,
    host: &str,
) -> sqlx::Result<Vec<Known>> {
    let rows = sqlx::query(
        "SELECT l.transport, l.address, l.port, l.program, l.first_at, l.gone_at \
         FROM restriction_listener l JOIN restriction_host h ON h.host = l.host \
         WHERE h.host_name = $1 AND l.gone_at IS NULL ORDER BY l.port, l.transport, l.address",
    )
    .bind(host)
    .fetch_all(store.read())
    .await?;
    rows.iter().map(one).collect()
}

fn one(row: &AnyRow) -> sqlx::Result<Known> {
    let port: i64 = row.try_get("port")?;
    Ok(Known {
        listener: Listener {
            transport: variant(&TRANSPORTS, row.try_get("transport")?)?,
            address: address(fixed(row.try_get("address")?)?),
            port: u16::try_from(port).map_err(|error| sqlx::Error::Decode(error.into()))?,
            program: row.try_get("program")?,
        },
        first_at: stamp(row.try_get("first_at")?),
        gone_at: row.try_get::<Option<i64>, _>("gone_at")?.map(stamp),
    })
}

/// Keeps what listens now in place of what was known.
pub(in crate::restriction) async fn keep(
    tx: &mut Tx,
    host: HostId,
    all: &[Listener],
    (gone, now): (&[&Listener], Timestamp),
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO restriction_listener (host, transport, address, port, program, \
            first_at, gone_at) VALUES ",
        columns: 7,
        after: " ON CONFLICT (host, transport, address, port) DO UPDATE SET \
            program = excluded.program, gone_at = NULL",
    }
    .execute(tx, all, |listener, values| {
        values
            .bytes(&host.as_bytes()[..])
            .number(code(&TRANSPORTS, &listener.transport))
            .bytes(&sixteen(listener.address)[..])
            .number(i64::from(listener.port))
            .text(listener.program.as_deref())
            .number(now.as_micros())
            .number(None);
    })
    .await?;
    let when = "UPDATE restriction_listener SET gone_at = $1 \
        WHERE host = $2 AND transport = $3 AND address = $4 AND port = $5";
    for listener in gone {
        sqlx::query(when)
            .bind(now.as_micros())
            .bind(host.as_bytes().to_vec())
            .bind(code(&TRANSPORTS, &listener.transport))
            .bind(sixteen(listener.address).to_vec())
            .bind(i64::from(listener.port))
            .execute(&mut **tx)
            .await?;
    }
    sqlx::query("DELETE FROM restriction_listener WHERE host = $1 AND gone_at < $2")
        .bind(host.as_bytes().to_vec())
        .bind((now - REMEMBERED).as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets what listened on a host.
pub(in crate::restriction) async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    let forgotten = sqlx::query("DELETE FROM restriction_listener WHERE host = $1");
    forgotten
        .bind(host.as_bytes().to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
