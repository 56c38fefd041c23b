//! How hosts stand with their gates, for the operator's command, as JSON.

use std::collections::HashMap;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::stand::{Stand, stand};
use crate::intake::Watched;
use crate::restriction::rows::held::{self, Held};
use crate::restriction::{Inventory, Policy};
use crate::store::Store;
use crate::web::Problem;

/// `GET /v1/gates`.
pub fn routes(store: Store, policy: Live<Policy>, inventory: Inventory) -> Router {
    Router::new()
        .route("/v1/gates", get(gates))
        .with_state((store, policy, inventory))
}

/// How a host stands with its gates. Safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::restriction) struct Standing {
    /// The host.
    pub(in crate::restriction) host: String,
    /// What is to be shut there to others.
    pub(in crate::restriction) shut: Vec<String>,
    /// Where others are only to be counted.
    pub(in crate::restriction) watched: Vec<String>,
    /// How it stands: `held`, `trial`, `waiting`, `refused`, `undone`, `no-enforcer`, `away`, `mute`.
    pub(in crate::restriction) stand: Stand,
    /// The same in a word or two.
    pub(in crate::restriction) words: &'static str,
    /// Why, as the host says.
    pub(in crate::restriction) why: String,
}

async fn gates(
    State((store, policy, inventory)): State<(Store, Live<Policy>, Inventory)>,
) -> Result<Json<Vec<Standing>>, Problem> {
    let (hosts, held) = (inventory(&store).await?, held::all(&store).await?);
    Ok(Json(standing(&policy.now(), (&hosts, &held), clock::now())))
}

/// How each host stands that has gates, or is to have some.
pub(in crate::restriction) fn standing(
    policy: &Policy,
    (hosts, held): (&[Watched], &HashMap<String, Held>),
    now: Timestamp,
) -> Vec<Standing> {
    let one = |host: &Watched| {
        let (name, held) = (&host.host.name, held.get(&host.host.name));
        let ordered = policy.ordered(name, now);
        let holds = held.is_some_and(|held| !held.gates.is_empty());
        let why = held.map(|held| Foreign::from(held.why.as_str()).to_string());
        (holds || !ordered.is_empty()).then(|| {
            let stand = stand(&ordered, host, held);
            Standing {
                host: name.clone(),
                shut: ordered.shut,
                watched: ordered.watched,
                stand,
                words: stand.words(),
                why: why.unwrap_or_default(),
            }
        })
    };
    hosts.iter().filter_map(one).collect()
}
