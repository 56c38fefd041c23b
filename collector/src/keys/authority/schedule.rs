//! How often the authorities are replaced: the tables `[keys.authority]` and `[keys.hosts_authority]` of
//! `policy.toml`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use super::Grant;
use crate::keys::rotation::Missed;

/// So much longer than a certificate of people counts, the next authority of hosts is published.
const MARGIN: Duration = Duration::from_secs(86_400);

/// The table `[keys.authority]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// How long one signs before the next is made.
    pub every: Every,
    /// How long the next waits for hosts that are silent; for others it waits as long as it takes.
    pub overlap: Overlap,
    /// How long hosts trust one after its last certificate is over: so far clocks may be apart.
    pub slack: Slack,
    /// How long before the next is made people hear of it; at most half of `every`.
    pub warn_ahead: Span,
    /// How long after it was made the next may take to sign.
    pub deadline: Span,
    /// What happens when it does not by then.
    pub missed: Missed,
}

impl Schedule {
    /// When one that signs since then is to be replaced.
    pub(in crate::keys) fn due(&self, since: Timestamp) -> Timestamp {
        self.every.due(since)
    }

    /// When people hear of that.
    pub(in crate::keys) fn warn(&self, since: Timestamp) -> Timestamp {
        self.every.warn(since, self.warn_ahead)
    }

    /// When that is missed.
    pub(in crate::keys) fn deadline(&self, since: Timestamp) -> Timestamp {
        self.due(since) + self.deadline.duration()
    }
}

/// The table `[keys.hosts_authority]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostsSchedule {
    /// How long one signs before the next is made.
    pub every: Every,
    /// How long clients are given the next one's line before it signs; never less than the longest
    /// certificate of people counts, and a day.
    pub overlap: Overlap,
    /// How long before the next is made people hear of it; at most half of `every`.
    pub warn_ahead: Span,
    /// How long the next may take to sign once clients could know it, and hosts to show certificates of it.
    pub deadline: Span,
}

impl HostsSchedule {
    /// When one that signs since then is to be replaced.
    pub(in crate::keys) fn due(&self, since: Timestamp) -> Timestamp {
        self.every.due(since)
    }

    /// When people hear of that.
    pub(in crate::keys) fn warn(&self, since: Timestamp) -> Timestamp {
        self.every.warn(since, self.warn_ahead)
    }

    /// When that is missed, but for the time in which clients take the next one's line.
    pub(in crate::keys) fn deadline(&self, since: Timestamp) -> Timestamp {
        self.due(since) + self.grace()
    }

    /// How long it may take.
    pub(super) fn grace(&self) -> Duration {
        self.deadline.duration()
    }

    /// How long the next one's line is there before it signs, where people are given such certificates:
    /// whoever has one that counts took it together with that line.
    pub(super) fn published(&self, given: &[Grant]) -> Duration {
        let longest = given.iter().map(|it| it.life().duration()).max();
        let longest = longest.map_or(Duration::ZERO, |it| it + MARGIN);
        longest.max(self.overlap.0.duration())
    }
}

impl Default for HostsSchedule {
    fn default() -> Self {
        Self {
            every: Every(Span::days(365)),
            overlap: Overlap(Span::days(30)),
            warn_ahead: Span::days(14),
            deadline: Span::days(30),
        }
    }
}

/// How long an authority signs: a week to ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct Every(pub(super) Span);

impl Every {
    fn due(self, since: Timestamp) -> Timestamp {
        since + self.0.duration()
    }

    fn warn(self, since: Timestamp, ahead: Span) -> Timestamp {
        self.due(since) - ahead.duration().min(self.0.duration() / 2)
    }
}

/// How long the next one waits for silent hosts: up to 90 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct Overlap(pub(super) Span);

/// How far clocks may be apart: a second to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct Slack(pub(super) Span);

impl Default for Schedule {
    fn default() -> Self {
        Self {
            every: Every(Span::days(365)),
            overlap: Overlap(Span::days(7)),
            slack: Slack(Span::minutes(10)),
            warn_ahead: Span::days(14),
            deadline: Span::days(30),
            missed: Missed::Page,
        }
    }
}

impl TryFrom<Span> for Every {
    type Error = &'static str;

    fn try_from(span: Span) -> Result<Self, Self::Error> {
        match (Span::days(7)..=Span::days(3650)).contains(&span) {
            true => Ok(Self(span)),
            false => Err("expected \"7d\" to \"3650d\""),
        }
    }
}

impl From<Every> for Span {
    fn from(every: Every) -> Self {
        every.0
    }
}

impl TryFrom<Span> for Overlap {
    type Error = &'static str;

    fn try_from(span: Span) -> Result<Self, Self::Error> {
        match span <= Span::days(90) {
            true => Ok(Self(span)),
            false => Err("expected at most \"90d\""),
        }
    }
}

impl From<Overlap> for Span {
    fn from(overlap: Overlap) -> Self {
        overlap.0
    }
}

impl TryFrom<Span> for Slack {
    type Error = &'static str;

    fn try_from(span: Span) -> Result<Self, Self::Error> {
        match (Span::seconds(1)..=Span::days(1)).contains(&span) {
            true => Ok(Self(span)),
            false => Err("expected \"1s\" to \"1d\""),
        }
    }
}

impl From<Slack> for Span {
    fn from(slack: Slack) -> Self {
        slack.0
    }
}
