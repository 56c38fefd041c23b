//! Whom sshd lets in, on a host's page.

use askama::Template;

use super::judge::{Change, beside, changes, gate};
use crate::restriction::Policy;
use crate::restriction::rows::sshd::{self as rows, Kept};
use crate::store::Store;
use crate::web::{Frame, Html, Visitor};

#[derive(Template)]
#[template(path = "restriction/sshd.html")]
struct Section {
    frame: Frame,
    kept: Kept,
    changes: Vec<Change>,
    /// What it says beside the policy, in sentences.
    beside: Vec<String>,
}

/// What sshd lets in; nothing if the host told nothing of it.
pub(in crate::restriction) async fn part(
    store: &Store,
    policy: &Policy,
    (visitor, host): (&Visitor, &str),
) -> anyhow::Result<Html> {
    let kept = rows::named(store, host).await?;
    let Some(kept) = kept.filter(|kept| !kept.lines.is_empty()) else {
        return Ok(Html::default());
    };
    let gates = policy.table.gates(host, visitor.now, visitor.now);
    let beside = gate(&gates).map_or_else(Vec::new, |gate| beside(gate, &kept.lines));
    Html::of(&Section {
        frame: visitor.frame(""),
        changes: changes(&kept.accepted, &kept.lines),
        kept,
        beside,
    })
}
