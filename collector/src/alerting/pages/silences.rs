//! The page of silences: a form for one more, those that hold, and those that are over.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use super::super::about::Room;
use super::super::message::Incident;
use super::super::silence::{NewSilence, Scope, Silence};
use super::super::{add_silence, end_silence, silences};
use super::Has;
use crate::asked::Moment;
use crate::people::Needs;
use crate::web::{Answer, Frame, Sorry, Visitor, page, see};

/// How many silences that are over are shown.
const OVER: usize = 100;

/// The fields of the form: every one is a text, and may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    host: String,
    group: String,
    room: String,
    key: String,
    also_critical: String,
    until: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "alerting/silences.html")]
struct Page {
    frame: Frame,
    typed: Typed,
    trouble: String,
    groups: Vec<String>,
    holding: Vec<Silence>,
    over: Vec<Silence>,
}

/// The form that silences this incident, filled in.
pub(super) fn form_for(incident: &Incident) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("key", &incident.key);
    if let Some(host) = &incident.host {
        query.append_pair("host", host);
    }
    format!("/silences?{}", query.finish())
}

/// `GET /silences`, with the form filled in as the query says.
pub(super) async fn list(
    State(has): State<Has>,
    Query(typed): Query<Typed>,
    visitor: Visitor,
) -> Answer {
    show(&has, &visitor, typed, String::new()).await
}

/// `POST /silences`: in the name of whoever is signed in.
pub(super) async fn add(
    State(has): State<Has>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Answer {
    let host = said(&typed.host);
    let nobody = match &host {
        Some(host) => !(has.1.is_host)(&has.0, host).await?,
        None => false,
    };
    let trouble = match wanted(&typed, &has, visitor.now) {
        Err(trouble) => trouble,
        Ok(_) if nobody => "No host is called so: this would silence nothing.".to_owned(),
        Ok(new) => {
            let added = add_silence(&has.0, new, &visitor.session.name, visitor.now);
            match added.await? {
                Ok(_) => return see("/silences"),
                Err(unfit) => format!("This cannot be silenced: {unfit}."),
            }
        }
    };
    let again = show(&has, &visitor, typed, trouble).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response())
}

/// `POST /silences/{id}/end`.
pub(super) async fn end(
    State((store, _)): State<Has>,
    Path(id): Path<i64>,
    visitor: Visitor,
) -> Answer {
    match end_silence(&store, id, &visitor.session.name, visitor.now).await? {
        true => see("/silences"),
        false => Err(Sorry::missing("No silence with this number holds.")),
    }
}

async fn show((store, rules): &Has, visitor: &Visitor, typed: Typed, trouble: String) -> Answer {
    let all = silences(store).await?;
    let (holding, mut over): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|one| visitor.now < one.end());
    over.truncate(OVER);
    page(&Page {
        frame: visitor.frame("Silences"),
        typed,
        trouble,
        groups: rules.groups.now().names().map(str::to_owned).collect(),
        holding,
        over,
    })
}

/// What the form asks for; or what is wrong with it.
fn wanted(typed: &Typed, (_, rules): &Has, now: Timestamp) -> Result<NewSilence, String> {
    let group = said(&typed.group);
    if group
        .as_ref()
        .is_some_and(|group| !rules.groups.now().knows(group))
    {
        return Err("The policy has no such group.".to_owned());
    }
    let room = said(&typed.room).map(|name| Room::named(&name));
    if room == Some(None) {
        return Err("There is no such kind of incident.".to_owned());
    }
    Ok(NewSilence {
        scope: Scope {
            host: said(&typed.host),
            group,
            room: room.flatten(),
            key: said(&typed.key),
            also_critical: !typed.also_critical.is_empty(),
        },
        span: span(&typed.until, now)?,
        reason: typed.reason.clone(),
    })
}

fn said(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A span such as `2h`, or until a moment.
fn span(text: &str, now: Timestamp) -> Result<Span, String> {
    const EXPECTED: &str =
        "How long? A span such as 2h or 3d, or a moment such as 2026-11-21T08:00:00Z.";
    match Moment::try_from(text.trim().to_owned()) {
        Ok(Moment::Ago(span)) => Ok(span),
        Ok(moment @ (Moment::At(_) | Moment::Day(_))) => {
            let end = moment.after(now);
            match end > now {
                true => Ok(Span::seconds(end.since(now).as_secs().max(1))),
                false => Err("That moment has passed.".to_owned()),
            }
        }
        Err(_) => Err(EXPECTED.to_owned()),
    }
}

impl Page {
    fn rooms(&self) -> Vec<(&'static str, bool)> {
        Room::ALL
            .map(|room| (room.name(), room.name() == self.typed.room))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_span_or_a_moment_to_come() {
        let now = Timestamp::from_micros(1_763_683_200_000_000);
        assert_eq!(span("2h", now), Ok(Span::seconds(7200)));
        assert_eq!(span(" 2025-11-21T00:01:00Z ", now), Ok(Span::seconds(60)));
        for wrong in ["", "soon", "2025-11-20T00:00:00Z", "-1h"] {
            assert!(span(wrong, now).is_err(), "{wrong}");
        }
    }
}
