//! Everything as it happens, for whoever watches: one JSON object a line, while they watch.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;
use watchward_daemon::tasks::Stop;

use crate::store::Store;
use crate::web::Problem;
use crate::{access, alerting, health, hosts, keys, restriction};

/// How often the rows that came are looked for.
const GLANCE: Duration = Duration::from_millis(250);

/// How many rows of a kind are taken at a time.
const HANDFUL: u32 = 500;

/// `GET /v1/live`.
pub fn routes(store: Store, stop: Stop) -> Router {
    Router::new()
        .route("/v1/live", get(live))
        .with_state(Live { store, stop })
}

#[derive(Clone)]
struct Live {
    store: Store,
    stop: Stop,
}

async fn live(State(live): State<Live>) -> Result<Response, Problem> {
    let watch = Watch::begin(live).await?;
    let lines = stream::unfold(watch, async |mut watch| {
        let line = watch.next().await?;
        Some((Ok::<_, Infallible>(line), watch))
    });
    let kind = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// Somebody who watches, and what they have seen.
struct Watch {
    store: Store,
    stop: Stop,
    seen: Seen,
    lines: VecDeque<Bytes>,
}

/// The last row of each kind that was shown.
struct Seen {
    access: i64,
    health: i64,
    alerting: i64,
    findings: i64,
    keys: i64,
    bans: i64,
}

impl Watch {
    /// Begins with what comes from now on.
    async fn begin(live: Live) -> Result<Self, sqlx::Error> {
        let seen = Seen {
            access: access::last(&live.store).await?,
            health: health::last(&live.store).await?,
            alerting: alerting::last(&live.store).await?,
            findings: hosts::last_finding(&live.store).await?,
            keys: keys::last(&live.store).await?,
            bans: restriction::last_ban(&live.store).await?,
        };
        Ok(Self {
            store: live.store,
            stop: live.stop,
            seen,
            lines: VecDeque::new(),
        })
    }

    /// The next line; `None` when the collector ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(GLANCE) => {
                    if let Err(error) = self.look().await {
                        tracing::error!(%error, "cannot look for what happens");
                        return None;
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> sqlx::Result<()> {
        let findings =
            hosts::findings_after(&self.store, self.seen.findings, i64::from(HANDFUL)).await?;
        for finding in findings {
            self.seen.findings = finding.id;
            self.tell("finding", &finding);
        }
        for event in access::after(&self.store, self.seen.access, HANDFUL).await? {
            self.seen.access = event.id;
            self.tell("access", &event);
        }
        for change in health::after(&self.store, self.seen.health, HANDFUL).await? {
            self.seen.health = change.id;
            self.tell("health", &change);
        }
        for change in keys::after(&self.store, self.seen.keys, HANDFUL).await? {
            self.seen.keys = change.id;
            self.tell("key", &change);
        }
        for ban in restriction::bans_after(&self.store, self.seen.bans, HANDFUL).await? {
            self.seen.bans = ban.id;
            self.tell("ban", &ban);
        }
        for happened in alerting::after(&self.store, self.seen.alerting, HANDFUL).await? {
            self.seen.alerting = happened.row;
            self.tell(happened.kind, &happened);
        }
        Ok(())
    }

    fn tell(&mut self, kind: &str, what: &impl Serialize) {
        if let Ok(Value::Object(mut fields)) = serde_json::to_value(what) {
            fields.insert("kind".to_owned(), Value::from(kind));
            self.lines.push_back(line(&Value::Object(fields)));
        }
    }
}

fn line(event: &Value) -> Bytes {
    Bytes::from(format!("{event}\n"))
}
