//! What the operator's command asks of doors, as JSON.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_protocol::proof::{Control, Door, Said};
use watchward_protocol::time::Timestamp;

use super::offered::Offered;
use super::{Heard, ask};
use crate::intake::Questions;
use crate::store::Store;
use crate::web::Problem;

/// Lists the hosts there are, by name.
type Hosts = fn(&Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>>;

/// `POST /v1/keys/prove` with `{"key": "ssh-ed25519 AAAA...", "host": ...}`: whether any account still
/// takes this key. It is asked when this is called, and nothing is kept.
pub fn routes(store: Store, questions: Questions, hosts: Hosts) -> Router {
    Router::new()
        .route("/v1/keys/prove", post(prove))
        .with_state(Room {
            store,
            questions,
            hosts,
        })
}

#[derive(Clone)]
struct Room {
    store: Store,
    questions: Questions,
    hosts: Hosts,
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

#[derive(Debug, Serialize)]
struct Trouble {
    host: String,
    why: String,
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
    let heard = ask(&room.questions, hosts, &key).await;
    let mut proven = Proven {
        key,
        at: clock::now(),
        doors: Vec::new(),
        troubles: Vec::new(),
    };
    for one in heard {
        proven.add(one);
    }
    Ok(Json(proven))
}

impl Proven {
    fn add(&mut self, heard: Heard) {
        let host = heard.host;
        let mut trouble = |why: String| {
            let host = host.clone();
            self.troubles.push(Trouble { host, why });
        };
        let said = match heard.said {
            Ok(said) => said,
            Err(why) => return trouble(why),
        };
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
    text.escape_debug().to_string()
}
