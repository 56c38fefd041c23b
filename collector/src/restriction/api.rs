//! Networks, and who came from outside, for the command line, as JSON.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::access::Outcome;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::held::stand::stand;
use super::policy::{Place, Policy};
use super::rows::held::{self, Held};
use super::rows::listing::{self, Came, Kept, OUTSIDE, Wanted};
use super::services::written;
use crate::asked::{Addresses, Moment};
use crate::intake::Watched;
use crate::store::Store;
use crate::web::{Parameters, Problem};

/// How far back logins are counted.
pub(super) const COUNTED: Duration = Duration::from_secs(90 * 86_400);
/// How many accounts are shown that were used from outside.
const SHOWN: usize = 200;
const SHOWN_OF_THEN: i64 = 200;
/// How many accounts are looked through at most that somebody used.
pub(super) const LOOKED: i64 = 200_000;
/// How many tries are shown at most.
const MOST: u32 = 10_000;

/// `GET /v1/networks` and `GET /v1/outside`.
pub fn routes(store: Store, policy: Live<Policy>, hosts: Inventory) -> Router {
    Router::new()
        .route("/v1/networks", get(networks))
        .route("/v1/outside", get(outside))
        .with_state(Restriction {
            store,
            policy,
            hosts,
        })
}

/// What the room's paths need.
#[derive(Clone)]
pub(super) struct Restriction {
    pub(super) store: Store,
    pub(super) policy: Live<Policy>,
    pub(super) hosts: Inventory,
}

/// Says which hosts are watched, by name.
pub type Inventory = for<'a> fn(&'a Store) -> BoxFuture<'a, sqlx::Result<Vec<Watched>>>;

/// The networks, and who came from outside, in the last 90 days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The networks that have a name.
    pub networks: Vec<Network>,
    /// How many logins came from none of them.
    pub elsewhere: i64,
    /// The rules, in the words of the policy.
    pub rules: Vec<Rule>,
    /// The exceptions, those that are over too.
    pub exceptions: Vec<Exception>,
    /// The gates of each host, as the rules come to.
    pub gates: Vec<HostGate>,
    /// Who logged in from where the rules of today do not permit, the latest first.
    pub outside: Vec<Outside>,
}

/// A network that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// What it holds, as few networks as there can be.
    pub holds: Vec<String>,
    /// How many logins came from there, to whatever host.
    pub logins: i64,
}

/// A rule as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as in `restriction::policy::Rule`")]
pub struct Rule {
    pub groups: Vec<String>,
    pub services: Vec<String>,
    pub from: Vec<String>,
    pub mode: &'static str,
}

/// An exception as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    pub groups: Vec<String>,
    pub services: Vec<String>,
    pub from: Vec<String>,
    pub until: String,
    pub reason: String,
    /// Whether it holds still.
    pub holds: bool,
}

/// A gate of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostGate {
    /// The host.
    pub host: String,
    /// The service that it is before.
    pub service: String,
    /// Its ports.
    pub ports: Vec<String>,
    /// Whether it is shut to others, or only watched.
    pub mode: &'static str,
    /// Whether the host holds it: `held`, or why not.
    pub held: &'static str,
    /// How many packets from elsewhere it turned away, or would have, and from where some of them came.
    pub turned_away: u64,
    /// The addresses that most of them came from.
    pub turned_away_from: Vec<String>,
    /// The networks that may pass, as the policy names them.
    pub from: Vec<String>,
    /// The networks that may pass for a while, with their last day and why.
    pub exceptions: Vec<String>,
}

/// An account that was used from outside. Safe for a terminal: what a stranger typed is escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// On which host.
    pub host: String,
    /// By which service.
    pub service: &'static str,
    /// The account.
    pub user: Option<String>,
    /// From where.
    pub address: String,
    /// How many logins.
    pub logins: i64,
    /// The first of them.
    pub first_at: Timestamp,
    /// The last of them.
    pub last_at: Timestamp,
}

/// The networks, and who came from outside.
///
/// # Errors
/// The database's.
pub async fn summary(
    store: &Store,
    (policy, hosts): (&Policy, Inventory),
    now: Timestamp,
) -> sqlx::Result<Summary> {
    let (hosts, all_held) = (hosts(store).await?, held::all(store).await?);
    let table = &policy.table;
    let logins = listing::logins(store, now - COUNTED).await?;
    let count = |from: &dyn Fn(IpAddr) -> bool| -> i64 {
        let counted = logins.iter().filter(|one| from(one.address));
        counted.map(|one| one.count).sum()
    };
    let came = listing::came(store, now - COUNTED, (None, None), LOOKED).await?;
    let outside = came.into_iter().filter(|one| {
        let place = table.place((&one.host, one.service.name()), one.address, now);
        matches!(place, Place::Outside(_))
    });
    let sets: Vec<_> = policy.networks.all().collect();
    let networks = sets.iter().map(|(name, set)| Network {
        name: name.to_string(),
        holds: set.nets().iter().map(ToString::to_string).collect(),
        logins: count(&|address| set.has(address)),
    });
    Ok(Summary {
        networks: networks.collect(),
        elsewhere: count(&|address| !sets.iter().any(|(_, set)| set.has(address))),
        rules: table.rules.iter().map(Rule::from).collect(),
        exceptions: table
            .exceptions
            .iter()
            .map(|one| Exception::of(one, now))
            .collect(),
        gates: hosts
            .iter()
            .flat_map(|host| gates(policy, (host, all_held.get(&host.host.name)), now))
            .collect(),
        outside: outside.take(SHOWN).map(Outside::from).collect(),
    })
}

/// Who logged in from outside in the last 90 days, as it was judged when they came, to any host or to
/// this one; the latest first.
pub(super) async fn from_outside(
    store: &Store,
    host: Option<&str>,
    now: Timestamp,
) -> sqlx::Result<Vec<Outside>> {
    let came = listing::came(store, now - COUNTED, (host, Some(OUTSIDE)), SHOWN_OF_THEN).await?;
    Ok(came.into_iter().map(Outside::from).collect())
}

fn words(names: impl Iterator<Item = impl ToString>) -> Vec<String> {
    names.map(|name| name.to_string()).collect()
}

impl From<&super::policy::Rule> for Rule {
    fn from(rule: &super::policy::Rule) -> Self {
        Self {
            groups: words(rule.groups.names()),
            services: words(rule.services.names()),
            from: words(rule.from.names()),
            mode: rule.mode.name(),
        }
    }
}

impl Exception {
    fn of(one: &super::policy::Exception, now: Timestamp) -> Self {
        Self {
            groups: words(one.groups.names()),
            services: words(one.services.names()),
            from: words(one.from.names()),
            until: one.until.to_string(),
            reason: one.reason.as_str().to_owned(),
            holds: one.holds(now),
        }
    }
}

/// The gates of a host, which holds this.
pub(super) fn gates(
    policy: &Policy,
    (watched, held): (&Watched, Option<&Held>),
    now: Timestamp,
) -> Vec<HostGate> {
    let (table, host) = (&policy.table, watched.host.name.as_str());
    let stand = stand(&policy.ordered(host, now), watched, held);
    let gate = |service: &crate::policy::networks::Name| {
        let rules: Vec<_> = table.about(host, service.as_str()).collect();
        let mode = rules.first()?.mode.name();
        let mut from = words(rules.iter().flat_map(|rule| rule.from.names()));
        from.sort_unstable();
        from.dedup();
        let exceptions = table.excepted(host, service.as_str(), now).map(|one| {
            let from = words(one.from.names()).join(", ");
            format!("{from} until {}: {}", one.until, one.reason.as_str())
        });
        let told = held.and_then(|held| {
            let mut gates = held.gates.iter();
            gates.find(|gate| gate.name == service.as_str() && gate.mode.name() == mode)
        });
        let elsewhere = told.map(|gate| gate.from.iter().map(ToString::to_string));
        Some(HostGate {
            turned_away: told.map_or(0, |gate| gate.turned_away),
            turned_away_from: elsewhere.into_iter().flatten().collect(),
            host: host.to_owned(),
            service: service.to_string(),
            ports: table.services.ports(service).iter().map(written).collect(),
            mode,
            held: stand.words(),
            from,
            exceptions: exceptions.collect(),
        })
    };
    table.services.names().filter_map(gate).collect()
}

impl From<Came> for Outside {
    fn from(came: Came) -> Self {
        Self {
            host: came.host,
            service: came.service.name(),
            user: came.user.map(|(user, _)| user.to_string()),
            address: came.address.to_string(),
            logins: came.count,
            first_at: came.first_at,
            last_at: came.last_at,
        }
    }
}

async fn networks(State(room): State<Restriction>) -> Result<Json<Summary>, Problem> {
    let policy = room.policy.now();
    Ok(Json(
        summary(&room.store, (&policy, room.hosts), clock::now()).await?,
    ))
}

/// What `GET /v1/outside` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    since: Option<Moment>,
    host: Option<String>,
    user: Option<String>,
    address: Option<Addresses>,
    outcome: Option<Outcome>,
    limit: Option<u32>,
}

impl Asked {
    pub(super) fn wanted(self, now: Timestamp) -> Wanted {
        let ends = |Addresses(net)| (net.network(), net.broadcast());
        Wanted {
            since: self.since.map(|moment| moment.before(now)),
            host: self.host,
            user: self.user.map(String::into_bytes),
            addresses: self.address.map(ends),
            login: self.outcome.map(|outcome| outcome == Outcome::Success),
            limit: i64::from(self.limit.unwrap_or(100).min(MOST)),
        }
    }
}

/// Somebody who came from outside, or tried. Safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Grows with each that comes.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// To which host.
    pub host: String,
    /// To which service.
    pub service: &'static str,
    /// Whether they got in.
    pub outcome: Outcome,
    /// With which account.
    pub user: Option<String>,
    /// From where.
    pub address: String,
    /// The networks that were permitted then.
    pub permitted: String,
}

impl From<Kept> for Shown {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.id,
            at: kept.judged_at,
            host: kept.host,
            service: kept.service.name(),
            outcome: match kept.login {
                true => Outcome::Success,
                false => Outcome::Failure,
            },
            user: kept.user.as_ref().map(|(user, _)| Foreign::to_string(user)),
            address: kept.address.to_string(),
            permitted: kept.permitted,
        }
    }
}

async fn outside(
    State(room): State<Restriction>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<Shown>>, Problem> {
    let kept = listing::outside(&room.store, &asked.wanted(clock::now())).await?;
    Ok(Json(kept.into_iter().map(Shown::from).collect()))
}
