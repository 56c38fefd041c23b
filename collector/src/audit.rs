//! What people did, of all rooms in one list: read where each room keeps it, and kept nowhere twice.

use askama::Template;
use axum::extract::{Query, State};
use axum::{Json, Router, routing};
use serde::Deserialize;
use url::form_urlencoded::Serializer;
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use crate::asked::Moment;
use crate::people::deed::{Deed, Kind, Wanted};
use crate::people::{Needs, People};
use crate::policy::versions;
use crate::store::Store;
use crate::web::{Answer, Frame, Pages, Parameters, Problem, Visitor, page};
use crate::{alerting, keys, restriction};

/// How many are listed unless another number is asked for, and at most.
const SHOWN: i64 = 200;
const MOST: i64 = 10_000;

/// Who knows what people did.
type Has = (Store, People);

/// `GET /v1/audit` for the operator's command.
pub(crate) fn routes(store: Store, people: People) -> Router {
    Router::new()
        .route("/v1/audit", routing::get(listed))
        .with_state((store, people))
}

/// The page, with its entry of the navigation.
pub(crate) fn pages(store: Store, people: People) -> Pages {
    Pages::new()
        .entry("/audit", "Trail")
        .get("/audit", Needs::Audit, show)
        .with_state((store, people))
}

/// What people did, the newest first; of one kind, if that is wanted.
///
/// # Errors
/// The database's.
pub(crate) async fn deeds(
    (store, people): &Has,
    kind: Option<Kind>,
    wanted: &Wanted,
) -> sqlx::Result<Vec<Deed>> {
    let mut all = people.deeds(kind, wanted).await?;
    all.extend(alerting::deeds(store, wanted).await?);
    all.extend(restriction::deeds(store, wanted).await?);
    all.extend(keys::deeds(store, wanted).await?);
    let versions = versions::list(store, MOST).await?;
    let version = |it: versions::Version| Deed {
        at: it.at,
        who: it.author,
        address: None,
        kind: Kind::Policy,
        what: "brought the policy".to_owned(),
        whom: format!("version {}", it.number),
        detail: it.note,
    };
    let versions = versions.into_iter().map(version);
    all.extend(versions.filter(|deed| is_meant(deed, wanted)));
    all.retain(|deed| kind.is_none_or(|kind| deed.kind == kind));
    all.sort_by_key(|deed| std::cmp::Reverse(deed.at));
    all.truncate(usize::try_from(wanted.limit).unwrap_or(0));
    Ok(all)
}

fn is_meant(deed: &Deed, wanted: &Wanted) -> bool {
    let whose = wanted.who.is_empty() || person(&deed.who) == wanted.who;
    whose && wanted.since <= deed.at && deed.at < wanted.before
}

/// Whose name it is, whether they did it as root or not.
fn person(name: &str) -> String {
    let name = name.strip_suffix(" (as root)").unwrap_or(name);
    name.replace('\0', "")
}

/// What the command asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    who: Option<String>,
    kind: Option<Kind>,
    since: Option<Moment>,
    limit: Option<i64>,
}

async fn listed(
    State(has): State<Has>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<Deed>>, Problem> {
    let now = clock::now();
    let since = asked.since.map(|since| since.before(now));
    let wanted = Wanted {
        since: since.unwrap_or_default(),
        before: Timestamp::from_micros(i64::MAX),
        who: person(&asked.who.unwrap_or_default()),
        limit: asked.limit.unwrap_or(SHOWN).clamp(0, MOST),
    };
    Ok(Json(deeds(&has, asked.kind, &wanted).await?))
}

/// The fields of the form, and where the page goes on: each is a text, and may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    who: String,
    kind: String,
    since: String,
    before: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    typed: Typed,
    trouble: String,
    deeds: Vec<Deed>,
    /// The query of the next page.
    next: Option<String>,
}

async fn show(State(has): State<Has>, Query(typed): Query<Typed>, visitor: Visitor) -> Answer {
    let mut trouble = String::new();
    let since = match typed.since.trim() {
        "" => Timestamp::default(),
        text => match Moment::try_from(text.to_owned()) {
            Ok(since) => since.before(visitor.now),
            Err(expected) => {
                trouble = format!("Since: {expected}.");
                Timestamp::default()
            }
        },
    };
    let before = typed.before.parse().unwrap_or(i64::MAX);
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == typed.kind);
    let wanted = Wanted {
        since,
        before: Timestamp::from_micros(before),
        who: person(typed.who.trim()),
        limit: SHOWN,
    };
    let deeds = deeds(&has, kind, &wanted).await?;
    let is_full = i64::try_from(deeds.len()).is_ok_and(|count| count == SHOWN);
    let last = deeds.last().filter(|_| is_full);
    let next = last.map(|last| {
        let mut query = Serializer::new(String::new());
        query
            .append_pair("who", &typed.who)
            .append_pair("kind", &typed.kind)
            .append_pair("since", &typed.since)
            .append_pair("before", &last.at.as_micros().to_string());
        query.finish()
    });
    page(&Page {
        frame: visitor.frame("What people did"),
        typed,
        trouble,
        deeds,
        next,
    })
}
