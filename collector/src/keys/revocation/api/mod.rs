//! What the operator's command asks of revocations, as JSON.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::instruments::Instruments;
use watchward_protocol::receipt::{Public, Receipt};
use watchward_protocol::report::Report;
use watchward_protocol::text::escaped;

use super::plan::Account;
use super::receipt::Sources;
use super::{Inventory, Revocations, Signer, strange};
use crate::alerting::Bell;
use crate::keys::policy::Policy;
use crate::keys::proof::{self, Revoked};
use crate::keys::rows::cause::{self, Sort};
use crate::keys::rows::revoked as rows;
use crate::store::{Store, Tx};
use crate::web::{Parameters, Problem, Who};

mod host_keys;
mod wanted;

use wanted::{Plan, What};

/// The longest reason, in bytes.
const LONGEST_REASON: usize = 500;

/// Where keys are revoked.
#[derive(Clone, Debug)]
pub struct Desk {
    sources: Sources,
    policy: Live<Policy>,
    revocations: Revocations,
    bell: Bell,
}

impl Desk {
    /// One that takes whose key is whose from this policy.
    pub fn new(
        (store, inventory): (Store, Inventory),
        (policy, signer): (Live<Policy>, Signer),
        (revocations, bell): (Revocations, Bell),
    ) -> Self {
        let sources = Sources {
            store,
            inventory,
            signer,
        };
        Self {
            sources,
            policy,
            revocations,
            bell,
        }
    }

    /// A report's text, signed as receipts are.
    ///
    /// # Errors
    /// Why it cannot be signed, for people.
    pub fn sign(&self, report: &Report) -> Result<String, String> {
        self.sources.signer.sign(report)
    }

    /// What that is verified with.
    pub fn signer(&self) -> Public {
        self.sources.signer.public()
    }

    /// Where receipts come from.
    pub(in crate::keys) fn sources(&self) -> Sources {
        self.sources.clone()
    }
}

#[cfg(test)]
impl Desk {
    /// One for tests, with these hosts and this policy.
    pub(crate) async fn of(store: &Store, inventory: Inventory, policy: Policy) -> Self {
        let sealing = crate::sealing::Sealing::fleeting();
        let signer = Signer::open(store, &sealing, clock::now()).await.unwrap();
        let (revocations, _) = Revocations::open(store).await.unwrap();
        let hosts = (store.clone(), inventory);
        let rest = (revocations, Bell::default());
        Self::new(hosts, (Live::fixed(policy), signer), rest)
    }
}

/// `POST /v1/revoke/plan` with one of `{"key": "ssh-ed25519 AAAA..."}`, `{"fingerprint": ...}` and
/// `{"person": ...}`: what revoking it would do. `POST /v1/revoke` with the same, a `reason`, and
/// `even_so` where somebody would be left without a way in; `GET /v1/revoke/stand?fingerprint=...`: what
/// came of it until now. `POST /v1/keys/reinstate` with `{"fingerprint": ...}`: it may open something
/// again, or `key`, `person` and `serial` as above. `GET /v1/revoke/host-keys?host=...`: which keys are
/// this host's own, and `POST` with a `reason` and the `keys` that were shown: clients are to refuse them. `GET /v1/keys/give-up`: what hosts refuse that
/// another database had revoked, and `POST` with a `reason` and the `lineages` that were shown: they need
/// not any more. `GET /v1/receipt?fingerprint=...` or `number=...`: the receipt,
/// signed, and `GET /v1/receipt/key` what it is looked at with.
pub fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/v1/revoke/plan", post(plan))
        .route("/v1/revoke", post(revoke))
        .route(
            "/v1/revoke/host-keys",
            get(host_keys::plan).post(host_keys::revoke),
        )
        .route("/v1/revoke/stand", get(stand))
        .route("/v1/keys/reinstate", post(reinstate))
        .route("/v1/keys/give-up", get(strangers).post(give_up))
        .route("/v1/receipt", get(receipt))
        .route("/v1/receipt/key", get(key))
        .with_state(desk)
}

async fn plan(State(desk): State<Desk>, Json(what): Json<What>) -> Result<Json<Plan>, Problem> {
    Ok(Json(desk.plan(what).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    what: What,
    reason: String,
    #[serde(default)]
    even_so: bool,
}

/// What was revoked.
#[derive(Debug, Serialize)]
struct Done {
    /// The fingerprints of those that were not before.
    revoked: Vec<String>,
    /// And of those that were.
    before: Vec<String>,
    /// Who is left without a way in.
    lonely: Vec<Account>,
}

async fn revoke(
    State(desk): State<Desk>,
    Who(by): Who,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Done>, Problem> {
    let reason = reason(&wanted.reason)?;
    let plan = desk.plan(wanted.what).await?;
    if !plan.lonely.is_empty() && !wanted.even_so {
        let names = plan.lonely.iter().take(10);
        let names: Vec<_> = names
            .map(|it| format!("{}@{}", it.account, it.host))
            .collect();
        return Err(Problem::refused(format!(
            "it leaves an account without a way in: {}; --even-so revokes it nevertheless",
            names.join(", ")
        )));
    }
    let done = desk.carry_out(plan, (reason, &by)).await?;
    desk.revocations.changed();
    desk.bell.ring();
    Ok(Json(done))
}

fn reason(text: &str) -> Result<&str, Problem> {
    let reason = text.trim();
    match reason.is_empty() || reason.len() > LONGEST_REASON {
        true => Err(Problem::refused("a reason is needed, of 500 bytes at most")),
        false => Ok(reason),
    }
}

impl Desk {
    async fn carry_out(&self, plan: Plan, (reason, by): (&str, &str)) -> Result<Done, Problem> {
        let now = clock::now();
        let mut tx = self.sources.store.begin().await?;
        let generation = rows::next(&mut tx, now).await?;
        let (mut revoked, mut before) = (Vec::new(), Vec::new());
        for key in plan.keys {
            let one = Revoked {
                fingerprint: key.fingerprint.clone(),
                kind: key.kind,
                wire: key.wire,
                reason: escaped(reason),
                author: by.to_owned(),
                at: now,
                comment: key.comment,
                person: key.person,
                generation,
            };
            match rows::revoke(&mut tx, &one).await? {
                true => revoked.push(key.fingerprint),
                false => before.push(key.fingerprint),
            }
        }
        fits(&mut tx).await?;
        tx.commit().await?;
        Ok(Done {
            revoked,
            before,
            lonely: plan.lonely,
        })
    }
}

/// Whether an order has room for all that people revoked.
async fn fits(tx: &mut Tx) -> Result<(), Problem> {
    for (sort, most, what) in [
        (Sort::Keys, Instruments::MOST_REVOKED, "keys"),
        (Sort::Peers, Instruments::MOST_PEERS, "peers of WireGuard"),
    ] {
        if cause::by_people(tx, sort).await? > most {
            let why = format!("no more than {most} {what} can be revoked at a time");
            return Err(Problem::refused(why));
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    fingerprint: String,
    /// The number of its receipt, in its place.
    number: Option<i64>,
}

async fn stand(
    State(desk): State<Desk>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Receipt>, Problem> {
    Ok(Json(desk.receipt(which).await?))
}

async fn receipt(
    State(desk): State<Desk>,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let receipt = desk.receipt(which).await?;
    let text = desk.sources.signer.sign(&receipt);
    let text = text.map_err(|why| anyhow::anyhow!(why))?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

impl Desk {
    async fn receipt(&self, which: Which) -> Result<Receipt, Problem> {
        let (one, none) = match which.number {
            Some(number) => (
                rows::Which::Numbered(number),
                format!("there is no receipt {number}"),
            ),
            None => (
                rows::Which::Last(&which.fingerprint),
                format!("no key {} is or was revoked", escaped(&which.fingerprint)),
            ),
        };
        let found = self.sources.receipt(one, clock::now()).await?;
        found.ok_or_else(|| Problem::missing(none))
    }
}

/// What receipts are looked at with.
#[derive(Debug, Serialize)]
struct Key {
    pem: String,
    name: String,
}

async fn key(State(desk): State<Desk>) -> Json<Key> {
    let public = desk.sources.signer.public();
    Json(Key {
        pem: public.to_pem(),
        name: public.to_string(),
    })
}

#[derive(Debug, Serialize)]
struct Reinstated {
    fingerprints: Vec<String>,
}

async fn reinstate(
    State(desk): State<Desk>,
    Who(by): Who,
    Json(what): Json<What>,
) -> Result<Json<Reinstated>, Problem> {
    let now = clock::now();
    let fingerprints = desk.reinstating(what).await?;
    let mut tx = desk.sources.store.begin().await?;
    rows::next(&mut tx, now).await?;
    for fingerprint in &fingerprints {
        if !rows::reinstate(&mut tx, (fingerprint, &by), now).await? {
            let why = format!("no key {} is revoked", escaped(fingerprint));
            return Err(Problem::missing(why));
        }
        proof::end(&mut tx, (fingerprint, &by), now).await?;
        super::reinstated(&mut tx, fingerprint, now).await?;
    }
    tx.commit().await?;
    desk.revocations.changed();
    desk.bell.ring();
    Ok(Json(Reinstated { fingerprints }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GiveUp {
    reason: String,
    /// What was shown to whoever gives it up.
    lineages: Vec<String>,
}

async fn strangers(State(desk): State<Desk>) -> Result<Json<strange::Shown>, Problem> {
    Ok(Json(strange::shown(&desk.sources.store).await?))
}

async fn give_up(
    State(desk): State<Desk>,
    Who(by): Who,
    Json(wanted): Json<GiveUp>,
) -> Result<Json<strange::GivenUp>, Problem> {
    let why = (&*by, &*escaped(reason(&wanted.reason)?));
    let given_up = strange::give_up(&desk.sources.store, &wanted.lineages, why, clock::now());
    let given_up = given_up.await?;
    if given_up.hosts.is_empty() {
        let why = match given_up.since.is_empty() {
            true => "there is nothing to give up: no host refuses more than this database knows",
            false => {
                "no host refuses any of what was shown, but others turned up: nothing was given up"
            }
        };
        return Err(Problem::refused(why));
    }
    desk.revocations.changed();
    desk.bell.ring();
    Ok(Json(given_up))
}
