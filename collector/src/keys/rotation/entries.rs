//! What is on the calendar: machines' keys, people's keys, hosts' keys and certificates, authorities,
//! agents' certificates, and peers.

use std::borrow::Cow;

use url::form_urlencoded::Serializer;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::api::{Calendar, Shown};
use super::days::{AHEAD, Entry};
use super::policy::Missed;
use crate::keys::authority;
use crate::keys::host_keys;
use crate::keys::peers;
use crate::keys::policy::Policy;
use crate::keys::retire::Retire;
use crate::keys::rows::opening;

impl Calendar {
    /// Everything that is to be replaced before long, or should have been.
    pub(in crate::keys) async fn entries(&self, now: Timestamp) -> sqlx::Result<Vec<Entry>> {
        let policy = self.policy.now();
        let machines = self.all(now).await?;
        let mut all: Vec<_> = machines.iter().map(|key| machine(key, now)).collect();
        let due = opening::due(&self.store, now + AHEAD).await?;
        all.extend(due.into_iter().map(|due| person(due, &policy, now)));
        all.extend(authority::entries(&self.store, &policy.authority, now).await?);
        all.extend(authority::entries_of_hosts(&self.store, &policy, now).await?);
        let hosts = (self.rooms.inventory)(&self.store).await?;
        all.extend(host_keys::entries(&self.store, (&hosts, &policy), now).await?);
        let agents = opening::agents(&self.store, now + AHEAD).await?;
        all.extend(agents.into_iter().map(|due| agent(&due, now)));
        all.extend(peers::entries(&self.store, &policy, (now + AHEAD, now)).await?);
        Ok(all)
    }
}

impl Missed {
    /// What happens at the deadline, in a word.
    pub(in crate::keys) const fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Revoke => "revoke",
        }
    }
}

/// What is being replaced has its day behind it: what counts is by when it has to be.
fn machine(key: &Shown, now: Timestamp) -> Entry {
    let runs = key.phase != "idle" && now < key.deadline_at;
    let waits = key.pending.iter();
    let waits = waits.map(|it| format!("{}: {}", escaped(&it.host), it.why));
    Entry {
        due_at: if runs { key.deadline_at } else { key.due_at },
        what: match runs {
            true => format!("machine key {}: being replaced", key.name),
            false => format!("machine key {}", key.name),
        },
        whose: escaped(&key.client),
        by_itself: true,
        path: path(&key.name),
        every: key.every.to_string(),
        warn_at: Some(key.warn_at),
        deadline_at: Some(key.deadline_at),
        missed: key.missed.word(),
        is_late: !runs && key.due_at <= now && key.fingerprint.is_some(),
        waits: waits.collect::<Vec<_>>().join("; "),
    }
}

/// The page of a machine's key.
pub(super) fn path(name: &str) -> String {
    format!("/keys/rotation/{name}")
}

/// When something is due that no machine's schedule replaces.
#[derive(Clone, Debug)]
pub(in crate::keys) struct Due {
    /// Empty for what has none.
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) warn_at: Option<Timestamp>,
    pub(in crate::keys) hosts: i64,
    pub(in crate::keys) host: String,
}

impl Due {
    fn whose(&self) -> String {
        match self.hosts {
            1 => escaped(&self.host),
            more => format!("{more} hosts"),
        }
    }
}

/// What somebody put there.
fn person(due: Due, policy: &Policy, now: Timestamp) -> Entry {
    let mut query = Serializer::new(String::new());
    query.append_pair("fingerprint", &due.fingerprint);
    let policy = match due.hosts {
        1 => policy.of(&due.host),
        _ => Cow::Borrowed(policy),
    };
    let after = match policy.retire {
        Retire::Warn => policy.deadline,
        Retire::Shadow | Retire::Revoke => Some(policy.shadow),
    };
    Entry {
        due_at: due.at,
        what: format!("key {}", escaped(&due.fingerprint)),
        whose: due.whose(),
        by_itself: false,
        path: format!("/keys/one?{}", query.finish()),
        every: policy.max_age.to_string(),
        warn_at: due.warn_at,
        deadline_at: after.map(|it| due.at + it.duration()),
        missed: match policy.retire {
            Retire::Warn if policy.deadline.is_none() => "",
            Retire::Warn => Missed::Page.word(),
            Retire::Shadow => Missed::Page.word(),
            Retire::Revoke => Missed::Revoke.word(),
        },
        is_late: due.at <= now,
        waits: String::new(),
    }
}

/// Agents renew their certificates at two thirds of their life; what is due here is late.
fn agent(due: &Due, now: Timestamp) -> Entry {
    Entry {
        due_at: due.at,
        what: match due.hosts {
            1 => "agent's certificate".to_owned(),
            more => format!("{more} agents' certificates"),
        },
        whose: due.whose(),
        by_itself: true,
        is_late: due.at <= now,
        ..Entry::default()
    }
}
