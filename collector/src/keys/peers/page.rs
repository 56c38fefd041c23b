//! The page of peers of WireGuard.

use std::sync::Arc;

use askama::Template;
use axum::extract::State as Shared;
use watchward_daemon::config::Live;
use watchward_protocol::text::escaped;

use super::api::{self, Shown, Trouble};
use crate::keys::Policy;
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Html, Pages, Part, Tone, Visitor, page};

/// How many the page of a host shows.
const FEW: usize = 20;

/// `/keys/peers`: who may come into hosts' networks; and what the page of a host says of its own.
pub fn pages(store: Store, policy: Live<Policy>) -> Pages {
    let (of_host, rules) = (store.clone(), policy.clone());
    Pages::new()
        .get("/keys/peers", Needs::See, list)
        .about_host(move |visitor, host| about_host((of_host.clone(), rules.now()), visitor, host))
        .with_state((store, policy))
}

#[derive(Template)]
#[template(path = "keys/peers.html")]
struct Peers {
    frame: Frame,
    peers: Vec<Shown>,
    troubles: Vec<Trouble>,
}

#[derive(Template)]
#[template(path = "keys/peers_part.html")]
struct Few {
    frame: Frame,
    peers: Vec<Shown>,
    /// How many there are besides.
    more: usize,
    trouble: Option<String>,
}

/// Those of a host, what somebody should look at first; nothing, where there is none.
async fn about_host(
    (store, policy): (Store, Arc<Policy>),
    visitor: Visitor,
    host: String,
) -> anyhow::Result<Part> {
    let all = api::all(&store, &policy, visitor.now).await?;
    let host = escaped(&host);
    let mut peers: Vec<_> = all.peers.into_iter().filter(|it| it.host == host).collect();
    let mut troubles = all.troubles.into_iter().filter(|it| it.host == host);
    let trouble = troubles.next().map(|it| it.why);
    if peers.is_empty() && trouble.is_none() {
        return Ok(Part::default());
    }
    peers.sort_by_key(|it| (it.kept.is_none(), it.state.is_empty()));
    let more = peers.len().saturating_sub(FEW);
    peers.truncate(FEW);
    let few = Few {
        frame: visitor.frame(""),
        peers,
        more,
        trouble,
    };
    Ok(Part {
        tiles: Vec::new(),
        body: Html::of(&few)?,
    })
}

impl Shown {
    fn tone(&self) -> Tone {
        match (self.state, &self.kept) {
            (_, Some(_)) => Tone::Bad,
            ("revoked" | "new" | "overdue", None) => Tone::Warn,
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
