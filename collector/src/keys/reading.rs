//! What is kept of keys, for whoever shows it.

use serde::{Deserialize, Serialize};
use watchward_protocol::keys::{Means, Opening};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::rows::{change, listing};
use crate::store::Store;

/// What is asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The host's name.
    pub host: Option<String>,
    /// The account's name.
    pub account: Option<String>,
    /// The key's fingerprint.
    pub fingerprint: Option<String>,
    /// Only those of which this is so.
    pub state: Option<State>,
    /// Only what opens accounts and has not been used since then.
    pub unused_since: Option<Timestamp>,
    /// Also what is gone.
    pub gone: bool,
    /// The number of the one that the page before ended with.
    pub after: Option<i64>,
    /// At most so many; none if zero.
    pub limit: u32,
    /// When it is asked.
    pub now: Timestamp,
}

/// What may be so of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has said that it is right.
    New,
    /// It is not strong enough.
    Weak,
    /// It is to be replaced soon, or ends soon.
    Due,
    /// It should have been replaced.
    Overdue,
    /// It is there no more.
    Gone,
}

/// An opening, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub id: i64,
    /// The host's name.
    pub host: String,
    /// The account; `None` for what the host itself is known by.
    pub account: Option<Foreign>,
    /// As it was told last. Where it stands on several lines: the first, with all options, a line each.
    pub opening: Opening,
    /// On how many lines it stands.
    pub copies: u32,
    /// Whether nobody has said yet that it is right.
    pub new: bool,
    /// What it may do more than when somebody did.
    pub widened: Option<String>,
    /// The fingerprint that was here before.
    pub was: Option<String>,
    /// When it was first told of.
    pub first_at: Timestamp,
    /// When it was last told of.
    pub seen_at: Timestamp,
    /// When it was gone.
    pub gone_at: Option<Timestamp>,
    /// When it is to be replaced, or ends.
    pub due_at: Option<Timestamp>,
    /// What is wrong with it.
    pub weak: Option<String>,
    /// Whether it has come to its end by itself, and opens nothing any more.
    pub ended: bool,
    /// When it was last used, as far as is known.
    pub used_at: Option<Timestamp>,
    /// From which address.
    pub used_from: Option<String>,
    /// How often, as far as is known.
    pub uses: u64,
}

impl Listed {
    /// Whether it should have been replaced.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        !self.ended && self.gone_at.is_none() && self.due_at.is_some_and(|due| due <= now)
    }

    /// Whether it opens an account, and is not what a host is known by.
    pub fn opens(&self) -> bool {
        match self.opening.means {
            Means::AuthorizedKey
            | Means::Authority
            | Means::Principals
            | Means::Command
            | Means::PrincipalsCommand => true,
            Means::HostKey | Means::HostCertificate | Means::AgentCertificate => false,
        }
    }
}

/// How many there are of what stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub all: i64,
    /// Hosts that have told of any.
    pub hosts: i64,
    /// Different keys.
    pub keys: i64,
    /// See [`State::New`].
    pub new: i64,
    /// See [`State::Weak`].
    pub weak: i64,
    /// See [`State::Due`].
    pub due: i64,
    /// See [`State::Overdue`].
    pub overdue: i64,
}

/// What is wanted, by host, account and number; the next page goes on after the last one's number.
///
/// # Errors
/// The database's.
pub async fn list(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Listed>> {
    listing::list(store, wanted).await
}

/// How many there are.
///
/// # Errors
/// The database's.
pub async fn counts(store: &Store, now: Timestamp) -> sqlx::Result<Counts> {
    listing::counts(store, now).await
}

/// Everywhere that a key opens or opened something, each with what happened there, in order.
///
/// # Errors
/// The database's.
pub async fn places(
    store: &Store,
    fingerprint: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<(Listed, Vec<(Timestamp, String)>)>> {
    let wanted = Wanted {
        fingerprint: Some(fingerprint.to_owned()),
        gone: true,
        limit: 1000,
        now,
        ..Wanted::default()
    };
    let mut places = Vec::new();
    for one in list(store, &wanted).await? {
        let changes = change::of(store, one.id).await?;
        places.push((one, changes));
    }
    Ok(places)
}

/// Something that happened to an opening.
#[derive(Clone, Debug)]
pub struct Change {
    /// Grows with each that comes.
    pub id: i64,
    /// When it was noticed.
    pub at: Timestamp,
    /// What: `appeared`, `gone`, `weak`, `overdue`, `accepted by ada`, ...
    pub what: String,
    /// The host's name.
    pub host: String,
    /// The account; `None` for what the host itself is known by.
    pub account: Option<Foreign>,
    /// To what.
    pub opening: Opening,
}
