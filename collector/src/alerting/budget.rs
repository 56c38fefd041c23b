//! The budget: how many messages one person gets within a window by one channel, and what is folded
//! into a counted summary instead. Pure.
//!
//! What is critical has three fifths of it, the rest has two fifths, and neither takes from the
//! other: so nothing critical ever waits for anything that is not. The last message of each share
//! is kept for a summary.

use std::net::Ipv6Addr;
use std::time::Duration;

use watchward_protocol::time::Timestamp;

use super::Severity;
use super::message::{Kind, Message};

/// Which share of the budget a message takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Share {
    Critical,
    Rest,
}

impl Share {
    /// An end can wait, whatever ends.
    pub(super) const fn of(kind: Kind, severity: Severity) -> Self {
        match (kind, severity) {
            (Kind::Opened | Kind::Risen | Kind::Summary, Severity::Critical) => Self::Critical,
            (Kind::Resolved, _) | (_, Severity::Info | Severity::Warning) => Self::Rest,
        }
    }

    /// How long what is held back is gathered before it is told in a summary.
    fn gather(self, only_ends: bool, window: Duration) -> Duration {
        match self {
            Self::Critical => Duration::from_secs(5),
            Self::Rest if only_ends => window / 2,
            Self::Rest => Duration::from_secs(30),
        }
        .min(window / 2)
    }
}

/// A message that was sent within the window, or is being sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The message's number.
    pub(super) id: i64,
    pub(super) at: Timestamp,
    pub(super) share: Share,
    /// The key of its incident.
    pub(super) key: String,
    pub(super) is_summary: bool,
}

/// Messages of one share that are held back for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) contact: String,
    pub(super) share: Share,
    pub(super) count: i64,
    pub(super) only_ends: bool,
    /// Since when the first waits.
    pub(super) since: Timestamp,
}

/// What one person may still get by one channel.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    limit: usize,
    window: Duration,
    pages: Vec<Page>,
}

impl Purse {
    /// `pages` are those within the window before now.
    pub(super) fn new(limit: u16, window: Duration, pages: Vec<Page>) -> Self {
        Self {
            limit: usize::from(limit),
            window,
            pages,
        }
    }

    /// Whether a message may be sent by itself now; what may not is held back for a summary.
    pub(super) fn grant(&mut self, message: &Message, now: Timestamp) -> bool {
        if let Some(page) = self.pages.iter_mut().find(|page| page.id == message.id) {
            page.at = now;
            return true;
        }
        let share = Share::of(message.kind, message.severity);
        let key = message.incident.key.as_str();
        let (kind, network) = (kind(key), network(key));
        let alike =
            |page: &&Page| !page.is_summary && page.share == share && self::kind(&page.key) == kind;
        let of_kind = self.pages.iter().filter(alike).count();
        let neighbours = self.pages.iter().filter(alike).any(|page| {
            network.is_some() && self::network(&page.key) == network && page.key != key
        });
        let ends_a_summary = message.kind == Kind::Resolved && message.folded;
        let many = share == Share::Critical && of_kind >= self.of(share).div_ceil(2);
        if ends_a_summary || neighbours || many || self.used(share) + 1 >= self.of(share) {
            return false;
        }
        self.add(message.id, share, key, now);
        true
    }

    /// Whether what is held back may be told now: in a summary, or by itself if it is alone.
    pub(super) fn may_tell(&self, held: &Held, now: Timestamp) -> bool {
        let waited = now.since(held.since) >= held.share.gather(held.only_ends, self.window);
        let last = self
            .pages
            .iter()
            .filter(|page| page.is_summary && page.share == held.share)
            .map(|page| page.at)
            .max();
        let rested = last.is_none_or(|last| now.since(last) >= self.window / 2);
        waited && rested && self.used(held.share) < self.of(held.share)
    }

    fn add(&mut self, id: i64, share: Share, key: &str, now: Timestamp) {
        self.pages.push(Page {
            id,
            at: now,
            share,
            key: key.to_owned(),
            is_summary: false,
        });
    }

    fn used(&self, share: Share) -> usize {
        let of = |page: &&Page| page.share == share;
        self.pages.iter().filter(of).count()
    }

    fn of(&self, share: Share) -> usize {
        let rest = (self.limit * 2 / 5).max(2);
        match share {
            Share::Rest => rest,
            Share::Critical => self.limit.saturating_sub(rest),
        }
    }
}

/// What kind of incident a key is of: `access.brute-force`.
pub(super) fn kind(key: &str) -> &str {
    key.split(' ').next().unwrap_or_default()
}

/// The /48 that an incident about an IPv6 /64 lies in: whoever has one has 65,536 of the other.
fn network(key: &str) -> Option<[u8; 6]> {
    let (address, length) = key.rsplit(' ').next()?.split_once('/')?;
    let address: Ipv6Addr = address.parse().ok()?;
    let [a, b, c, d, e, f, ..] = address.octets();
    (length == "64").then_some([a, b, c, d, e, f])
}
