//! What the operator's command asks of doors, as JSON.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::proof::{Control, Door, Said};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::elsewhere::{Asking, Sites, place};
use super::glass::{self, ShownGlass};
use super::offered::Offered;
use super::revoked::{self, Hosts};
use super::shown::{self, ShownRevoked, Trouble};
use super::{Heard, ask};
use crate::alerting::Bell;
use crate::intake::Questions;
use crate::keys::policy::Policy;
use crate::store::Store;
use crate::web::Problem;

/// `POST /v1/keys/prove` with `{"key": "ssh-ed25519 AAAA...", "host": ...}`: whether any account still
/// takes this key. It is asked when this is called; what is said is kept if the key is revoked. `GET
/// /v1/keys/revoked`: the keys that are, and what was said last. `GET /v1/keys/break-glass`: where each
/// break-glass key opens what it should.
pub fn routes(
    (store, policy): (Store, Live<Policy>),
    (questions, hosts, sites): (Questions, Hosts, Sites),
    bell: Bell,
) -> Router {
    Router::new()
        .route("/v1/keys/prove", post(prove))
        .route("/v1/keys/revoked", get(all))
        .route("/v1/keys/break-glass", get(break_glass))
        .with_state(Room {
            asking: Asking::new(store.clone(), questions, sites),
            store,
            policy,
            hosts,
            bell,
        })
}

#[derive(Clone)]
struct Room {
    store: Store,
    policy: Live<Policy>,
    asking: Asking,
    hosts: Hosts,
    bell: Bell,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    key: String,
    host: Option<String>,
}

/// What came of it. Safe for a terminal.
#[derive(Debug, Serialize)]
struct Proven {
    key: Offered,
    at: Timestamp,
    doors: Vec<Shown>,
    /// Where not everything could be asked.
    troubles: Vec<Trouble>,
    /// Where there is nothing to open, and why.
    closed: Vec<Trouble>,
    /// What was seen from other hosts, or why nothing was.
    elsewhere: Vec<Trouble>,
}

#[derive(Debug, Serialize)]
struct Shown {
    host: String,
    account: String,
    at: String,
    said: Said,
    /// A key that the same sshd would take, by its fingerprint.
    control: Option<String>,
    /// The account that the control is of, where it is another one.
    control_account: Option<String>,
    note: String,
}

async fn prove(
    State(room): State<Room>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Proven>, Problem> {
    let key = Offered::read(&wanted.key).map_err(Problem::refused)?;
    let mut hosts = (room.hosts)(&room.store).await?;
    if let Some(host) = wanted.host {
        hosts.retain(|name| *name == host);
        if hosts.is_empty() {
            return Err(Problem::refused(format!("there is no host {host}")));
        }
    }
    let now = clock::now();
    let heard = ask(&room.asking, hosts, &key).await;
    if let Some(fingerprint) = &key.fingerprint {
        // Only of a key that is revoked.
        revoked::keep(&room.store, fingerprint, &heard, now).await?;
        room.bell.ring();
    }
    Ok(Json(Proven::new(key, now, heard)))
}

async fn all(State(room): State<Room>) -> Result<Json<Vec<ShownRevoked>>, Problem> {
    Ok(Json(shown::list(&room.store, clock::now()).await?))
}

async fn break_glass(State(room): State<Room>) -> Result<Json<Vec<ShownGlass>>, Problem> {
    let policy = room.policy.now();
    Ok(Json(glass::list(&room.store, &policy, clock::now()).await?))
}

impl Proven {
    fn new(key: Offered, at: Timestamp, heard: Vec<Heard>) -> Self {
        let mut proven = Self {
            key,
            at,
            doors: Vec::new(),
            troubles: Vec::new(),
            closed: Vec::new(),
            elsewhere: Vec::new(),
        };
        heard.into_iter().for_each(|one| proven.add(one));
        proven
    }

    fn add(&mut self, heard: Heard) {
        let (host, elsewhere) = (heard.host, heard.elsewhere);
        for (from, door) in elsewhere.doors() {
            let shown = Shown::new(host.clone(), door.clone());
            self.doors.push(Shown {
                at: place(door.at, from),
                ..shown
            });
        }
        let sentence = elsewhere.sentence();
        if !sentence.is_empty() {
            let (host, why) = (host.clone(), plain(&sentence));
            self.elsewhere.push(Trouble { host, why });
        }
        let mut trouble = |why: String| {
            let host = host.clone();
            self.troubles.push(Trouble { host, why });
        };
        let said = match heard.said {
            Ok(said) => said,
            Err(why) => return trouble(why),
        };
        if let Some(why) = &said.closed {
            let (host, why) = (host.clone(), plain(why));
            self.closed.push(Trouble { host, why });
        }
        said.trouble.iter().for_each(|why| trouble(plain(why)));
        if !said.left.is_empty() {
            trouble(format!(
                "{} accounts were not asked in time",
                said.left.len()
            ));
        }
        let doors = said.doors.into_iter();
        self.doors
            .extend(doors.map(|door| Shown::new(host.clone(), door)));
    }
}

impl Shown {
    fn new(host: String, door: Door) -> Self {
        let (control, control_account) = match door.control {
            Control::Own(fingerprint) => (Some(plain(&fingerprint)), None),
            Control::Other(account) => (None, Some(account.to_string())),
            Control::None => (None, None),
        };
        Self {
            host,
            account: door.account.to_string(),
            at: door.at.to_string(),
            said: door.said,
            control,
            control_account,
            note: plain(&door.note),
        }
    }
}

/// What a host says is not to move anybody's cursor.
fn plain(text: &str) -> String {
    escaped(text)
}
