//! What the outbox holds: an incident as people are told of it, and one message about it.

use std::fmt;

use serde::Serialize;
use watchward_protocol::time::Timestamp;

use super::Severity;
use super::about::About;

/// A way to tell somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Channel {
    Email,
    Sms,
}

impl Channel {
    pub(super) const ALL: [Self; 2] = [Self::Email, Self::Sms];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Email => Self::Sms,
            Self::Sms => Self::Email,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

/// What a message says of its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// It has begun.
    Opened,
    /// It has become worse.
    Risen,
    /// It is over.
    Resolved,
    /// It and others are told together; it is the worst of them.
    Summary,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Opened, Self::Risen, Self::Resolved, Self::Summary];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Risen => "risen",
            Self::Resolved => "resolved",
            Self::Summary => "summary",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// To be sent when its time comes.
    Pending,
    /// Beyond its receiver's budget: to be told in a summary.
    Held,
    /// It is told in a summary that is on its way.
    Folded,
    /// Somebody is sending it, or has died doing so.
    Leased,
    /// It was sent, or not: nobody wrote down which. The provider is asked.
    Unknown,
    /// The provider has taken it.
    Delivered,
    /// It lies in the folder, and nobody sends it: no server is configured.
    Written,
    /// It never will be.
    Failed,
    /// There was no reason any more to send it.
    Dropped,
}

impl State {
    const ALL: [Self; 9] = [
        Self::Pending,
        Self::Held,
        Self::Folded,
        Self::Leased,
        Self::Unknown,
        Self::Delivered,
        Self::Written,
        Self::Failed,
        Self::Dropped,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Folded => "folded",
            Self::Leased => "leased",
            Self::Unknown => "unknown",
            Self::Delivered => "delivered",
            Self::Written => "written",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether something may still become of it.
    pub(super) const fn is_live(self) -> bool {
        !matches!(
            self,
            Self::Delivered | Self::Written | Self::Failed | Self::Dropped
        )
    }
}

impl Severity {
    pub(super) const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Its place among the others, as the database orders by it.
    pub(super) const fn rank(self) -> i64 {
        match self {
            Self::Info => 0,
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }

    pub(super) fn ranked(rank: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.rank() == rank)
    }
}

/// What people call an incident, such as `W-7K3F`. It is in every message about it.
///
/// Drawn by lot, not counted: a collector restored from a backup must not give a number again that
/// the SMS gateway knows of another incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code(String);

impl Code {
    /// Neither vowels, so that no word arises, nor what is mistaken for another.
    const LETTERS: &[u8; 27] = b"23456789BCDFGHJKMNPQRSTVWXZ";

    /// One of so many letters, by lot.
    pub(super) fn draw(letters: usize) -> Self {
        let letter = || {
            let place = rand::random_range(0..Self::LETTERS.len());
            Self::LETTERS.get(place).copied().map_or('2', char::from)
        };
        Self(format!(
            "W-{}",
            (0..letters).map(|_| letter()).collect::<String>()
        ))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Code {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Alerts with one key, from the first one until it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) id: i64,
    pub(super) code: Code,
    pub(super) key: String,
    pub(super) severity: Severity,
    pub(super) host: Option<String>,
    /// The title that it began with: the subject of all emails, which keeps them in one thread.
    pub(super) subject: String,
    /// The title of the last repeat.
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) advice: String,
    pub(super) since: Timestamp,
    pub(super) opened_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) repeats: i64,
    /// Until when nobody was told of it because somebody wanted so, and who.
    pub(super) silenced: Option<(Timestamp, String)>,
    /// Who has taken it on, since it became as bad as it is.
    pub(super) acknowledged: Option<Acknowledged>,
    /// When it was over, and why.
    pub(super) resolved: Option<(Timestamp, String)>,
}

/// That somebody has taken an incident on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Acknowledged {
    pub(super) at: Timestamp,
    pub(super) by: String,
    /// What they said; may be empty.
    pub(super) note: String,
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}", self.by)?;
        if self.note.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.note)
    }
}

impl Incident {
    /// What routes and silences look at.
    pub(super) fn about(&self) -> About<'_> {
        About::new(&self.key, self.severity, self.host.as_deref())
    }
}

/// One message to one person by one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: i64,
    pub(super) incident: Incident,
    pub(super) contact: String,
    pub(super) channel: Channel,
    pub(super) address: String,
    pub(super) kind: Kind,
    /// The severity that it tells of.
    pub(super) severity: Severity,
    pub(super) state: State,
    /// How often somebody took it to send it or to ask for it. Also its fence: who took it before
    /// this number cannot write any more.
    pub(super) attempts: i64,
    /// How often the provider was asked for it and did not answer; of an email, how often it was
    /// sent and the server did not say whether it took it.
    pub(super) asks: i64,
    /// Whether an attempt may have reached the person without our knowing.
    pub(super) maybe: bool,
    /// Whether the same person was, or may have been, told something of this incident before by
    /// this channel.
    pub(super) told: bool,
    /// The first message of this incident to this person by this channel.
    pub(super) root: i64,
    pub(super) created_at: Timestamp,
    /// Whether the same person was told of this incident in a summary by this channel.
    pub(super) folded: bool,
    /// What a summary tells of.
    pub(super) digest: Option<Digest>,
    /// Where it is on the page, if it is known how people reach that.
    pub(super) link: Option<String>,
}

/// What a summary tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    /// How many incidents have begun or become worse.
    pub(super) begun: usize,
    /// How many of these are over already.
    pub(super) over: usize,
    /// How many more are over that were told before.
    pub(super) ended: usize,
    /// Since when.
    pub(super) since: Timestamp,
    /// How many of each kind have begun, the kind that matters most first.
    pub(super) kinds: Vec<(&'static str, usize)>,
    /// The worst, each on a line.
    pub(super) worst: Vec<String>,
}

impl Digest {
    /// It tells also of an incident of this kind that has begun.
    pub(super) fn begin(&mut self, kind: &'static str, over: bool) {
        self.begun += 1;
        self.over += usize::from(over);
        match self.kinds.iter_mut().find(|(one, _)| *one == kind) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((kind, 1)),
        }
    }
}

impl Message {
    /// The word that a message begins with.
    pub(super) const fn label(&self) -> &'static str {
        match (self.kind, self.severity) {
            (Kind::Resolved, _) => "OVER",
            (Kind::Summary, _) => "SUMMARY",
            (Kind::Opened | Kind::Risen, Severity::Info) => "INFO",
            (Kind::Opened | Kind::Risen, Severity::Warning) => "WARNING",
            (Kind::Opened | Kind::Risen, Severity::Critical) => "CRITICAL",
        }
    }
}
