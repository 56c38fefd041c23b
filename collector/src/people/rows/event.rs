//! What happened at the door.

use std::net::IpAddr;

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::time;
use crate::store::value::{self, fixed, sixteen};
use crate::store::{Store, Tx};

/// What happened at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Somebody signed in.
    SignedIn,
    /// Somebody tried to, and did not know the password or the name.
    Failed,
    /// Somebody signed out.
    SignedOut,
    /// Somebody chose another password.
    Changed,
    /// An account got a new one-time password.
    Reset,
    /// An account was made.
    Added,
    /// An account was removed.
    Removed,
    /// An account got other roles.
    Roles,
}

impl Event {
    const ALL: [Self; 8] = [
        Self::SignedIn,
        Self::Failed,
        Self::SignedOut,
        Self::Changed,
        Self::Reset,
        Self::Added,
        Self::Removed,
        Self::Roles,
    ];

    /// What happened, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SignedIn => "signed in",
            Self::Failed => "failed to sign in",
            Self::SignedOut => "signed out",
            Self::Changed => "changed the password",
            Self::Reset => "got a one-time password",
            Self::Added => "account made",
            Self::Removed => "account removed",
            Self::Roles => "got other roles",
        }
    }

    /// What it is like, as the name of a class of the pages.
    pub const fn tone(self) -> &'static str {
        match self {
            Self::SignedIn | Self::Changed => "good",
            Self::Failed | Self::Reset | Self::Roles => "warn",
            Self::SignedOut | Self::Added | Self::Removed => "dim",
        }
    }

    fn of(words: &str) -> sqlx::Result<Self> {
        let found = Self::ALL.into_iter().find(|event| event.words() == words);
        found.ok_or_else(|| sqlx::Error::Decode("people: an unknown event".into()))
    }
}

/// Something that happened at the door.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "they say what they are")]
pub struct Happened {
    pub at: Timestamp,
    pub event: Event,
    /// `None` where the name was nobody's.
    pub name: Option<String>,
    /// Who did it to them; `None` if they did it themselves.
    pub author: Option<String>,
    pub address: Option<IpAddr>,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// Who changes somebody's account.
#[derive(Clone, Debug)]
pub struct Author {
    /// Their name: of their account here, or on the collector's host.
    pub name: String,
    /// From where, where that can be known.
    pub address: Option<IpAddr>,
}

/// Something that happened, on its way to be kept.
#[derive(Clone, Debug)]
pub(in crate::people) struct Note<'a> {
    event: Event,
    account: Option<(i64, &'a str)>,
    author: Option<&'a str>,
    address: Option<IpAddr>,
    detail: Option<String>,
}

impl<'a> Note<'a> {
    pub(in crate::people) fn of(event: Event) -> Self {
        Self {
            event,
            account: None,
            author: None,
            address: None,
            detail: None,
        }
    }

    /// Whose account it happened to, if it is anybody's.
    pub(in crate::people) fn about(self, account: impl Into<Option<(i64, &'a str)>>) -> Self {
        let account = account.into();
        Self { account, ..self }
    }

    /// From where, where that can be known.
    pub(in crate::people) fn from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// Who did it to somebody.
    pub(in crate::people) fn by(self, author: &'a Author) -> Self {
        Self {
            author: Some(&author.name),
            address: author.address,
            ..self
        }
    }

    pub(in crate::people) fn saying(self, detail: impl Into<String>) -> Self {
        let detail = Some(detail.into());
        Self { detail, ..self }
    }

    /// Keeps it.
    pub(in crate::people) async fn keep(self, tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO people_event (at, event, account, name, address, author, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(now.as_micros())
        .bind(self.event.words())
        .bind(self.account.map(|who| who.0))
        .bind(self.account.map(|who| who.1.to_owned()))
        .bind(self.address.map(|address| sixteen(address).to_vec()))
        .bind(self.author.map(str::to_owned))
        .bind(self.detail)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// Whether somebody signed in to this account from this address since then.
pub(in crate::people) async fn came_from(
    store: &Store,
    account: i64,
    address: IpAddr,
    since: Timestamp,
) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM people_event \
         WHERE account = $1 AND event = $2 AND at > $3 AND address = $4 LIMIT 1",
    )
    .bind(account)
    .bind(Event::SignedIn.words())
    .bind(since.as_micros())
    .bind(sixteen(address).to_vec())
    .fetch_optional(store.read())
    .await?;
    Ok(found.is_some())
}

/// What happened, the newest first.
pub(in crate::people) async fn happened(store: &Store, limit: i64) -> sqlx::Result<Vec<Happened>> {
    let rows = sqlx::query("SELECT * FROM people_event ORDER BY id DESC LIMIT $1")
        .bind(limit)
        .fetch_all(store.read())
        .await?;
    let happened = |row: &AnyRow| {
        let address: Option<Vec<u8>> = row.try_get("address")?;
        let address = address.map(fixed).transpose()?;
        Ok(Happened {
            at: time(row, "at")?,
            event: Event::of(&row.try_get::<String, _>("event")?)?,
            name: row.try_get("name")?,
            author: row.try_get("author")?,
            address: address.map(value::address),
            detail: row.try_get("detail")?,
        })
    };
    rows.iter().map(happened).collect()
}
