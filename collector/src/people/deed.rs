//! What people did, of whatever room: the form that all of it is listed in.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use crate::store::Store;

/// What a deed was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Signing in and out, and what was refused.
    Door,
    /// Accounts: invitations, roles, passwords, second factors.
    Account,
    /// The policy.
    Policy,
    /// Bans.
    Ban,
    /// Silences.
    Silence,
    /// Incidents that were taken on.
    Incident,
    /// Keys that were said to be right.
    Key,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Door,
        Self::Account,
        Self::Policy,
        Self::Ban,
        Self::Silence,
        Self::Incident,
        Self::Key,
    ];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Account => "account",
            Self::Policy => "policy",
            Self::Ban => "ban",
            Self::Silence => "silence",
            Self::Incident => "incident",
            Self::Key => "key",
        }
    }
}

/// Something that somebody did.
#[derive(Clone, Debug, Serialize)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who; empty where nobody can say.
    pub who: String,
    /// From where, where that is known.
    pub address: Option<IpAddr>,
    /// What it was about.
    pub kind: Kind,
    /// What they did.
    pub what: String,
    /// To whom or to what.
    pub whom: String,
    /// What they said of it, or what else there is to say.
    pub detail: String,
}

/// Which deeds are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Not before this.
    pub since: Timestamp,
    /// Before this.
    pub before: Timestamp,
    /// Of this person, also as root; of everybody if it is empty.
    pub who: String,
    /// At most so many.
    pub limit: i64,
}

impl Wanted {
    /// What a query finds of them: not before `$1`, before `$2`, of whoever is `$3`, `$4` at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn rows(&self, store: &Store, query: &'static str) -> sqlx::Result<Vec<AnyRow>> {
        sqlx::query(query)
            .bind(self.since.as_micros())
            .bind(self.before.as_micros())
            .bind(self.who.clone())
            .bind(self.limit)
            .fetch_all(store.read())
            .await
    }
}
