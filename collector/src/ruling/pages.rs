//! The pages of the policy: its versions, who brought each and why, and what it says. They change
//! nothing: that is for the command, which knows who asks.

use askama::Template;
use axum::extract::{Path, State};

use super::Ruling;
use super::api::{History, standing};
use crate::people::Needs;
use crate::policy::versions::{self, Whole};
use crate::web::{Answer, Frame, Pages, Sorry, Visitor, page};

/// How many versions are listed.
const SHOWN: i64 = 200;

/// The pages, with their entry of the navigation.
pub(crate) fn pages(ruling: Ruling) -> Pages {
    Pages::new()
        .entry("/policy", "Policy")
        .get("/policy", Needs::See, list)
        .get("/policy/{number}", Needs::See, one)
        .with_state(ruling)
}

#[derive(Template)]
#[template(path = "policy/list.html")]
struct Versions {
    frame: Frame,
    history: History,
}

async fn list(State(ruling): State<Ruling>, visitor: Visitor) -> Answer {
    page(&Versions {
        frame: visitor.frame("Policy"),
        history: standing(&ruling, SHOWN).await?,
    })
}

#[derive(Template)]
#[template(path = "policy/one.html")]
struct One {
    frame: Frame,
    whole: Whole,
}

async fn one(State(ruling): State<Ruling>, Path(number): Path<i64>, visitor: Visitor) -> Answer {
    let found = versions::find(&ruling.0.store, number).await?;
    let whole = found.ok_or_else(|| Sorry::missing("there is no such version of the policy"))?;
    page(&One {
        frame: visitor.frame(format!("Policy, version {number}")),
        whole,
    })
}
