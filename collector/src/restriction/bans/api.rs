//! Bans for the command line, as JSON: listed, decided, lifted, pinned.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::restriction::Veto;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::wish::{Lifting, NewBan, Unfit};
use super::{Spread, people};
use crate::asked::{Addresses, Moment};
use crate::restriction::policy::Policy;
use crate::restriction::rows::bans::{self, Kept, Wanted};
use crate::restriction::rows::held;
use crate::store::Store;
use crate::web::{Body, Parameters, Problem, Who};

/// How many bans are listed at most.
const MOST: u32 = 10_000;
/// How many of the hosts that decided a ban are named.
const HOSTS: usize = 16;

/// `GET /v1/bans`; `POST /v1/bans`, `/v1/bans/lift` and `/v1/bans/pin`.
pub fn routes(store: Store, policy: Live<Policy>, spread: Spread) -> Router {
    Router::new()
        .route("/v1/bans", get(list).post(add))
        .route("/v1/bans/lift", post(lift))
        .route("/v1/bans/pin", post(pin))
        .with_state(Room {
            store,
            policy,
            spread,
        })
}

/// What the paths of bans need.
#[derive(Clone)]
pub(super) struct Room {
    pub(super) store: Store,
    pub(super) policy: Live<Policy>,
    pub(super) spread: Spread,
}

/// A ban as it is shown. Safe for a terminal.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Grows with each that comes.
    pub id: i64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who is shut out.
    pub net: String,
    /// The host on whose word it holds.
    pub host: Option<String>,
    /// The hosts that decided it, at most 16.
    pub hosts: Vec<String>,
    /// The person who decided it, or how long it lasts.
    pub author: Option<String>,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Whether it ends then whatever its source does.
    pub pinned: bool,
    /// The how manieth time.
    pub times: i64,
    /// How often it was decided again while it held.
    pub repeats: i64,
    /// Some of the lines of the log.
    pub evidence: Vec<String>,
    /// Why it holds on its host alone, if it does.
    pub unspread: Option<String>,
    /// Whether it holds.
    pub holds: bool,
    /// When somebody lifted it.
    pub lifted_at: Option<Timestamp>,
    /// Who did.
    pub lifted_by: Option<String>,
    /// Why.
    pub lifted_why: Option<String>,
    /// The hosts that do not hold it, and why not.
    pub vetoed: Vec<Vetoed>,
}

/// A host that does not hold a ban.
#[derive(Clone, Debug, Serialize)]
pub struct Vetoed {
    /// The host.
    pub host: String,
    /// Why not.
    pub why: Veto,
}

impl Shown {
    fn of(kept: Kept, now: Timestamp) -> Self {
        let (id, row, repeats) = (kept.id, kept.row, kept.repeats);
        let lines = row.evidence.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let (at, by, why) = match kept.ended {
            Some((at, by, why)) => (Some(at), Some(by), Some(why)),
            None => (None, None, None),
        };
        Self {
            id,
            at: row.decided_at,
            net: row.net.to_string(),
            host: row.host.map(|(_, name)| name),
            hosts: Vec::new(),
            author: row.author,
            reason: row.reason,
            until: row.until,
            pinned: row.pinned,
            times: row.times,
            repeats,
            evidence: lines.map(|line| Foreign::from(line).to_string()).collect(),
            unspread: row.unspread,
            holds: row.holds && row.until > now,
            lifted_at: at,
            lifted_by: by,
            lifted_why: why,
            vetoed: Vec::new(),
        }
    }
}

/// Bans that came after this one, in order, at most so many.
///
/// # Errors
/// The database's.
pub async fn after(store: &Store, id: i64, limit: u32) -> sqlx::Result<Vec<Shown>> {
    let wanted = Wanted {
        after: Some(id),
        limit: i64::from(limit),
        ..Wanted::default()
    };
    let (bans, now) = (bans::list(store, &wanted).await?, clock::now());
    Ok(bans.into_iter().map(|ban| Shown::of(ban, now)).collect())
}

/// The number of the last ban; 0 if there is none.
///
/// # Errors
/// The database's.
pub async fn last(store: &Store) -> sqlx::Result<i64> {
    bans::last(store).await
}

/// What is asked for of bans.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    pub(super) host: Option<String>,
    pub(super) address: Option<Addresses>,
    /// Also those that are over.
    pub(super) ended: Option<bool>,
    pub(super) limit: Option<u32>,
}

/// The latest bans of those that are asked for, with all that is known of them.
pub(super) async fn shown(store: &Store, asked: Asked, now: Timestamp) -> sqlx::Result<Vec<Shown>> {
    let ends = |Addresses(net): Addresses| (net.network(), net.broadcast());
    let wanted = Wanted {
        host: asked.host,
        addresses: asked.address.map(ends),
        now: (!asked.ended.unwrap_or(false)).then_some(now),
        after: None,
        limit: i64::from(asked.limit.unwrap_or(1000).min(MOST)),
    };
    let kept = bans::list(store, &wanted).await?;
    let ids: Vec<_> = kept.iter().map(|ban| ban.id).collect();
    let mut hosts = bans::hosts_of(store, &ids, HOSTS).await?;
    let mut vetoes: BTreeMap<IpNet, Vec<Vetoed>> = BTreeMap::new();
    for (net, host, why) in held::vetoes(store.read()).await? {
        vetoes.entry(net).or_default().push(Vetoed { host, why });
    }
    let whole = |ban: Kept| {
        let vetoed = vetoes.get(&ban.row.net).cloned().unwrap_or_default();
        Shown {
            hosts: hosts.remove(&ban.id).unwrap_or_default(),
            vetoed,
            ..Shown::of(ban, now)
        }
    };
    Ok(kept.into_iter().map(whole).collect())
}

async fn list(
    State(room): State<Room>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Value>, Problem> {
    let bans = shown(&room.store, asked, clock::now()).await?;
    Ok(Json(json!({ "bans": bans })))
}

/// Why, in JSON, nothing came of it.
fn refused(unfit: Unfit) -> Problem {
    Problem::refused(unfit.to_string())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    net: Addresses,
    /// A span from now on, or a moment.
    until: Moment,
    reason: String,
    #[serde(default)]
    even_so: bool,
    /// From where whoever asks has come to this machine.
    from: Option<IpAddr>,
}

async fn add(
    State(room): State<Room>,
    Who(author): Who,
    Body(wish): Body<Wish>,
) -> Result<Json<Value>, Problem> {
    let now = clock::now();
    let new = NewBan {
        net: wish.net.0,
        until: wish.until.after(now),
        reason: wish.reason,
        even_so: wish.even_so,
        from: wish.from,
    };
    let (policy, until) = (room.policy.now(), new.until);
    let by = (&*author, &policy.networks);
    let net = people::add(&room.store, new, by, now)
        .await?
        .map_err(refused)?;
    room.spread.changed();
    Ok(Json(told(&room.store, net, until).await?))
}

/// A ban that holds until then; `open` are the hosts that shut nobody out, and `shutting` says how many
/// others there are.
async fn told(store: &Store, net: IpNet, until: Timestamp) -> sqlx::Result<Value> {
    let (open, shutting) = held::by_enforcer(store).await?;
    Ok(json!({ "net": net.to_string(), "until": until, "open": open, "shutting": shutting }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lift {
    net: Addresses,
    reason: String,
    #[serde(default)]
    even_so: bool,
}

async fn lift(
    State(room): State<Room>,
    Who(author): Who,
    Body(wish): Body<Lift>,
) -> Result<Json<Value>, Problem> {
    let lifting = Lifting {
        net: wish.net.0,
        reason: wish.reason,
        even_so: wish.even_so,
    };
    let lifted = people::lift(&room.store, lifting, &author, clock::now()).await?;
    let lifted = lifted.map_err(refused)?;
    room.spread.changed();
    let lifted: Vec<_> = lifted.iter().map(ToString::to_string).collect();
    Ok(Json(json!({ "lifted": lifted })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    net: Addresses,
    until: Moment,
}

async fn pin(
    State(room): State<Room>,
    Who(author): Who,
    Body(wish): Body<Pin>,
) -> Result<Json<Value>, Problem> {
    let now = clock::now();
    let until = wish.until.after(now);
    let by = (&*author, until);
    let pinned = people::pin(&room.store, wish.net.0, by, now).await?;
    let net = pinned.map_err(refused)?;
    room.spread.changed();
    Ok(Json(told(&room.store, net, until).await?))
}
