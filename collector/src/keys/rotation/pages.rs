//! The calendar of keys, and the page of a machine's key.

use askama::Template;
use axum::extract::{Path, State as Shared};
use url::form_urlencoded::Serializer;

use super::api::{Calendar, Shown};
use super::days::{Day, days};
use super::entries::path;
use crate::keys::rows::rotation as rows;
use crate::people::Needs;
use crate::web::{Answer, Frame, Pages, Sorry, Tone, Visitor, page};

/// `/keys/calendar`: what is replaced on which day; `/keys/rotation/NAME`: one machine's key.
pub fn pages(calendar: Calendar) -> Pages {
    Pages::new()
        .get("/keys/calendar", Needs::See, all)
        .get("/keys/rotation/{name}", Needs::See, one)
        .with_state(calendar)
}

#[derive(Template)]
#[template(path = "keys/calendar.html")]
struct All {
    frame: Frame,
    machines: Vec<Line>,
    days: Vec<Day>,
}

/// A machine's key, and the path of its page.
struct Line {
    key: Shown,
    path: String,
    tone: Tone,
}

impl Line {
    fn new(key: Shown) -> Self {
        Self {
            path: path(&key.name),
            tone: tone(&key),
            key,
        }
    }
}

async fn all(Shared(calendar): Shared<Calendar>, visitor: Visitor) -> Answer {
    let now = visitor.now;
    let machines = calendar.all(now).await?;
    let entries = calendar.entries(now).await?;
    page(&All {
        frame: visitor.frame("Calendar of keys"),
        machines: machines.into_iter().map(Line::new).collect(),
        days: days(entries, now),
    })
}

#[derive(Template)]
#[template(path = "keys/rotation.html")]
struct One {
    frame: Frame,
    line: Line,
    events: Vec<rows::Event>,
    /// The pages of the keys.
    key_path: Option<String>,
    next_path: Option<String>,
}

async fn one(
    Shared(calendar): Shared<Calendar>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> Answer {
    let all = calendar.all(visitor.now).await?;
    let key = all.into_iter().find(|it| it.name == name);
    let key = key.ok_or_else(|| Sorry::missing("The policy has no machine's key of this name."))?;
    let of = |name: &Option<String>| {
        let mut query = Serializer::new(String::new());
        query.append_pair("fingerprint", name.as_ref()?);
        Some(format!("/keys/one?{}", query.finish()))
    };
    page(&One {
        frame: visitor.frame(format!("Machine key {}", key.name)),
        events: calendar.events(&key.name).await?,
        key_path: of(&key.fingerprint),
        next_path: of(&key.next_fingerprint),
        line: Line::new(key),
    })
}

fn tone(key: &Shown) -> Tone {
    match (key.is_overdue, key.pending.is_empty(), key.phase) {
        (true, ..) => Tone::Warn,
        (false, true, "idle") => Tone::Good,
        (false, ..) => Tone::Dim,
    }
}
