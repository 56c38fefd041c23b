//! What hosts' sshd shows of itself: the tables `[[keys.hosts]]` of `policy.toml`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::Misplaced;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::policy::{Groups, Members};

/// How many names a table may have.
const MOST_NAMES: usize = 32;
/// The longest name, in bytes.
const LONGEST: usize = 200;

/// The table `[[keys.hosts]]`: of several for a host the first counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The hosts of these groups.
    pub groups: Members,
    /// What else they are called, beside the name that they are enrolled by, which `*` stands for.
    #[serde(default)]
    pub names: Vec<Name>,
    /// How long a certificate counts; it is renewed at two thirds of that.
    #[serde(default = "certificate")]
    pub certificate: Life,
    /// How often a host has another key; without it, never.
    #[serde(default)]
    pub every: Option<Life>,
    /// How long the old key is shown beside the new one.
    #[serde(default = "overlap")]
    pub overlap: Span,
    /// How long before another key takes its place people hear of it; at most half of `every`.
    #[serde(default = "week")]
    pub warn_ahead: Span,
    /// How long after the end of the overlap the old key may be shown before somebody is paged.
    #[serde(default = "week")]
    pub deadline: Span,
}

/// What a host is called: letters, digits, `.`, `-`, `_` and `:`, and one `*` that is not all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// How long a certificate counts, or a key is shown: a minute to ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct Life(Span);

impl Shown {
    fn join(&mut self, groups: &Groups) -> Result<(), Misplaced> {
        self.groups.join(groups)?;
        let wrong = if self.names.len() > MOST_NAMES {
            "names = [...] beside it has more than 32 of them"
        } else if self.every.is_some_and(|every| every.0 <= self.overlap) {
            "overlap must be shorter than every, or it would never end"
        } else {
            return Ok(());
        };
        Err(self.groups.misplaced(wrong))
    }

    /// What a certificate of this host says that it is called; none: no certificate can say it.
    pub(super) fn principals(&self, host: &str) -> Option<Vec<String>> {
        let host = host.to_ascii_lowercase();
        if !is_name(&host) {
            return None;
        }
        let other = self.names.iter().map(|it| it.0.replace('*', &host));
        let all: BTreeSet<_> = other.chain([host.clone()]).collect();
        Some(all.into_iter().collect())
    }

    /// What clients are to take certificates for.
    pub(in crate::keys) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|it| it.0.as_str())
    }

    /// How long a certificate counts.
    pub(in crate::keys) fn life(&self) -> Duration {
        self.certificate.0.duration()
    }

    /// When the key that a host shows since then is to be replaced; none: never.
    pub(super) fn due(&self, since: Timestamp) -> Option<Timestamp> {
        Some(since + self.every()?)
    }

    /// When people hear of that.
    pub(super) fn warn(&self, since: Timestamp) -> Option<Timestamp> {
        let ahead = self.warn_ahead.duration().min(self.every()? / 2);
        Some(self.due(since)? - ahead)
    }

    /// When that is missed: the old one is shown for the overlap, and no longer.
    pub(super) fn missed(&self, since: Timestamp) -> Option<Timestamp> {
        Some(self.due(since)? + self.overlap.duration() + self.deadline.duration())
    }

    /// How often a host has another key.
    pub(super) fn every(&self) -> Option<Duration> {
        self.every.map(|it| it.0.duration())
    }
}

/// Looks up what the tables name.
///
/// # Errors
/// What makes no sense, and where.
pub(in crate::keys) fn join(all: &mut [Shown], groups: &Groups) -> Result<(), Misplaced> {
    all.iter_mut().try_for_each(|one| one.join(groups))
}

/// Whether a certificate can say it: `*` in one would count for more than was meant.
fn is_name(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b".-_:".contains(&it);
    let says_something = text.bytes().any(|it| it.is_ascii_alphanumeric());
    (1..=LONGEST).contains(&text.len()) && says_something && text.bytes().all(plain)
}

fn certificate() -> Life {
    Life(Span::days(30))
}

fn overlap() -> Span {
    Span::days(30)
}

fn week() -> Span {
    Span::days(7)
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = text.replacen('*', "", 1);
        match is_name(&plain) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(
                "expected a name or an address of hosts, such as \"*.example.org\" or \
                 \"git.example.org\": `*` stands for a host's own name, and cannot be all of it",
            ),
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl TryFrom<Span> for Life {
    type Error = &'static str;

    fn try_from(span: Span) -> Result<Self, Self::Error> {
        match (Span::minutes(1)..=Span::days(3650)).contains(&span) {
            true => Ok(Self(span)),
            false => Err("expected \"1m\" to \"3650d\""),
        }
    }
}

impl From<Life> for Span {
    fn from(life: Life) -> Self {
        life.0
    }
}
