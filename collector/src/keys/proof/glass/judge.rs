//! What a host's answer means for a break-glass key, and when people hear of it. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_protocol::proof::{Answer, Door, Said};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

/// So long it may be before a key is proven anew.
pub(super) const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// A break-glass key on a host that it is to open, and what was said to it last. Safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Glass {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) host: String,
    /// Since when it is to open it.
    pub(in crate::keys) wanted_at: Timestamp,
    pub(in crate::keys) asked_at: Option<Timestamp>,
    /// When it was seen last to open all that it should.
    pub(in crate::keys) opened_at: Option<Timestamp>,
    /// Since when it does not, if so.
    pub(in crate::keys) shut_at: Option<Timestamp>,
    /// The accounts that it opens.
    pub(in crate::keys) opens: Vec<String>,
    /// Those that it should and does not.
    pub(in crate::keys) lacks: Vec<Lack>,
    /// Why there is nothing to open, if so.
    pub(in crate::keys) note: String,
    /// What people were told of it.
    pub(in crate::keys) told: Option<String>,
}

/// An account that a break-glass key does not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::keys) struct Lack {
    /// Which; empty: it opens none, and any one would do.
    pub(in crate::keys) account: String,
    pub(in crate::keys) why: String,
    /// Whether its sshd said so; else it cannot be told.
    pub(in crate::keys) is_sure: bool,
}

/// How a key stands on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It was seen to open what it should, not long ago; or it was not asked yet.
    Well,
    /// It does not, since then.
    Shut(Timestamp),
    /// It was not seen to for a week, since then.
    Unproven(Timestamp),
}

impl Glass {
    /// Of which nothing is known yet.
    pub(super) fn new(fingerprint: &str, host: &str, now: Timestamp) -> Self {
        Self {
            fingerprint: fingerprint.to_owned(),
            host: host.to_owned(),
            wanted_at: now,
            asked_at: None,
            opened_at: None,
            shut_at: None,
            opens: Vec::new(),
            lacks: Vec::new(),
            note: String::new(),
            told: None,
        }
    }

    /// The same after its host has answered; `beside` is what another host saw of it.
    pub(super) fn after<'a>(
        self,
        (wanted, answer): (&[&str], &'a Answer),
        beside: impl Iterator<Item = &'a Door>,
        now: Timestamp,
    ) -> Self {
        let beside: Vec<&Door> = beside.collect();
        let opens = opens(&answer.doors, &beside);
        let doors: Vec<&Door> = answer.doors.iter().chain(beside).collect();
        let lacks = match &answer.closed {
            Some(_) => Vec::new(),
            None => lacks(wanted, &opens, (answer, &doors)),
        };
        let is_well = lacks.is_empty();
        let is_sure = lacks.iter().any(|one| one.is_sure);
        Self {
            asked_at: Some(now),
            opened_at: if is_well { Some(now) } else { self.opened_at },
            shut_at: is_sure.then(|| self.shut_at.unwrap_or(now)),
            note: answer.closed.as_deref().map(escaped).unwrap_or_default(),
            opens,
            lacks,
            ..self
        }
    }

    /// How it stands.
    pub(super) fn stand(&self, now: Timestamp) -> Stand {
        let proven = self.opened_at.unwrap_or(self.wanted_at);
        match self.shut_at {
            Some(since) => Stand::Shut(since),
            None if now >= proven + WEEK => Stand::Unproven(proven),
            None => Stand::Well,
        }
    }

    /// Whether it was seen to open all that it should within a week.
    pub(in crate::keys) fn is_proven(&self, now: Timestamp) -> bool {
        self.opened_at.is_some() && self.stand(now) == Stand::Well && self.lacks.is_empty()
    }
}

/// The accounts that it opens: what the host itself says counts, unless the other host was refused. Where
/// the host cannot tell, the other one's word does.
fn opens(own: &[Door], beside: &[&Door]) -> Vec<String> {
    let accounts: BTreeSet<_> = own.iter().map(|door| &door.account).collect();
    let open = accounts.into_iter().filter(|account| {
        let of = |door: &&Door| door.account == **account;
        let here = best(own.iter().filter(of));
        let there = best(beside.iter().copied().filter(of));
        match here {
            Some(Said::Accepted) => there != Some(Said::Refused),
            Some(Said::Unknown) => there == Some(Said::Accepted),
            Some(Said::Refused) | None => false,
        }
    });
    open.map(ToString::to_string).collect()
}

/// What the doors of an account say together: one that opens is enough.
fn best<'a>(doors: impl Iterator<Item = &'a Door>) -> Option<Said> {
    let said: Vec<_> = doors.map(|door| door.said).collect();
    let all = [Said::Accepted, Said::Refused, Said::Unknown];
    all.into_iter().find(|one| said.contains(one))
}

fn lacks(wanted: &[&str], opens: &[String], said: (&Answer, &[&Door])) -> Vec<Lack> {
    let is_open = |account: &str| opens.iter().any(|one| one == account);
    if wanted.is_empty() && opens.is_empty() {
        return vec![lack("", said)];
    }
    let shut = wanted.iter().filter(|account| !is_open(account));
    shut.map(|account| lack(account, said)).collect()
}

/// Why it does not open this account; any, if it is empty.
fn lack(account: &str, (answer, doors): (&Answer, &[&Door])) -> Lack {
    let is_it = |door: &&&Door| account.is_empty() || door.account.to_string() == account;
    let its = || {
        let shut = doors.iter().filter(|door| door.said != Said::Accepted);
        shut.filter(is_it)
    };
    let untold = its().find(|door| door.said == Said::Unknown);
    let noted = its().find(|door| !door.note.is_empty());
    let trouble = answer.trouble.clone();
    let trouble = trouble.or_else(|| (!answer.left.is_empty()).then(|| "no time".to_owned()));
    let (why, is_sure) = match (untold, noted, trouble) {
        (Some(door), ..) => (format!("it cannot be told: {}", door.note), false),
        (None, Some(door), _) => (format!("sshd refuses it: {}", door.note), true),
        (None, None, Some(trouble)) => (format!("not everything was asked: {trouble}"), false),
        (None, None, None) if its().next().is_none() => {
            ("there is no such account".to_owned(), true)
        }
        (None, None, None) => ("sshd refuses it".to_owned(), true),
    };
    Lack {
        account: account.to_owned(),
        why: escaped(&why),
        is_sure,
    }
}
