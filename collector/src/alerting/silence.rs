//! Silences: for a while, nobody is told of what somebody expects. Pure.

use std::time::Duration;

use serde::Serialize;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use super::Severity;
use super::about::{About, Room, is_in};
use super::wording;
use crate::policy::Groups;

/// How long a silence may last.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// How many characters a reason may have.
const REASON: usize = 200;
/// How many characters a host, a group or the start of a key may have.
const WORD: usize = 300;

/// What is silenced: incidents to which all of this applies. Something must be said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// About this host.
    pub host: Option<String>,
    /// About a host of this group.
    pub group: Option<String>,
    /// Raised by this room.
    pub room: Option<Room>,
    /// With a key that begins so, such as `health.down`.
    pub key: Option<String>,
    /// Also what is critical about who got in, or could: without this it is always told.
    pub also_critical: bool,
}

/// A silence that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSilence {
    /// What is silenced.
    pub scope: Scope,
    /// For how long, from now on.
    pub span: Span,
    /// Why, for those who wonder.
    pub reason: String,
}

/// A silence as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// What is silenced.
    #[serde(flatten)]
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// Who wanted it.
    pub author: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
    /// When somebody ended it before.
    pub ended_at: Option<Timestamp>,
    /// Who did.
    pub ended_by: Option<String>,
}

/// A silence that makes no sense: what would, in one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub(super) &'static str);

impl NewSilence {
    /// As it is to be kept, from `now` on.
    pub(super) fn fit(self, author: &str, now: Timestamp) -> Result<Silence, Unfit> {
        let Self {
            scope,
            span,
            reason,
        } = self;
        let reason = wording::safe(reason.trim());
        let words = [&scope.host, &scope.group, &scope.key];
        let said = scope.room.is_some() || words.iter().any(|word| word.is_some());
        if !said {
            return Err(Unfit(
                "say what to silence: a host, a group, a room or a key",
            ));
        }
        let odd = |word: &&String| word.is_empty() || word.chars().count() > WORD;
        if words.into_iter().flatten().any(|word| odd(&word)) {
            return Err(Unfit("a host, a group or a key has 1 to 300 characters"));
        }
        if reason.is_empty() || reason.chars().count() > REASON {
            return Err(Unfit("say why, in at most 200 characters"));
        }
        if span.duration() > LONGEST {
            return Err(Unfit("a silence lasts 30 days at most"));
        }
        let plain = |word: Option<String>| word.map(|word| wording::safe(&word));
        Ok(Silence {
            id: 0,
            scope: Scope {
                host: plain(scope.host),
                group: plain(scope.group),
                key: plain(scope.key),
                ..scope
            },
            reason,
            author: wording::safe(author),
            created_at: now,
            until: now + span.duration(),
            ended_at: None,
            ended_by: None,
        })
    }
}

impl Silence {
    /// When it ended, or will.
    pub fn end(&self) -> Timestamp {
        self.ended_at.unwrap_or(self.until)
    }

    /// Whether nobody is told now because of it.
    pub(super) fn covers(&self, about: About<'_>, groups: &Groups, now: Timestamp) -> bool {
        let scope = &self.scope;
        let host = scope.host.as_deref();
        let security = about.room.is_none_or(Room::is_security);
        let too_bad = about.severity == Severity::Critical && security && !scope.also_critical;
        now < self.end()
            && !too_bad
            && host.is_none_or(|host| about.host == Some(host))
            && (scope.group.as_deref()).is_none_or(|group| is_in(groups, group, about.host))
            && scope.room.is_none_or(|room| about.room == Some(room))
            && (scope.key.as_deref()).is_none_or(|key| about.key.starts_with(key))
    }

    /// By whom and until when, for an incident's history.
    pub(super) fn note(&self) -> String {
        let until = wording::full(self.until);
        format!("by {} until {until}: {}", self.author, self.reason)
    }
}

/// Of these silences the one that covers an incident for the longest.
pub(super) fn covering<'a>(
    silences: &'a [Silence],
    about: About<'_>,
    groups: &Groups,
    now: Timestamp,
) -> Option<&'a Silence> {
    let covers = |silence: &&Silence| silence.covers(about, groups, now);
    silences.iter().filter(covers).max_by_key(|it| it.until)
}
