//! The live tail: events as they come, while somebody looks who is signed in.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderName;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde::Serialize;
use tokio::time::Instant;

use super::Has;
use super::filter::{Asked, Filter};
use super::shown::Shown;
use crate::access::rows::listing::{self, Wanted};
use crate::web::{Answer, Sorry, Visitor};

/// How often it is looked for what came.
const GLANCE: Duration = Duration::from_millis(500);

/// How often it is looked whether whoever looks may still.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How many events are taken at a time.
const HANDFUL: i64 = 200;

/// `GET /access/tail`: events of the filter that come from now on.
pub(super) async fn tail(
    State(has): State<Has>,
    Query(asked): Query<Asked>,
    visitor: Visitor,
) -> Answer {
    let filter = Filter::read(asked, visitor.now);
    if !filter.trouble.is_empty() {
        return Err(Sorry::refused(filter.trouble));
    }
    let mut wanted = filter.wanted(has.is_outside);
    (wanted.since, wanted.until, wanted.before) = (None, None, None);
    wanted.after = Some(listing::last(&has.store).await?);
    wanted.limit = HANDFUL;
    let watch = Watch {
        has,
        visitor,
        wanted,
        ready: VecDeque::new(),
        ask_at: Instant::now() + ASK_AGAIN,
    };
    let events = stream::unfold(watch, async |mut watch| {
        let event = watch.next().await?;
        Some((Ok::<_, Infallible>(event), watch))
    });
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    let events = Sse::new(events).keep_alive(KeepAlive::default());
    Ok((unbuffered, events).into_response())
}

struct Watch {
    has: Has,
    visitor: Visitor,
    wanted: Wanted,
    ready: VecDeque<Event>,
    ask_at: Instant,
}

/// An event as the script wants it.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    shown: Shown,
    tone: String,
    host_path: String,
}

impl Watch {
    /// The next event; `None` when the collector ends, or whoever looks has signed out.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                () = self.has.stop.cancelled() => return None,
                () = tokio::time::sleep(GLANCE) => {}
            }
            if let Err(error) = self.look().await {
                tracing::error!(%error, "cannot look for what happens");
                return None;
            }
            if Instant::now() >= self.ask_at {
                self.ask_at = Instant::now() + ASK_AGAIN;
                match self.visitor.is_in().await {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return None,
                }
            }
        }
    }

    async fn look(&mut self) -> sqlx::Result<()> {
        for kept in listing::list(&self.has.store, &self.wanted).await? {
            self.wanted.after = Some(kept.id);
            let shown = Shown::from(kept);
            let row = Row {
                tone: shown.tone.to_string(),
                host_path: format!("/hosts/{}", shown.host),
                shown,
            };
            if let Ok(event) = Event::default().json_data(row) {
                self.ready.push_back(event);
            }
        }
        Ok(())
    }
}
