//! What people should know of a host's keys, from what is kept of them: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_protocol::keys::Means;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::inventory::{Inventory, Whose};
use super::kept::Kept;
use super::options::widened;
use super::policy::Policy;
use crate::alerting::Severity;

/// For how long people hear that something is gone.
pub(super) const FAREWELL: Duration = Duration::from_secs(86_400);

/// How much later than a login an inventory may have been read that still tells of it.
pub(super) const SLACK: Duration = Duration::from_secs(60);

/// Something to tell people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Trouble {
    /// A key that nobody has said is right.
    New,
    /// The same for what lets in more than one key: an authority, or a program that is asked.
    NewTrust,
    /// A host key of its own that nobody has said is right.
    HostKey,
    /// A key that may do more than when it was said to be right.
    Widened,
    /// Something that was there a day ago.
    Gone,
    /// A key that is not strong enough.
    Weak,
    /// A key that is to be replaced soon, or a certificate that ends.
    Due,
    /// A key that should have been replaced.
    Overdue,
    /// A certificate of the agent that it should have renewed.
    Unrenewed,
    /// A login with a key that is listed nowhere.
    Unlisted,
    /// Keys that cannot be read.
    Unread,
    /// More keys, or lines, than are looked at.
    Beyond,
}

impl Trouble {
    /// All of them.
    pub(super) const ALL: [Self; 12] = [
        Self::New,
        Self::NewTrust,
        Self::HostKey,
        Self::Widened,
        Self::Gone,
        Self::Weak,
        Self::Due,
        Self::Overdue,
        Self::Unrenewed,
        Self::Unlisted,
        Self::Unread,
        Self::Beyond,
    ];
}

/// What a trouble is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum About {
    /// The opening with this number.
    Opening(i64),
    /// The stray login with this number.
    Stray(i64),
    /// What cannot be read of this account's keys, or of the host's own.
    Holder(Vec<u8>),
}

/// A login with a key that is not listed, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    /// Its number; 0 while the database has not given one.
    pub(super) id: i64,
    pub(super) account: Foreign,
    /// Of the key or, of a certificate, of its authority.
    pub(super) fingerprint: String,
    /// What the server said of it, such as `ED25519` or `RSA-CERT`.
    pub(super) kind: String,
    /// When it was first seen, by the host's clock.
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    /// From where, the last time.
    pub(super) address: Option<String>,
    pub(super) times: i64,
    /// Whether any local user could have made the line up.
    pub(super) hearsay: bool,
    /// Whether people were told.
    pub(super) told: bool,
    /// When it is told, or else forgotten.
    pub(super) due_at: Timestamp,
}

/// What is to become of a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays as it is.
    Stay,
    /// It turned out to be listed.
    Listed,
    /// It is time to tell people.
    Tell,
    /// Nothing more came for long enough.
    Forget,
}

/// Judges a login with a key that was not listed when it was heard of. The inventory has to be of
/// before the login: a key that has gone meanwhile is no stray.
pub(super) fn fate(stray: &Stray, inventory: &Inventory, now: Timestamp) -> Fate {
    if !is_nowhere(stray, inventory) {
        return Fate::Listed;
    }
    match (stray.told, now >= stray.due_at) {
        (_, false) => Fate::Stay,
        (false, true) => Fate::Tell,
        (true, true) => Fate::Forget,
    }
}

fn is_nowhere(stray: &Stray, inventory: &Inventory) -> bool {
    let account = Whose::Account(stray.account.clone());
    let complete = inventory.holders.get(&account);
    let complete = complete.is_some_and(|known| known.first_at <= stray.first_at);
    let both = [account, Whose::Host];
    let mut all = both.iter().flat_map(|whose| inventory.of(whose));
    complete && !all.any(|(_, kept)| kept.opens_with(&stray.fingerprint, stray.first_at))
}

impl Kept {
    /// Whether it let this key in, or this authority's certificates.
    pub(super) fn opens_with(&self, fingerprint: &str, at: Timestamp) -> bool {
        let was_there = self.gone_by.is_none_or(|gone| at <= gone + SLACK);
        let fits = match self.opening.means {
            Means::AuthorizedKey | Means::Authority => {
                let key = self.opening.key.as_ref();
                key.is_some_and(|key| key.fingerprint == fingerprint)
            }
            Means::Command => true,
            // A name opens nothing without an authority, which has an opening of its own.
            Means::Principals
            | Means::PrincipalsCommand
            | Means::HostKey
            | Means::HostCertificate
            | Means::AgentCertificate => false,
        };
        fits && was_there
    }

    /// What it may do more than when it was said to be right.
    pub(super) fn widened(&self) -> Option<String> {
        widened(self.approved.as_bytes(), self.opening.options.as_bytes())
    }

    /// Whether it has come to its end by itself, so that it opens nothing any more.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        let by_itself = matches!(self.opening.means, Means::AuthorizedKey | Means::Authority);
        by_itself && self.opening.not_after.is_some_and(|end| end <= now)
    }

    /// Notes when it is due and what is wrong with it.
    fn mark(&mut self, policy: &Policy, now: Timestamp) {
        let (due_at, weak) = match self.gone_at {
            Some(_) => (None, None),
            None => (due(self, policy, now), weakness(self, policy, now)),
        };
        let ahead = match self.opening.means {
            // It is renewed by itself.
            Means::AgentCertificate => Duration::ZERO,
            Means::AuthorizedKey
            | Means::Authority
            | Means::Principals
            | Means::Command
            | Means::PrincipalsCommand
            | Means::HostKey
            | Means::HostCertificate => policy.warn_ahead.duration(),
        };
        let warn_at = due_at.map(|due| due - ahead);
        let before = (self.due_at, self.warn_at, &self.weak);
        self.touched |= before != (due_at, warn_at, &weak);
        self.due_at = due_at;
        self.warn_at = warn_at;
        self.weak = weak;
    }
}

fn excepted(kept: &Kept, policy: &Policy, now: Timestamp) -> bool {
    let key = kept.opening.key.as_ref();
    key.is_some_and(|key| policy.excepts(key, now))
}

fn due(kept: &Kept, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let Kept {
        opening, first_at, ..
    } = kept;
    match opening.means {
        // It has a schedule of its own, or ends by itself.
        Means::AuthorizedKey | Means::Authority if kept.ordered => None,
        Means::AuthorizedKey | Means::Authority => {
            let old = *first_at + policy.max_age.duration();
            let old = (!excepted(kept, policy, now)).then_some(old);
            [old, opening.not_after].into_iter().flatten().min()
        }
        // It is renewed by itself, and told of otherwise.
        Means::HostCertificate if kept.ordered => None,
        Means::HostCertificate => opening.not_after,
        // The agent renews it at two thirds of its life; half of what is left then is slack.
        Means::AgentCertificate => {
            let (start, end) = opening.not_before.zip(opening.not_after)?;
            Some(end - end.since(start) / 6)
        }
        Means::Principals | Means::Command | Means::PrincipalsCommand | Means::HostKey => None,
    }
}

fn weakness(kept: &Kept, policy: &Policy, now: Timestamp) -> Option<String> {
    let key = match kept.opening.means {
        Means::AuthorizedKey | Means::Authority | Means::HostKey => kept.opening.key.as_ref()?,
        Means::Principals
        | Means::Command
        | Means::PrincipalsCommand
        | Means::HostCertificate
        | Means::AgentCertificate => return None,
    };
    if kept.has_ended(now) || excepted(kept, policy, now) {
        return None;
    }
    policy.weakness(key)
}

/// Notes for every opening when it is due and what is wrong with it.
pub(super) fn mark(inventory: &mut Inventory, policy: &Policy, now: Timestamp) {
    for kept in inventory.openings.values_mut() {
        kept.mark(policy, now);
    }
}

/// What people should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) troubles: BTreeMap<Trouble, BTreeSet<About>>,
    /// When time alone may change it.
    pub(super) next: Option<Timestamp>,
}

impl Judged {
    fn add(&mut self, trouble: Trouble, about: About) {
        self.troubles.entry(trouble).or_default().insert(about);
    }

    fn wait(&mut self, until: Option<Timestamp>, now: Timestamp) {
        let later = until.filter(|until| *until > now);
        self.next = [self.next, later].into_iter().flatten().min();
    }
}

/// Judges what is kept of a host; every opening has been marked.
pub(super) fn judge(
    inventory: &Inventory,
    strays: &[Stray],
    policy: &Policy,
    now: Timestamp,
) -> Judged {
    let mut judged = Judged::default();
    for kept in inventory.openings.values() {
        for trouble in troubles(kept, now) {
            judged.add(trouble, About::Opening(kept.id));
        }
        let farewell = kept.gone_at.map(|gone| gone + FAREWELL);
        for until in [kept.warn_at, kept.due_at, kept.opening.not_after, farewell] {
            judged.wait(until, now);
        }
    }
    for stray in strays {
        if stray.told {
            judged.add(Trouble::Unlisted, About::Stray(stray.id));
        }
        judged.wait(Some(stray.due_at), now);
    }
    for (whose, known) in &inventory.holders {
        let name = whose.account().map(|name| name.as_bytes().to_vec());
        let about = About::Holder(name.unwrap_or_default());
        if known.is_unread() {
            judged.add(Trouble::Unread, about.clone());
        }
        if known.is_beyond() {
            judged.add(Trouble::Beyond, about);
        }
    }
    judged.wait(policy.next(now), now);
    judged
}

fn troubles(kept: &Kept, now: Timestamp) -> Vec<Trouble> {
    if let Some(gone) = kept.gone_at {
        let tells = !matches!(
            kept.opening.means,
            Means::HostCertificate | Means::AgentCertificate
        );
        // What was ordered goes by an order.
        let lately = tells && !kept.is_ours() && now < gone + FAREWELL;
        return lately.then_some(Trouble::Gone).into_iter().collect();
    }
    let news = match kept.opening.means {
        Means::AuthorizedKey | Means::Principals => Some(Trouble::New),
        Means::Authority | Means::Command | Means::PrincipalsCommand => Some(Trouble::NewTrust),
        Means::HostKey => Some(Trouble::HostKey),
        Means::HostCertificate | Means::AgentCertificate => None,
    };
    let wider = !kept.new && kept.widened().is_some();
    [
        news.filter(|_| kept.new),
        wider.then_some(Trouble::Widened),
        kept.weak.is_some().then_some(Trouble::Weak),
        lateness(kept, now),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn lateness(kept: &Kept, now: Timestamp) -> Option<Trouble> {
    let due = kept.due_at?;
    if kept.opening.means == Means::AgentCertificate {
        return (due <= now).then_some(Trouble::Unrenewed);
    }
    // What has ended by itself harms nobody.
    if kept.has_ended(now) {
        return None;
    }
    if due <= now {
        return Some(Trouble::Overdue);
    }
    kept.warn_at
        .filter(|warn| *warn <= now)
        .map(|_| Trouble::Due)
}

/// How much a trouble of this account, or of the host's own, matters.
pub(super) fn severity(trouble: Trouble, account: Option<&Foreign>, policy: &Policy) -> Severity {
    let privileged = account.is_some_and(|name| {
        let name = name.as_bytes();
        policy.privileged.iter().any(|one| one.as_bytes() == name)
    });
    match trouble {
        // What lies beyond may be what would be told as new.
        Trouble::New | Trouble::Beyond if privileged => Severity::Critical,
        Trouble::NewTrust | Trouble::Unlisted => Severity::Critical,
        Trouble::New
        | Trouble::Beyond
        | Trouble::HostKey
        | Trouble::Widened
        | Trouble::Weak
        | Trouble::Overdue
        | Trouble::Unrenewed => Severity::Warning,
        // Whoever makes a file unreadable may be hiding something in it.
        Trouble::Unread if privileged => Severity::Warning,
        Trouble::Gone | Trouble::Due | Trouble::Unread => Severity::Info,
    }
}
