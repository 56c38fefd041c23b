//! The pages of incidents: what is open, what was, and one with its history and who was told.

mod silences;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use watchward_protocol::time::Timestamp;

use super::acknowledge::{self, Acknowledging};
use super::message::{Incident, State as Told};
use super::rows::{self, Happened, Sent, Wanted};
use super::silence::{self, Silence};
use super::{Rules, Severity};
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Html, Pages, Part, Sorry, Tile, Tone, Visitor, page, see};

/// How many incidents a page shows.
const SHOWN: i64 = 200;

/// How many open ones are looked at: more is a flood that no page helps with.
const OPEN: i64 = 1000;

/// What the room has.
type Has = (Store, Rules);

/// The pages, what the overview says of incidents, and what the page of a host says.
pub fn pages(store: Store, rules: Rules) -> Pages {
    let has = (store, rules);
    let (for_overview, for_host) = (has.clone(), has.clone());
    Pages::new()
        .entry("/incidents", "Incidents")
        .get("/incidents", Needs::See, list)
        .get("/incidents/{code}", Needs::See, one)
        .post("/incidents/{code}/ack", Needs::Answer, acknowledge)
        .get("/silences", Needs::See, silences::list)
        .post("/silences", Needs::Answer, silences::add)
        .post("/silences/{id}/end", Needs::Answer, silences::end)
        .overview(Needs::See, move |visitor| {
            overview(for_overview.clone(), visitor)
        })
        .about_host(move |visitor, host| about_host(for_host.clone(), visitor, host))
        .with_state(has)
}

/// What the list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Only those that came before the one with this number.
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "alerting/list.html")]
struct List {
    frame: Frame,
    open: Vec<Shown>,
    past: Vec<Shown>,
    silences: Vec<Silence>,
    is_first: bool,
    next: Option<i64>,
}

async fn list(State(has): State<Has>, Query(asked): Query<Asked>, visitor: Visitor) -> Answer {
    let (store, _) = &has;
    let over = Wanted {
        open: Some(false),
        before: asked.before,
        ..Wanted::default()
    };
    let past = rows::incidents(store, &over, SHOWN).await?;
    let full = i64::try_from(past.len()).is_ok_and(|count| count == SHOWN);
    page(&List {
        frame: visitor.frame("Incidents"),
        open: match asked.before {
            None => open(&has, visitor.now).await?,
            Some(_) => Vec::new(),
        },
        next: past.last().map(|last| last.id).filter(|_| full),
        past: past.into_iter().map(Shown::over).collect(),
        silences: rows::holding(store.read(), visitor.now).await?,
        is_first: asked.before.is_none(),
    })
}

#[derive(Template)]
#[template(path = "alerting/one.html")]
struct One {
    frame: Frame,
    incidents: Vec<Whole>,
}

/// An incident with all that happened to it.
struct Whole {
    shown: Shown,
    history: Vec<Happened>,
    messages: Vec<Message>,
}

async fn one(State(has): State<Has>, Path(code): Path<String>, visitor: Visitor) -> Answer {
    let (store, rules) = &has;
    let code = code.to_uppercase();
    let silences = rows::holding(store.read(), visitor.now).await?;
    let mut incidents = Vec::new();
    let wanted = Wanted {
        code: Some(code.clone()),
        ..Wanted::default()
    };
    for incident in rows::incidents(store, &wanted, OPEN).await? {
        let messages = rows::sent(store.read(), incident.id).await?;
        incidents.push(Whole {
            history: rows::history(store, incident.id).await?,
            messages: messages.into_iter().map(Message::from).collect(),
            shown: Shown::of(incident, &silences, rules, visitor.now),
        });
    }
    if incidents.is_empty() {
        return Err(Sorry::missing("No incident has this code."));
    }
    page(&One {
        frame: visitor.frame(format!("Incident {code}")),
        incidents,
    })
}

/// What whoever takes an incident on says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Taking {
    note: String,
}

/// `POST /incidents/{code}/ack`: in the name of whoever is signed in.
async fn acknowledge(
    State((store, _)): State<Has>,
    Path(code): Path<String>,
    visitor: Visitor,
    Form(taking): Form<Taking>,
) -> Answer {
    let by = (visitor.session.name.as_str(), taking.note.as_str());
    match acknowledge::acknowledge(&store, &code, by, visitor.now).await? {
        // Who was first stands on the page.
        Acknowledging::Done | Acknowledging::Already(_) => see(&format!("/incidents/{code}")),
        Acknowledging::NotOpen => Err(Sorry::missing("No open incident has this code.")),
    }
}

#[derive(Template)]
#[template(path = "alerting/open.html")]
struct Open {
    frame: Frame,
    open: Vec<Shown>,
}

async fn overview(has: Has, visitor: Visitor) -> anyhow::Result<Part> {
    let open = open(&has, visitor.now).await?;
    let worst = open.iter().map(|one| one.incident.severity).max();
    let tile = Tile {
        name: "incidents open",
        count: i64::try_from(open.len()).unwrap_or(i64::MAX),
        tone: worst.map_or(Tone::Good, tone),
        path: "/incidents",
    };
    let frame = visitor.frame("");
    Ok(Part {
        tiles: vec![tile],
        body: Html::of(&Open { frame, open })?,
    })
}

async fn about_host(has: Has, visitor: Visitor, host: String) -> anyhow::Result<Part> {
    let mut open = open(&has, visitor.now).await?;
    open.retain(|one| one.incident.host.as_deref() == Some(host.as_str()));
    let frame = visitor.frame("");
    Ok(Part {
        tiles: Vec::new(),
        body: match open.is_empty() {
            true => Html::default(),
            false => Html::of(&Open { frame, open })?,
        },
    })
}

/// Those that are open, the worst first.
async fn open((store, rules): &Has, now: Timestamp) -> sqlx::Result<Vec<Shown>> {
    let silences = rows::holding(store.read(), now).await?;
    let open = Wanted {
        open: Some(true),
        ..Wanted::default()
    };
    let mut all: Vec<_> = rows::incidents(store, &open, OPEN)
        .await?
        .into_iter()
        .map(|incident| Shown::of(incident, &silences, rules, now))
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.incident.severity));
    Ok(all)
}

/// An incident as a page shows it. Its texts were made safe when it was raised.
struct Shown {
    incident: Incident,
    /// The silence because of which nobody is told.
    silence: Option<Silence>,
}

impl Shown {
    fn of(incident: Incident, silences: &[Silence], rules: &Rules, now: Timestamp) -> Self {
        let silence = silence::covering(silences, incident.about(), &rules.groups.now(), now);
        let silence = silence.cloned().filter(|_| incident.resolved.is_none());
        Self { incident, silence }
    }

    fn over(incident: Incident) -> Self {
        Self {
            incident,
            silence: None,
        }
    }

    fn severity(&self) -> &'static str {
        match self.incident.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The form that silences it, filled in; nothing where that would change nothing.
    fn silencing(&self) -> Option<String> {
        let open = self.incident.resolved.is_none() && self.silence.is_none();
        open.then(|| silences::form_for(&self.incident))
    }

    fn tone(&self) -> Tone {
        match self.incident.resolved {
            Some(_) => Tone::Dim,
            None => tone(self.incident.severity),
        }
    }
}

const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Info => Tone::Dim,
        Severity::Warning => Tone::Warn,
        Severity::Critical => Tone::Bad,
    }
}

/// A message as a page shows it.
struct Message {
    sent: Sent,
    created: Timestamp,
    done: Option<Timestamp>,
}

impl From<Sent> for Message {
    fn from(sent: Sent) -> Self {
        Self {
            created: Timestamp::from_micros(sent.created_at),
            done: sent.done_at.map(Timestamp::from_micros),
            sent,
        }
    }
}

impl Message {
    fn tone(&self) -> Tone {
        match self.sent.told.state {
            Told::Delivered => Tone::Good,
            Told::Failed => Tone::Bad,
            Told::Unknown | Told::Written => Tone::Warn,
            Told::Pending | Told::Held | Told::Folded | Told::Leased | Told::Dropped => Tone::Dim,
        }
    }
}
