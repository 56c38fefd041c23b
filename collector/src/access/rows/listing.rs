//! Events as they are listed: by what they are asked for, or one after another.

use std::net::IpAddr;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::access::{
    AccessEvent, Certificate, Key, Outcome, Peer, Service, Tunnel, User,
};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::event::{ACTIONS, OUTCOMES, SERVICES, TRUSTS};
use crate::access::address::Source;
use crate::store::Store;
use crate::store::question::Question;
use crate::store::value::{address, code, fixed, sixteen, stamp, variant};

/// What is asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub(in crate::access) struct Wanted {
    pub(in crate::access) since: Option<Timestamp>,
    pub(in crate::access) until: Option<Timestamp>,
    pub(in crate::access) host: Option<String>,
    pub(in crate::access) user: Option<Vec<u8>>,
    pub(in crate::access) addresses: Option<([u8; 16], [u8; 16])>,
    /// The server that wrote it.
    pub(in crate::access) service: Option<Service>,
    /// The address inside a VPN.
    pub(in crate::access) tunnel: Option<IpAddr>,
    pub(in crate::access) outcome: Option<Outcome>,
    pub(in crate::access) form: Option<String>,
    pub(in crate::access) attempts: bool,
    /// Only events of which this condition holds.
    pub(in crate::access) only: Option<&'static str>,
    /// Only events that came after the one with this id.
    pub(in crate::access) after: Option<i64>,
    /// Only events that come later in the list, newest first, than this one.
    pub(in crate::access) before: Option<Cursor>,
    pub(in crate::access) limit: i64,
}

/// Where an event stands in the list: when it counts as seen, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::access) struct Cursor {
    pub(in crate::access) judged_at: i64,
    pub(in crate::access) id: i64,
}

/// An event as it is kept.
#[derive(Clone, Debug)]
pub(in crate::access) struct Kept {
    pub(in crate::access) id: i64,
    pub(in crate::access) host: String,
    pub(in crate::access) received_at: Timestamp,
    pub(in crate::access) judged_at: i64,
    pub(in crate::access) event: AccessEvent,
}

impl Kept {
    /// Where it stands in the list.
    pub(in crate::access) fn cursor(&self) -> Cursor {
        Cursor {
            judged_at: self.judged_at,
            id: self.id,
        }
    }
}

/// The latest events of those that are wanted, or the first ones after an id; in order.
pub(in crate::access) async fn list(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Kept>> {
    let order = match wanted.after {
        Some(_) => " ORDER BY id",
        // By a host's own clock, what it dated far ahead would hide all that came since.
        None => " ORDER BY judged_at DESC, id DESC",
    };
    let question = question(wanted);
    let rows = question.ask(store, (SELECT, order), wanted.limit).await?;
    let mut kept: Vec<_> = rows.iter().map(kept).collect::<sqlx::Result<_>>()?;
    if wanted.after.is_none() {
        kept.reverse();
    }
    Ok(kept)
}

/// The id of the event that came last; `0` if there is none.
pub(in crate::access) async fn last(store: &Store) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM access_event")
        .fetch_one(store.read())
        .await
}

fn question(wanted: &Wanted) -> Question {
    let mut question = Question::default();
    question.add("judged_at >= ", wanted.since.map(Timestamp::as_micros));
    question.add("judged_at < ", wanted.until.map(Timestamp::as_micros));
    question.add("host_name = ", wanted.host.clone());
    question.add("user_name = ", wanted.user.clone());
    if let Some((low, high)) = wanted.addresses {
        let source = |end| Source::of(address(end)).as_bytes().to_vec();
        question.add("source >= ", Some(source(low)));
        question.add("source <= ", Some(source(high)));
        question.add("address >= ", Some(low.to_vec()));
        question.add("address <= ", Some(high.to_vec()));
    }
    let service = wanted.service.as_ref();
    question.add(
        "service = ",
        service.map(|service| code(&SERVICES, service)),
    );
    let inside = wanted.tunnel.map(|it| sixteen(it).to_vec());
    question.add(tunnel_column(wanted.tunnel), inside);
    let outcome = wanted.outcome.as_ref();
    question.add(
        "outcome = ",
        outcome.map(|outcome| code(&OUTCOMES, outcome)),
    );
    question.add("form = ", wanted.form.clone());
    question.add("attempt = ", wanted.attempts.then_some(1_i64));
    question.add_fixed(wanted.only);
    question.add("id > ", wanted.after);
    let before = wanted.before.map(|cursor| (cursor.judged_at, cursor.id));
    question.add_before("(judged_at, id) < (", before);
    question
}

const fn tunnel_column(wanted: Option<IpAddr>) -> &'static str {
    match wanted {
        Some(IpAddr::V6(_)) => "tunnel_v6 = ",
        Some(IpAddr::V4(_)) | None => "tunnel_v4 = ",
    }
}

const SELECT: &str = "SELECT id, host_name, received_at, judged_at, at, service, action, outcome, attempt, \
    form, user_name, user_known, address, port, method, key_kind, key_fingerprint, \
    certificate_id, certificate_serial, certificate_authority, pid, trust, line, target, tunnel_v4, \
    tunnel_v6, command FROM access_event";

fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    Ok(Kept {
        id: row.try_get("id")?,
        host: row.try_get("host_name")?,
        received_at: stamp(row.try_get("received_at")?),
        judged_at: row.try_get("judged_at")?,
        event: AccessEvent {
            at: stamp(row.try_get("at")?),
            service: variant(&SERVICES, row.try_get("service")?)?,
            action: variant(&ACTIONS, row.try_get("action")?)?,
            outcome: variant(&OUTCOMES, row.try_get("outcome")?)?,
            attempt: row.try_get::<i64, _>("attempt")? == 1,
            form: row.try_get("form")?,
            user: user(row)?,
            peer: peer(row)?,
            method: row.try_get("method")?,
            key: key(row)?,
            certificate: certificate(row)?,
            pid: row
                .try_get::<Option<i64>, _>("pid")?
                .and_then(|pid| u32::try_from(pid).ok()),
            trust: variant(&TRUSTS, row.try_get("trust")?)?,
            line: row.try_get::<Vec<u8>, _>("line")?.into(),
            target: foreign(row, "target")?,
            tunnel: tunnel(row)?,
            command: foreign(row, "command")?,
        },
    })
}

fn foreign(row: &AnyRow, column: &str) -> sqlx::Result<Option<Foreign>> {
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    Ok(bytes.map(Foreign::from))
}

fn tunnel(row: &AnyRow) -> sqlx::Result<Tunnel> {
    let mut tunnel = Tunnel::default();
    for column in ["tunnel_v4", "tunnel_v6"] {
        let Some(bytes) = row.try_get(column)? else {
            continue;
        };
        match address(fixed(bytes)?) {
            IpAddr::V4(address) => tunnel.v4 = Some(address),
            IpAddr::V6(address) => tunnel.v6 = Some(address),
        }
    }
    Ok(tunnel)
}

fn user(row: &AnyRow) -> sqlx::Result<Option<User>> {
    let name: Option<Vec<u8>> = row.try_get("user_name")?;
    let known = row.try_get::<Option<i64>, _>("user_known")? == Some(1);
    Ok(name.map(|name| User {
        name: Foreign::from(name),
        known,
    }))
}

fn peer(row: &AnyRow) -> sqlx::Result<Option<Peer>> {
    let Some(bytes) = row.try_get("address")? else {
        return Ok(None);
    };
    let port: Option<i64> = row.try_get("port")?;
    Ok(Some(Peer {
        address: address(fixed(bytes)?),
        port: port.and_then(|port| u16::try_from(port).ok()),
    }))
}

fn key(row: &AnyRow) -> sqlx::Result<Option<Key>> {
    let kind: Option<String> = row.try_get("key_kind")?;
    let fingerprint: Option<String> = row.try_get("key_fingerprint")?;
    let both = kind.zip(fingerprint);
    Ok(both.map(|(kind, fingerprint)| Key { kind, fingerprint }))
}

fn certificate(row: &AnyRow) -> sqlx::Result<Option<Certificate>> {
    let serial: Option<i64> = row.try_get("certificate_serial")?;
    let authority: Option<String> = row.try_get("certificate_authority")?;
    Ok(foreign(row, "certificate_id")?.map(|id| Certificate {
        id,
        serial: serial.map(i64::cast_unsigned),
        authority,
    }))
}
