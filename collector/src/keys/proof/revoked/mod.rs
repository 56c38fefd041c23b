//! Keys that should open nothing any more: every host is asked about each of them every day.

mod alerts;
mod rounds;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_protocol::peers::PeerKey;
use watchward_protocol::proof::{Answer, Control, Door, Said};
use watchward_protocol::receipt;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::Heard;
use super::elsewhere::{Elsewhere, place};
use crate::keys::rows::revoked as rows;
use crate::store::Store;
pub(in crate::keys) use alerts::end;
use alerts::judge;
pub(super) use rounds::Hosts;
pub use rounds::run;

/// What was said longer ago than this says nothing of today.
pub(in crate::keys) const STALE: Duration = Duration::from_secs(2 * 24 * 3600);
/// How many doors are kept that a key opens on one host, and how much of what is said of each, in
/// characters.
const MOST_OPENS: usize = 50;
/// How many doors of one host are kept for receipts.
const MOST_DOORS: usize = 4_000;
const LONGEST_NOTE: usize = 300;

/// A key that should open nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Revoked {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) kind: String,
    pub(in crate::keys) wire: Vec<u8>,
    pub(in crate::keys) reason: String,
    pub(in crate::keys) author: String,
    pub(in crate::keys) at: Timestamp,
    /// What stood after it where it was found, and whose it was by the policy then.
    pub(in crate::keys) comment: String,
    pub(in crate::keys) person: String,
    /// The change with which it was revoked.
    pub(in crate::keys) generation: u64,
}

impl Revoked {
    /// Whether it is the key of certificates, which opens nothing without them.
    pub(in crate::keys) fn is_certificate(&self) -> bool {
        self.kind.ends_with(receipt::Key::CERTIFICATE)
    }

    /// Whether it is a peer of WireGuard.
    pub(in crate::keys) fn is_peer(&self) -> bool {
        self.kind == PeerKey::KIND
    }

    /// Whether it could open doors that are asked about it.
    pub(in crate::keys) fn has_doors(&self) -> bool {
        !self.is_certificate() && !self.is_peer()
    }
}

/// What a host said last to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Proven {
    pub(in crate::keys) host: String,
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) doors: usize,
    pub(in crate::keys) refused: usize,
    /// Of those, so many took another key in the same breath.
    pub(in crate::keys) controlled: usize,
    /// Of so many it cannot be told.
    pub(in crate::keys) unknown: usize,
    /// Doors that take it; and those that took it before, until it is told that they do not.
    pub(in crate::keys) accepted: Vec<Opens>,
    pub(in crate::keys) trouble: Option<String>,
    /// What was seen from another host, in one sentence; empty: nobody looked.
    pub(in crate::keys) elsewhere: String,
}

/// A door that takes the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::keys) struct Opens {
    pub(in crate::keys) account: String,
    pub(in crate::keys) at: String,
    pub(in crate::keys) note: String,
}

impl Proven {
    /// What a host says now, and what another saw of it, after what was said `before`.
    fn new(heard: (&str, &Answer, &Elsewhere), before: Option<Self>, at: Timestamp) -> Self {
        let (host, answer, elsewhere) = heard;
        let said = |what| answer.doors.iter().filter(move |it| it.said == what);
        let refused = said(Said::Refused);
        let mut accepted: Vec<_> = said(Said::Accepted).map(Opens::new).collect();
        let seen = elsewhere.doors();
        let seen = seen.filter(|(_, door)| door.said == Said::Accepted);
        accepted.extend(seen.map(|(from, door)| Opens {
            at: place(door.at, from),
            ..Opens::new(door)
        }));
        for one in before.into_iter().flat_map(|it| it.accepted) {
            if !accepted.iter().any(|it| it.is_at(&one)) && !one.is_closed(answer, elsewhere) {
                accepted.push(one);
            }
        }
        let beyond = accepted.len().saturating_sub(MOST_OPENS);
        accepted.truncate(MOST_OPENS);
        let left = (!answer.left.is_empty())
            .then(|| format!("{} accounts were not asked in time", answer.left.len()));
        let trouble = answer.trouble.as_deref().map(plain).or(left);
        let beyond = (beyond > 0).then(|| format!("{beyond} more doors take it"));
        Self {
            host: host.to_owned(),
            at,
            doors: answer.doors.len() + answer.left.len(),
            controlled: refused
                .clone()
                .filter(|it| it.control != Control::None)
                .count(),
            refused: refused.count(),
            unknown: said(Said::Unknown).count() + answer.left.len(),
            accepted,
            trouble: match (trouble, beyond) {
                (Some(trouble), Some(beyond)) => Some(format!("{trouble}; {beyond}")),
                (trouble, beyond) => trouble.or(beyond),
            },
            elsewhere: plain(&elsewhere.sentence()),
        }
    }
}

impl Opens {
    fn new(door: &Door) -> Self {
        Self {
            account: door.account.to_string(),
            at: door.at.to_string(),
            note: plain(&door.note),
        }
    }

    fn is_at(&self, other: &Self) -> bool {
        (&self.account, &self.at) == (&other.account, &other.at)
    }

    /// Whether it is told that a door that took the key takes it no more. An account that is gone, or
    /// an address that sshd has left, is missed only in an answer without gaps.
    fn is_closed(&self, answer: &Answer, elsewhere: &Elsewhere) -> bool {
        if answer.closed.is_some() {
            return true;
        }
        // What another host saw, only another host can take back.
        if let Some((at, _)) = self.at.split_once(" from ") {
            let mut seen = elsewhere.doors().map(|(_, door)| door);
            return seen.any(|it| {
                let same = it.account.to_string() == self.account && it.at.to_string() == at;
                same && it.said == Said::Refused
            });
        }
        if answer.trouble.is_some() || !answer.left.is_empty() || answer.doors.is_empty() {
            return false;
        }
        let name = |it: &&Door| it.account.to_string() == self.account;
        let same = |it: &&Door| it.at.to_string() == self.at;
        let of_account = answer.doors.iter().filter(name);
        let mut here = of_account.clone().filter(same).peekable();
        if here.peek().is_some() {
            return here.all(|it| it.said == Said::Refused);
        }
        of_account.into_iter().all(|it| it.said == Said::Refused)
    }
}

/// What a host says is not to move anybody's cursor, nor to fill the database.
fn plain(text: &str) -> String {
    escaped(text).chars().take(LONGEST_NOTE).collect()
}

/// Keeps what hosts that were asked at this time said to a key, and tells people if it opens something.
pub(super) async fn keep(
    store: &Store,
    fingerprint: &str,
    heard: &[Heard],
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    for one in heard {
        if let Ok(answer) = &one.said {
            let before = rows::before(&mut tx, fingerprint, &one.host).await?;
            // Who asked longer was overtaken.
            if before.as_ref().is_some_and(|it| it.at > now) {
                continue;
            }
            let proven = Proven::new((&one.host, answer, &one.elsewhere), before, now);
            let doors = serde_json::to_string(&doors(answer, &one.elsewhere));
            let doors = doors.map_err(|error| sqlx::Error::Encode(error.into()))?;
            rows::keep(&mut tx, fingerprint, (&proven, &doors)).await?;
        }
    }
    judge(&mut tx, fingerprint, now).await?;
    tx.commit().await
}

/// Every door, as a receipt has it: those that another host asked first, for they are few.
fn doors(answer: &Answer, elsewhere: &Elsewhere) -> Vec<receipt::Door> {
    let seen = elsewhere.doors().map(|(from, door)| receipt::Door {
        at: place(door.at, from),
        ..written(door)
    });
    let doors = seen.chain(answer.doors.iter().map(written));
    doors.take(MOST_DOORS).collect()
}

fn written(door: &Door) -> receipt::Door {
    receipt::Door {
        account: door.account.to_string(),
        at: door.at.to_string(),
        said: door.said,
        control: match &door.control {
            Control::Own(fingerprint) => plain(fingerprint),
            Control::Other(account) => format!("a key of {account}"),
            Control::None => String::new(),
        },
        note: plain(&door.note),
    }
}
