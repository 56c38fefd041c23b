//! The page of peers of WireGuard.

use askama::Template;
use axum::extract::State as Shared;
use watchward_daemon::config::Live;

use super::api::{self, Shown, Trouble};
use crate::keys::Policy;
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Pages, Tone, Visitor, page};

/// `/keys/peers`: who may come into hosts' networks.
pub fn pages(store: Store, policy: Live<Policy>) -> Pages {
    Pages::new()
        .get("/keys/peers", Needs::See, list)
        .with_state((store, policy))
}

#[derive(Template)]
#[template(path = "keys/peers.html")]
struct Peers {
    frame: Frame,
    peers: Vec<Shown>,
    troubles: Vec<Trouble>,
}

impl Shown {
    fn tone(&self) -> Tone {
        match (self.state, &self.kept) {
            (_, Some(_)) => Tone::Bad,
            ("revoked" | "new", None) => Tone::Warn,
            (_, None) => Tone::Dim,
        }
    }
}

async fn list(Shared((store, policy)): Shared<(Store, Live<Policy>)>, visitor: Visitor) -> Answer {
    let all = api::all(&store, &policy.now(), visitor.now).await?;
    page(&Peers {
        frame: visitor.frame("Peers of WireGuard"),
        peers: all.peers,
        troubles: all.troubles,
    })
}
