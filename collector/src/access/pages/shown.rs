//! An event as pages and files show it: what a stranger typed is escaped, and a user name that the
//! server did not know is not shown at all, because it may be a password typed in the wrong field.

use serde::Serialize;
use watchward_protocol::access::{Action, Outcome, UNRECOGNISED};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::access::rows::listing::Kept;
use crate::web::Tone;

/// What stands in place of a name that nobody has.
pub(super) const UNKNOWN: &str = "(unknown name)";

/// How much of a line is shown.
const LINE: usize = 400;

/// An event.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown {
    pub(super) id: i64,
    /// RFC 3339, UTC.
    pub(super) at: String,
    #[serde(skip)]
    pub(super) moment: Timestamp,
    pub(super) host: String,
    pub(super) service: &'static str,
    pub(super) action: &'static str,
    pub(super) outcome: &'static str,
    #[serde(skip)]
    pub(super) tone: Tone,
    pub(super) user: Option<String>,
    pub(super) target: Option<String>,
    pub(super) address: Option<String>,
    pub(super) port: Option<u16>,
    /// Method, key and certificate, as far as the line has them.
    pub(super) how: String,
    /// The line, unless it has a name in it that nobody has.
    pub(super) line: Option<String>,
}

impl Shown {
    /// How they came, or that nobody said.
    pub(super) fn how(&self) -> &str {
        match self.how.as_str() {
            "" => "–",
            how => how,
        }
    }
}

impl From<Kept> for Shown {
    fn from(kept: Kept) -> Self {
        let event = kept.event;
        let known = event.user.as_ref().map(|user| user.known);
        // Nobody knows what a line says that no grammar knows.
        let is_safe = known.unwrap_or(event.form != UNRECOGNISED);
        let name = |user: &watchward_protocol::access::User| match user.known {
            true => user.name.to_string(),
            false => UNKNOWN.to_owned(),
        };
        Self {
            id: kept.id,
            at: event.at.to_string(),
            moment: event.at,
            host: kept.host,
            service: event.service.name(),
            action: action(event.action),
            outcome: outcome(event.outcome),
            tone: tone(event.outcome),
            user: event.user.as_ref().map(name),
            target: event.target.as_ref().map(ToString::to_string),
            address: event.peer.map(|peer| peer.address.to_string()),
            port: event.peer.and_then(|peer| peer.port),
            how: how(&event),
            line: is_safe.then(|| event.line.shortened(LINE)),
        }
    }
}

fn how(event: &watchward_protocol::access::AccessEvent) -> String {
    let escaped = |text: &str| Foreign::from(text).to_string();
    let key = event
        .key
        .as_ref()
        .map(|key| format!("{} {}", escaped(&key.kind), escaped(&key.fingerprint)));
    let certificate = event.certificate.as_ref().map(|one| {
        let serial = one.serial.map(|serial| format!(" ({serial})"));
        format!("certificate {}{}", one.id, serial.unwrap_or_default())
    });
    let command = event.command.as_ref().map(|one| format!("ran {one}"));
    let method = event.method.as_deref().map(escaped);
    let all = [method, key, certificate, command];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Authentication => "authentication",
        Action::Refusal => "refusal",
        Action::Connection => "connection",
        Action::SessionOpened => "session opened",
        Action::SessionClosed => "session closed",
        Action::Notice => "notice",
    }
}

pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Unknown => "unknown",
    }
}

const fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Success => Tone::Good,
        Outcome::Failure => Tone::Bad,
        Outcome::Unknown => Tone::Dim,
    }
}
