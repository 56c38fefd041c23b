//! The budget: how many messages one person gets within a window by one channel, and what is folded
//! into a counted summary instead. Pure.
//!
//! It has three shares: what is critical about who got in or could, whatever else is critical, and
//! the rest. None takes from another, so that nothing that breaks, or is broken on purpose, hides
//! who got in. Beyond the budget come only the first of each kind within the window, and while
//! something critical is held back a summary a minute.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use watchward_protocol::time::Timestamp;

use super::Severity;
use super::kinds;
use super::message::{Kind, Message};

/// How long what is critical is gathered, and how long after one summary the next one may come.
const GATHER: Duration = Duration::from_secs(5);
const SPACING: Duration = Duration::from_secs(60);

/// How long what is not critical is gathered.
const GATHER_REST: Duration = Duration::from_secs(30);

/// Which share of the budget a message takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Share {
    /// What is critical about who got in or could.
    Security,
    /// What else is critical.
    Critical,
    Rest,
}

impl Share {
    /// An end can wait, whatever ends.
    pub(super) fn of(kind: Kind, severity: Severity, key: &str) -> Self {
        match (kind, severity) {
            (Kind::Opened | Kind::Risen | Kind::Summary, Severity::Critical) => {
                match kinds::is_security(key) {
                    true => Self::Security,
                    false => Self::Critical,
                }
            }
            (Kind::Resolved, _) | (_, Severity::Info | Severity::Warning) => Self::Rest,
        }
    }

    fn of_message(message: &Message) -> Self {
        Self::of(message.kind, message.severity, &message.incident.key)
    }

    /// Whether it is told in the summary of what is critical.
    pub(super) const fn is_critical(self) -> bool {
        matches!(self, Self::Security | Self::Critical)
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
    pub(super) kind: Kind,
    /// Whether it was held back until it was told, alone.
    pub(super) was_held: bool,
}

impl Page {
    /// Whether it told of what had been held back.
    fn is_late(&self) -> bool {
        self.was_held || self.kind == Kind::Summary
    }

    /// Whether it told at once that something began.
    fn began(&self) -> bool {
        !self.is_late() && self.kind != Kind::Resolved
    }
}

/// Messages that are held back for one person: the critical ones, or the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) contact: String,
    pub(super) critical: bool,
    pub(super) count: i64,
    pub(super) only_ends: bool,
    /// Since when the first waits.
    pub(super) since: Timestamp,
}

/// Whether a message may be sent by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    Now,
    /// It is held back: why, and when at the latest it is told.
    Later(&'static str, Timestamp),
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
    pub(super) fn grant(&mut self, message: &Message, now: Timestamp) -> Grant {
        if let Some(page) = self.pages.iter_mut().find(|page| page.id == message.id) {
            page.at = now;
            return Grant::Now;
        }
        let share = Share::of_message(message);
        if let Some(why) = self.refusal(message, share) {
            let only_ends = message.kind == Kind::Resolved;
            return Grant::Later(why, self.told_by(share.is_critical(), only_ends, now));
        }
        self.pages.push(Page {
            id: message.id,
            at: now,
            share,
            key: message.incident.key.clone(),
            kind: message.kind,
            was_held: false,
        });
        Grant::Now
    }

    /// Why a message is held back, if it is.
    fn refusal(&self, message: &Message, share: Share) -> Option<&'static str> {
        let key = message.incident.key.as_str();
        let is_end = message.kind == Kind::Resolved;
        if message.kind == Kind::Summary {
            return None;
        }
        if is_end && message.folded {
            return Some("it began in a summary");
        }
        let (kind, network) = (kinds::kind(key), network(key));
        let alike =
            |page: &&Page| page.began() && page.share == share && kinds::kind(&page.key) == kind;
        let of_kind = self.pages.iter().filter(alike).count();
        if !is_end && of_kind == 0 {
            return None;
        }
        let neighbours = self.pages.iter().filter(alike).any(|page| {
            network.is_some() && self::network(&page.key) == network && page.key != key
        });
        if neighbours {
            return Some("its neighbours in the network were told of");
        }
        let of_share = self.pages.iter().filter(|page| page.share == share);
        let spent = match share {
            Share::Security | Share::Critical => {
                of_share.filter(|page| !page.is_late()).count() >= self.of(share)
            }
            // The last one is for a summary.
            Share::Rest => of_share.count() + 1 >= self.of(share),
        };
        if spent {
            return Some("the budget is spent");
        }
        let many = share.is_critical() && of_kind >= self.of(share).div_ceil(2);
        many.then_some("others of its kind were told of")
    }

    /// Whether what is held back may be told now: in a summary, or by itself if it is alone.
    pub(super) fn may_tell(&self, held: &Held, now: Timestamp) -> bool {
        self.told_by(held.critical, held.only_ends, held.since) <= now
    }

    /// When what is held back since then is told.
    fn told_by(&self, critical: bool, only_ends: bool, since: Timestamp) -> Timestamp {
        let (gather, spacing) = match critical {
            true => (GATHER, SPACING),
            false if only_ends => (self.window / 2, self.window / 2),
            false => (GATHER_REST, self.window / 2),
        };
        let late = self.pages.iter().filter(|page| page.is_late());
        let last = late.filter(|page| page.share.is_critical() == critical);
        let rested = last
            .map(|page| page.at + spacing.min(self.window / 2))
            .max();
        let gathered = since + gather.min(self.window / 2);
        let free = self.free().filter(|_| !critical);
        [rested, free]
            .into_iter()
            .flatten()
            .fold(gathered, Timestamp::max)
    }

    /// When the share of the rest has room again for a summary, if it has none. The first of each
    /// kind takes none.
    fn free(&self) -> Option<Timestamp> {
        let mut pages: Vec<_> = self
            .pages
            .iter()
            .filter(|page| page.share == Share::Rest)
            .collect();
        pages.sort_by_key(|page| std::cmp::Reverse(page.at));
        let mut kinds = HashSet::new();
        // From the newest on, so that of each kind it is the oldest that leaves room first.
        pages.retain(|page| !page.began() || !kinds.insert(kinds::kind(&page.key)));
        let taken = pages.len();
        let oldest = pages.last().map(|page| page.at + self.window);
        oldest.filter(|_| taken >= self.of(Share::Rest))
    }

    fn of(&self, share: Share) -> usize {
        let each = (self.limit * 3 / 10).max(1);
        match share {
            Share::Critical | Share::Rest => each,
            Share::Security => self.limit.saturating_sub(2 * each),
        }
    }
}

/// The /48 that an incident about an IPv6 /64 lies in: whoever has one has 65,536 of the other.
fn network(key: &str) -> Option<[u8; 6]> {
    let (address, length) = key.rsplit(' ').next()?.split_once('/')?;
    let address: Ipv6Addr = address.parse().ok()?;
    let [a, b, c, d, e, f, ..] = address.octets();
    (length == "64").then_some([a, b, c, d, e, f])
}
