//! The access log and its gaps for the command line and the live view, as JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_protocol::access::{Action, Outcome, Service, Trust};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::address;
use super::rows::gap;
use super::rows::listing::{self, Kept, Wanted};
use crate::asked::{Addresses, Moment};
use crate::store::Store;
use crate::web::{Parameters, Problem};

/// `GET /v1/access` and `GET /v1/gaps`.
pub fn routes() -> Router<Store> {
    Router::new()
        .route("/v1/access", get(access))
        .route("/v1/gaps", get(gaps))
}

/// The events that came after the one with this id, in the order they came; `0` is before the first.
///
/// Beware: where several collectors share a database, one of two that come at the same moment may
/// be passed over. Good for looking on, not for counting.
///
/// # Errors
/// The database's.
pub async fn after(store: &Store, id: i64, limit: u32) -> sqlx::Result<Vec<Shown>> {
    let wanted = Wanted {
        after: Some(id),
        limit: i64::from(limit),
        ..Wanted::default()
    };
    let kept = listing::list(store, &wanted).await?;
    Ok(kept.into_iter().map(Shown::from).collect())
}

/// The id of the event that came last; `0` if there is none.
///
/// # Errors
/// The database's.
pub async fn last(store: &Store) -> sqlx::Result<i64> {
    listing::last(store).await
}

/// An event as it is shown: safe for a terminal, because what a stranger typed is escaped. Times
/// are microseconds of UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "as in `watchward_protocol::access::AccessEvent`"
)]
pub struct Shown {
    /// Grows with each event that comes.
    pub id: i64,
    pub at: Timestamp,
    pub received_at: Timestamp,
    pub host: String,
    pub service: Service,
    pub action: Action,
    pub outcome: Outcome,
    pub attempt: bool,
    pub form: String,
    pub user: Option<String>,
    pub user_known: Option<bool>,
    pub address: Option<String>,
    pub port: Option<u16>,
    pub method: Option<String>,
    pub key_kind: Option<String>,
    pub key_fingerprint: Option<String>,
    pub certificate_id: Option<String>,
    pub certificate_serial: Option<u64>,
    pub certificate_authority: Option<String>,
    pub pid: Option<u32>,
    pub trust: Trust,
    pub line: String,
    pub target: Option<String>,
    pub tunnel_v4: Option<Ipv4Addr>,
    pub tunnel_v6: Option<Ipv6Addr>,
    pub command: Option<String>,
}

impl From<Kept> for Shown {
    fn from(kept: Kept) -> Self {
        let event = kept.event;
        let (key_kind, key_fingerprint) = event
            .key
            .map(|key| (escaped(&key.kind), escaped(&key.fingerprint)))
            .unzip();
        let certificate = event.certificate.as_ref();
        Self {
            id: kept.id,
            at: event.at,
            received_at: kept.received_at,
            host: kept.host,
            service: event.service,
            action: event.action,
            outcome: event.outcome,
            attempt: event.attempt,
            form: escaped(&event.form),
            user_known: event.user.as_ref().map(|user| user.known),
            user: event.user.map(|user| user.name.to_string()),
            address: event.peer.map(|peer| peer.address.to_string()),
            port: event.peer.and_then(|peer| peer.port),
            method: event.method.map(|method| escaped(&method)),
            key_kind,
            key_fingerprint,
            certificate_id: certificate.map(|certificate| certificate.id.to_string()),
            certificate_serial: certificate.and_then(|certificate| certificate.serial),
            certificate_authority: certificate
                .and_then(|certificate| certificate.authority.as_deref())
                .map(escaped),
            pid: event.pid,
            trust: event.trust,
            line: event.line.to_string(),
            target: event.target.map(|target| target.to_string()),
            tunnel_v4: event.tunnel.v4,
            tunnel_v6: event.tunnel.v6,
            command: event.command.map(|command| command.to_string()),
        }
    }
}

/// What `GET /v1/access` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    since: Option<Moment>,
    until: Option<Moment>,
    host: Option<String>,
    user: Option<String>,
    address: Option<Addresses>,
    service: Option<Service>,
    tunnel: Option<IpAddr>,
    outcome: Option<Outcome>,
    form: Option<String>,
    attempts: bool,
    after: Option<i64>,
    limit: Option<u32>,
}

impl Asked {
    pub(super) fn wanted(self, now: Timestamp) -> Wanted {
        Wanted {
            since: self.since.map(|moment| moment.before(now)),
            until: self.until.map(|moment| moment.through(now)),
            host: self.host,
            user: self.user.map(String::into_bytes),
            addresses: self
                .address
                .map(|Addresses(network)| address::range(network)),
            service: self.service,
            tunnel: self.tunnel.map(|address| address.to_canonical()),
            outcome: self.outcome,
            form: self.form,
            attempts: self.attempts,
            only: None,
            after: self.after,
            before: None,
            limit: i64::from(self.limit.unwrap_or(100).min(MOST)),
        }
    }
}

const MOST: u32 = 10_000;

async fn access(
    State(store): State<Store>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<Shown>>, Problem> {
    let kept = listing::list(&store, &asked.wanted(clock::now())).await?;
    Ok(Json(kept.into_iter().map(Shown::from).collect()))
}

/// What `GET /v1/gaps` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GapsAsked {
    host: Option<String>,
    limit: Option<u32>,
}

/// A gap as it is shown. Times are microseconds of UTC.
#[derive(Debug, Serialize)]
struct ShownGap {
    id: i64,
    host: String,
    received_at: Timestamp,
    source: String,
    from: Option<Timestamp>,
    to: Timestamp,
    lost: Option<u64>,
    why: String,
}

async fn gaps(
    State(store): State<Store>,
    Parameters(asked): Parameters<GapsAsked>,
) -> Result<Json<Vec<ShownGap>>, Problem> {
    let limit = i64::from(asked.limit.unwrap_or(100).min(MOST));
    let kept = gap::list(&store, asked.host, limit).await?;
    let shown = kept.into_iter().map(|kept| ShownGap {
        id: kept.id,
        host: kept.host,
        received_at: kept.received_at,
        source: escaped(&kept.gap.source),
        from: kept.gap.from,
        to: kept.gap.to,
        lost: kept.gap.lost,
        why: escaped(&kept.gap.why),
    });
    Ok(Json(shown.collect()))
}
