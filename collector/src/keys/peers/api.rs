//! What the operator's command asks of peers of WireGuard, as JSON.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::renewal::{Aging, Stage};
use crate::keys::Policy;
use crate::keys::rows::peer as rows;
use crate::keys::rows::revoked::{self, Mark};
use crate::store::Store;
use crate::web::Problem;

/// A peer that did not prove who it is for so long is shown as unused.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 3600);

/// A peer, for the command and for the page. Safe for a terminal.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    pub(super) host: String,
    pub(super) interface: String,
    pub(super) peer: String,
    /// Whose it is, or what, by the policy; empty: the policy does not say.
    pub(super) name: String,
    /// `new`, `revoked`, `overdue`, `due`, `unused`, or empty.
    pub(super) state: &'static str,
    pub(super) allowed: String,
    pub(super) endpoint: Option<String>,
    pub(super) first_at: Timestamp,
    /// When its key is too old by the policy; none: never.
    pub(super) due_at: Option<Timestamp>,
    /// When it last proved who it is, by the host's clock.
    pub(super) proved_at: Option<Timestamp>,
    pub(super) received: i64,
    pub(super) sent: i64,
    /// Why it stands although it is revoked.
    pub(super) kept: Option<String>,
}

/// What a host cannot tell.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    pub(super) host: String,
    pub(super) why: String,
}

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct All {
    pub(super) peers: Vec<Shown>,
    pub(super) troubles: Vec<Trouble>,
}

/// `GET /v1/keys/peers`: who may come into hosts' networks, and when they last did.
pub fn routes(store: Store, policy: Live<Policy>) -> Router {
    Router::new()
        .route("/v1/keys/peers", get(list))
        .with_state((store, policy))
}

async fn list(State((store, policy)): State<(Store, Live<Policy>)>) -> Result<Json<All>, Problem> {
    Ok(Json(all(&store, &policy.now(), clock::now()).await?))
}

/// Every peer of every host.
pub(super) async fn all(store: &Store, policy: &Policy, now: Timestamp) -> sqlx::Result<All> {
    let revoked = revoked::marks(store).await?;
    let peers = rows::all(store).await?.into_iter();
    let mut troubles = Vec::new();
    for (host, said) in rows::said(store).await? {
        let omitted = (said.omitted > 0).then(|| format!("{} more are not listed", said.omitted));
        troubles.extend(said.trouble.or(omitted).map(|why| Trouble {
            host: escaped(&host),
            why,
        }));
    }
    Ok(All {
        peers: peers.map(|it| shown(it, (policy, &revoked), now)).collect(),
        troubles,
    })
}

type Marks = HashMap<String, Mark>;

fn shown(peer: rows::Kept, (policy, revoked): (&Policy, &Marks), now: Timestamp) -> Shown {
    let known = policy.peering(&peer.peer);
    let aging = Aging::of(&peer, policy, now);
    let stage = aging.as_ref().map_or(Stage::Young, |it| it.stage(now));
    let last = peer.proved_at.unwrap_or(peer.first_at);
    Shown {
        state: if revoked.contains_key(&peer.peer) {
            "revoked"
        } else if peer.news.is_some() {
            "new"
        } else if stage >= Stage::Late {
            "overdue"
        } else if stage == Stage::Soon {
            "due"
        } else if now.since(last) >= UNUSED {
            "unused"
        } else {
            ""
        },
        name: known.map(super::Peering::called).unwrap_or_default(),
        host: escaped(&peer.name),
        interface: peer.interface,
        peer: peer.peer,
        allowed: peer.allowed,
        endpoint: peer.endpoint,
        first_at: peer.first_at,
        due_at: aging.map(|it| it.due_at),
        proved_at: peer.proved_at,
        received: peer.received,
        sent: peer.sent,
        kept: peer.kept,
    }
}
