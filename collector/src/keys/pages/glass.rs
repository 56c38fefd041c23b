//! The page of the keys for emergencies: where each opens what it should.

use askama::Template;
use axum::extract::State as Shared;

use super::Has;
use crate::keys::proof::{ShownGlass, list_glass};
use crate::web::{Answer, Frame, Visitor, page};

#[derive(Template)]
#[template(path = "keys/glass.html")]
struct Glasses {
    frame: Frame,
    keys: Vec<Line>,
}

/// A key on a host, and the path of the key's page.
struct Line {
    key: ShownGlass,
    path: String,
}

pub(super) async fn all(Shared(has): Shared<Has>, visitor: Visitor) -> Answer {
    let keys = list_glass(&has.store, &has.policy.now(), visitor.now).await?;
    let lines = keys.into_iter().map(|key| Line {
        path: super::path(&key.fingerprint),
        key,
    });
    page(&Glasses {
        frame: visitor.frame("Break-glass keys"),
        keys: lines.collect(),
    })
}
