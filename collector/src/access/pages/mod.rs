//! The pages of the access log: filtered and paged, handed out as a file, and live.

mod filter;
mod sheet;
mod shown;
mod tail;

use askama::Template;
use axum::extract::{Query, State};
use watchward_daemon::tasks::Stop;
use watchward_protocol::access::Outcome;

use super::rows::listing::{self, Wanted};
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Html, Pages, Part, Visitor, page};

use filter::{Asked, Filter};
use shown::Shown;

/// How many events a page shows.
const SHOWN: i64 = 100;

/// How many the overview and the page of a host show.
const FEW: i64 = 6;

/// What the room has.
#[derive(Clone)]
struct Has {
    store: Store,
    stop: Stop,
    /// What holds in the database of an event that came from outside.
    is_outside: &'static str,
}

/// The pages, what the overview says of logins, and what the page of a host says.
///
/// `is_outside` is a condition of SQL, about the columns `host`, `lane`, `epoch` and `seq` of
/// `access_event`: whose network is permitted is not this room's to know.
pub fn pages(store: Store, is_outside: &'static str, stop: Stop) -> Pages {
    let (for_overview, for_host) = (store.clone(), store.clone());
    Pages::new()
        .entry("/access", "Access")
        .get("/access", Needs::See, list)
        .get("/access/tail", Needs::See, tail::tail)
        .get("/access/access.csv", Needs::See, sheet::csv)
        .get("/access/access.jsonl", Needs::See, sheet::jsonl)
        .overview(Needs::See, move |visitor| {
            overview(for_overview.clone(), visitor)
        })
        .about_host(move |visitor, host| about_host(for_host.clone(), visitor, host))
        .with_state(Has {
            store,
            stop,
            is_outside,
        })
}

#[derive(Template)]
#[template(path = "access/list.html")]
struct List {
    frame: Frame,
    filter: Filter,
    events: Vec<Shown>,
    /// The query of the next page.
    next: Option<String>,
    /// The query of this filter, without a place in the list.
    query: String,
}

async fn list(State(has): State<Has>, Query(asked): Query<Asked>, visitor: Visitor) -> Answer {
    let filter = Filter::read(asked, visitor.now);
    let mut wanted = filter.wanted(has.is_outside);
    wanted.limit = SHOWN;
    let mut events = match filter.trouble.is_empty() {
        true => listing::list(&has.store, &wanted).await?,
        false => Vec::new(),
    };
    events.reverse();
    let full = i64::try_from(events.len()).is_ok_and(|count| count == SHOWN);
    let next = events.last().map(listing::Kept::cursor).filter(|_| full);
    page(&List {
        frame: visitor.frame("Access log"),
        next: next.map(|cursor| filter.query(Some(cursor))),
        query: filter.query(None),
        filter,
        events: events.into_iter().map(Shown::from).collect(),
    })
}

#[derive(Template)]
#[template(path = "access/part.html")]
struct Latest {
    frame: Frame,
    heading: &'static str,
    more: String,
    events: Vec<Shown>,
}

async fn overview(store: Store, visitor: Visitor) -> anyhow::Result<Part> {
    let wanted = Wanted {
        outcome: Some(Outcome::Success),
        attempts: true,
        limit: FEW,
        ..Wanted::default()
    };
    let more = "/access?outcome=success".to_owned();
    latest(&store, &visitor, wanted, ("Latest logins", more)).await
}

async fn about_host(store: Store, visitor: Visitor, host: String) -> anyhow::Result<Part> {
    let wanted = Wanted {
        host: Some(host.clone()),
        attempts: true,
        limit: FEW,
        ..Wanted::default()
    };
    let asked = Asked {
        host,
        ..Asked::default()
    };
    let more = format!("/access?{}", Filter::read(asked, visitor.now).query(None));
    latest(&store, &visitor, wanted, ("Latest tries", more)).await
}

async fn latest(
    store: &Store,
    visitor: &Visitor,
    wanted: Wanted,
    (heading, more): (&'static str, String),
) -> anyhow::Result<Part> {
    let mut events = listing::list(store, &wanted).await?;
    events.reverse();
    let body = Html::of(&Latest {
        frame: visitor.frame(""),
        heading,
        more,
        events: events.into_iter().map(Shown::from).collect(),
    })?;
    Ok(Part {
        tiles: Vec::new(),
        body,
    })
}
