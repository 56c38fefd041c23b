//! The pages of keys: what opens accounts, filtered and paged, and everything about one key.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State as Shared};
use serde::Deserialize;
use url::form_urlencoded::Serializer;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::keys::Means;
use watchward_protocol::span::Span;
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use super::order::{Lack, lacks};
use super::policy::Policy;
use super::reading::{self, Counts, Listed, State, Wanted};
use super::revocation::Desk;
use super::rows::revoked::Which::Last;
use super::{Accept, accept};

use crate::alerting::Bell;
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Html, Pages, Part, Sorry, Tile, Tone, Visitor, page, see};

mod glass;
mod revoked;

/// How many a page shows, and the page of a host.
const SHOWN: u32 = 100;
const FEW: u32 = 20;

/// What the room has.
#[derive(Clone)]
struct Has {
    store: Store,
    policy: Live<Policy>,
    desk: Desk,
    bell: Bell,
}

/// The pages, what the overview says of keys, and what the page of a host says.
pub fn pages(store: Store, policy: Live<Policy>, (desk, bell): (Desk, Bell)) -> Pages {
    let (for_overview, for_host) = (store.clone(), store.clone());
    Pages::new()
        .entry("/keys", "Keys")
        .get("/keys", Needs::See, list)
        .get("/keys/one", Needs::See, one)
        .get("/keys/revoked", Needs::See, revoked::all)
        .get("/keys/break-glass", Needs::See, glass::all)
        .get("/keys/receipt", Needs::See, revoked::receipt)
        .post("/keys/accept", Needs::Accept, accepted)
        .overview(Needs::See, move |visitor| {
            overview(for_overview.clone(), visitor)
        })
        .about_host(move |visitor, host| about_host(for_host.clone(), visitor, host))
        .with_state(Has {
            store,
            policy,
            desk,
            bell,
        })
}

/// The fields of the form as they came: each is a text, and may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    host: String,
    account: String,
    fingerprint: String,
    state: String,
    unused: String,
    after: String,
}

/// Every state, and what it is called.
const STATES: [(State, &str); 5] = [
    (State::New, "new"),
    (State::Weak, "weak"),
    (State::Due, "due"),
    (State::Overdue, "overdue"),
    (State::Gone, "gone"),
];

impl Asked {
    /// What they mean, or what is wrong with them.
    fn wanted(&self, now: Timestamp) -> Result<Wanted, String> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = STATES.iter().find(|(_, name)| *name == self.state);
        let unused = text(&self.unused).map(Span::try_from).transpose();
        let unused = unused.map_err(|error| format!("Unused for: {error}."))?;
        Ok(Wanted {
            host: text(&self.host),
            account: text(&self.account),
            fingerprint: text(&self.fingerprint),
            state: state.map(|(state, _)| *state),
            unused_since: unused.map(|span| now - span.duration()),
            gone: false,
            after: self.after.parse().ok(),
            limit: SHOWN,
            now,
        })
    }

    fn states(&self) -> Vec<(&'static str, bool)> {
        let one = |(_, name): &(State, &'static str)| (*name, *name == self.state);
        STATES.iter().map(one).collect()
    }

    /// The same as a query, after one of the list.
    fn query(&self, after: Option<i64>) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            ("host", &self.host),
            ("account", &self.account),
            ("fingerprint", &self.fingerprint),
            ("state", &self.state),
            ("unused", &self.unused),
            ("after", &after.map(|id| id.to_string()).unwrap_or_default()),
        ] {
            if !value.trim().is_empty() {
                query.append_pair(name, value.trim());
            }
        }
        query.finish()
    }
}

#[derive(Template)]
#[template(path = "keys/list.html")]
struct List {
    frame: Frame,
    asked: Asked,
    trouble: String,
    counts: Counts,
    keys: Vec<Shown>,
    /// The query of the next page.
    next: Option<String>,
}

async fn list(Shared(has): Shared<Has>, Query(asked): Query<Asked>, visitor: Visitor) -> Answer {
    let now = visitor.now;
    let (found, trouble) = match asked.wanted(now) {
        Ok(wanted) => (reading::list(&has.store, &wanted).await?, String::new()),
        Err(trouble) => (Vec::new(), trouble),
    };
    let full = u32::try_from(found.len()).is_ok_and(|count| count == SHOWN);
    let last = found.last().map(|last| last.id).filter(|_| full);
    page(&List {
        frame: visitor.frame("Keys"),
        next: last.map(|last| asked.query(Some(last))),
        asked,
        trouble,
        counts: reading::counts(&has.store, now).await?,
        keys: found.into_iter().map(|key| Shown::new(key, now)).collect(),
    })
}

/// Which key.
#[derive(Debug, Deserialize)]
struct Which {
    fingerprint: String,
}

#[derive(Template)]
#[template(path = "keys/one.html")]
struct One {
    frame: Frame,
    fingerprint: String,
    /// What was done about it, if it is revoked.
    receipt: Option<revoked::Shown>,
    places: Vec<Place>,
}

/// A place where a key opens something.
struct Place {
    key: Shown,
    /// The account as a form sends it back; empty for the host itself.
    account: String,
    /// Whether people have yet to say that it is right.
    open: bool,
    changes: Vec<(Timestamp, String)>,
}

async fn one(Shared(has): Shared<Has>, Query(which): Query<Which>, visitor: Visitor) -> Answer {
    let now = visitor.now;
    let found = reading::places(&has.store, &which.fingerprint, now).await?;
    let last = Last(&which.fingerprint);
    let receipt = has.desk.sources().receipt(last, now).await?;
    if found.is_empty() && receipt.is_none() {
        return Err(Sorry::missing("No host has told of a key like this."));
    }
    let places = found.into_iter().map(|(listed, changes)| Place {
        account: listed.account.as_ref().map(raw).unwrap_or_default(),
        open: listed.gone_at.is_none()
            && (listed.new || listed.was.is_some() || listed.widened.is_some()),
        key: Shown::new(listed, now),
        changes,
    });
    page(&One {
        frame: visitor.frame(format!("Key {}", which.fingerprint)),
        places: places.collect(),
        receipt: receipt.map(|receipt| revoked::Shown::new(receipt, &which.fingerprint)),
        fingerprint: which.fingerprint,
    })
}

/// An account's name as it came, which the template escapes.
fn raw(name: &Foreign) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

/// What the form says that is right.
#[derive(Debug, Deserialize)]
struct Right {
    key: String,
    host: String,
    account: String,
}

async fn accepted(Shared(has): Shared<Has>, visitor: Visitor, Form(right): Form<Right>) -> Answer {
    let wanted = Accept {
        key: right.key.clone(),
        host: Some(right.host),
        account: Some(right.account).filter(|name| !name.is_empty()),
    };
    let by = &visitor.session.name;
    let mut tx = has.store.begin().await?;
    let places = accept(&mut tx, (&wanted, by), &has.policy.now(), clock::now()).await?;
    tx.commit().await?;
    if places == 0 {
        return Err(Sorry::missing("It opens nothing there any more."));
    }
    has.bell.ring();
    see(&path(&right.key))
}

/// The page of a key.
fn path(fingerprint: &str) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("fingerprint", fingerprint);
    format!("/keys/one?{}", query.finish())
}

#[derive(Template)]
#[template(path = "keys/part.html")]
struct Few {
    frame: Frame,
    heading: &'static str,
    more: String,
    keys: Vec<Shown>,
    /// What certificates should open there and do not.
    lack: Option<Lack>,
}

async fn overview(store: Store, visitor: Visitor) -> anyhow::Result<Part> {
    let counts = reading::counts(&store, visitor.now).await?;
    let tiles = [
        ("new keys", counts.new, Tone::Warn, "/keys?state=new"),
        (
            "keys overdue",
            counts.overdue,
            Tone::Warn,
            "/keys?state=overdue",
        ),
        ("weak keys", counts.weak, Tone::Warn, "/keys?state=weak"),
    ];
    let tiles = tiles.into_iter().filter(|(_, count, ..)| *count > 0);
    let tile = |(name, count, tone, path)| Tile {
        name,
        count,
        tone,
        path,
    };
    Ok(Part {
        tiles: tiles.map(tile).collect(),
        body: Html::default(),
    })
}

async fn about_host(store: Store, visitor: Visitor, host: String) -> anyhow::Result<Part> {
    let asked = Asked {
        host: host.clone(),
        ..Asked::default()
    };
    let lack = lacks(&store).await?.remove(&host);
    let wanted = Wanted {
        host: Some(host),
        limit: FEW,
        now: visitor.now,
        ..Wanted::default()
    };
    let found = reading::list(&store, &wanted).await?;
    if found.is_empty() && lack.is_none() {
        return Ok(Part::default());
    }
    let keys = found.into_iter().map(|key| Shown::new(key, visitor.now));
    let few = Few {
        frame: visitor.frame(""),
        heading: "What opens it",
        more: format!("/keys?{}", asked.query(None)),
        keys: keys.collect(),
        lack,
    };
    Ok(Part {
        tiles: Vec::new(),
        body: Html::of(&few)?,
    })
}

/// An opening as a page shows it: what a stranger typed is escaped.
struct Shown {
    whom: String,
    what: String,
    comment: String,
    /// File and line.
    place: String,
    options: Vec<String>,
    names: String,
    states: Vec<(Tone, String)>,
    /// The page of its key, if it is one.
    path: Option<String>,
    listed: Listed,
}

impl Shown {
    fn new(listed: Listed, now: Timestamp) -> Self {
        let opening = &listed.opening;
        let account = listed.account.as_ref().map(Foreign::to_string);
        let options = opening.options.as_bytes().split(|byte| *byte == b'\n');
        let options = options.filter(|line| !line.is_empty());
        let names: Vec<_> = opening.principals.iter().map(Foreign::to_string).collect();
        let line = opening.line.map(|line| format!(":{line}"));
        Self {
            whom: account.unwrap_or_else(|| "the host itself".to_owned()),
            what: what(&listed),
            comment: opening.comment.to_string(),
            place: format!("{}{}", escaped(&opening.file), line.unwrap_or_default()),
            options: options
                .map(|line| Foreign::from(line).to_string())
                .collect(),
            names: names.join(", "),
            states: states(&listed, now),
            path: opening.key.as_ref().map(|key| path(&key.fingerprint)),
            listed,
        }
    }
}

/// What it is, with the key if it is one.
fn what(listed: &Listed) -> String {
    let means = match listed.opening.means {
        Means::AuthorizedKey => "",
        Means::Authority => "authority ",
        Means::Principals => "principals ",
        Means::Command => "program ",
        Means::HostKey => "host key ",
        Means::HostCertificate => "host certificate ",
        Means::AgentCertificate => "agent certificate ",
        Means::PrincipalsCommand => "program for principals ",
    };
    let Some(key) = &listed.opening.key else {
        return format!("{means}{}", escaped(&listed.opening.file));
    };
    let bits = Some(key.bits).filter(|bits| *bits > 0);
    let bits = bits.map_or_else(String::new, |bits| format!(" {bits}"));
    let (kind, fingerprint) = (escaped(&key.kind), escaped(&key.fingerprint));
    format!("{means}{kind}{bits} {fingerprint}")
}

fn states(listed: &Listed, now: Timestamp) -> Vec<(Tone, String)> {
    if listed.gone_at.is_some() {
        return vec![(Tone::Dim, "gone".to_owned())];
    }
    let weak = listed.weak.as_deref().map(escaped);
    let condition = listed.opening.condition.as_deref().map(escaped);
    let widened = listed.widened.as_deref().map(escaped);
    let states = [
        listed.new.then(|| (Tone::Warn, "new".to_owned())),
        widened.map(|how| (Tone::Warn, format!("may do more: {how}"))),
        weak.map(|why| (Tone::Warn, format!("weak: {why}"))),
        listed
            .is_overdue(now)
            .then(|| (Tone::Warn, "overdue".to_owned())),
        listed.ended.then(|| (Tone::Dim, "ended".to_owned())),
        condition.map(|only| (Tone::Dim, format!("only {only}"))),
    ];
    let states: Vec<_> = states.into_iter().flatten().collect();
    if states.is_empty() {
        return vec![(Tone::Good, "in order".to_owned())];
    }
    states
}
