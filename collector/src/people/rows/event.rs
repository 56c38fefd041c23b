//! What happened at the door.

use std::net::IpAddr;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::super::deed::{Deed, Kind, Wanted};
use super::time;
use crate::store::question::Question;
use crate::store::value::{self, fixed, sixteen};
use crate::store::{Store, Tx};

/// What happened at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Somebody was invited.
    Invited,
    /// Who was invited chose a password.
    Accepted,
    /// The password was right, and the code of the second factor was not.
    WrongCode,
    /// Somebody set up a second factor.
    Enrolled,
    /// A code for when a phone is lost was used.
    Recovered,
    /// Somebody showed a second factor, to put another one in its place.
    Unenrolled,
    /// Somebody gave up a security key.
    Unkeyed,
    /// Somebody was refused what none of their roles may.
    Refused,
    /// Many wrong codes came in a row, and people were told.
    Guessed,
}

impl Event {
    const ALL: [Self; 17] = [
        Self::SignedIn,
        Self::Failed,
        Self::SignedOut,
        Self::Changed,
        Self::Reset,
        Self::Added,
        Self::Removed,
        Self::Roles,
        Self::Invited,
        Self::Accepted,
        Self::WrongCode,
        Self::Enrolled,
        Self::Recovered,
        Self::Unenrolled,
        Self::Unkeyed,
        Self::Refused,
        Self::Guessed,
    ];

    /// What happened, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SignedIn => "signed in",
            Self::Failed => "failed to sign in",
            Self::SignedOut => "signed out",
            Self::Changed => "changed the password",
            Self::Reset => "reset the account of",
            Self::Added => "made the account of",
            Self::Removed => "removed the account of",
            Self::Roles => "gave other roles to",
            Self::Invited => "invited",
            Self::Accepted => "came by invitation",
            Self::WrongCode => "gave a wrong code",
            Self::Enrolled => "set up a second factor",
            Self::Recovered => "used a recovery code",
            Self::Unenrolled => "began to replace a second factor",
            Self::Unkeyed => "removed a security key",
            Self::Refused => "refused",
            Self::Guessed => "wrong codes",
        }
    }

    /// What it is about.
    const fn kind(self) -> Kind {
        match self {
            Self::SignedIn
            | Self::Failed
            | Self::SignedOut
            | Self::WrongCode
            | Self::Recovered
            | Self::Refused
            | Self::Guessed => Kind::Door,
            Self::Changed
            | Self::Reset
            | Self::Added
            | Self::Removed
            | Self::Roles
            | Self::Invited
            | Self::Accepted
            | Self::Enrolled
            | Self::Unenrolled
            | Self::Unkeyed => Kind::Account,
        }
    }

    fn of(words: &str) -> sqlx::Result<Self> {
        let found = Self::ALL.into_iter().find(|event| event.words() == words);
        // As they were called when whose account it was stood before them.
        let found = found.or(match words {
            "got a one-time password" => Some(Self::Reset),
            "account made" => Some(Self::Added),
            "account removed" => Some(Self::Removed),
            _ => None,
        });
        found.ok_or_else(|| sqlx::Error::Decode("people: an unknown event".into()))
    }
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

/// What people did, the newest first; of one kind, if that is wanted.
pub(in crate::people) async fn deeds(
    store: &Store,
    kind: Option<Kind>,
    wanted: &Wanted,
) -> sqlx::Result<Vec<Deed>> {
    let mut question = Question::default();
    question.add("at >= ", Some(wanted.since.as_micros()));
    question.add("at < ", Some(wanted.before.as_micros()));
    let who = Some(wanted.who.clone()).filter(|who| !who.is_empty());
    question.add("REPLACE(COALESCE(author, name), ' (as root)', '') = ", who);
    question.add_fixed(match kind {
        None => None,
        Some(Kind::Door) => Some(DOOR),
        Some(Kind::Account) => Some(ACCOUNT),
        Some(Kind::Policy | Kind::Ban | Kind::Silence | Kind::Incident | Kind::Key) => {
            return Ok(Vec::new());
        }
    });
    let rows = question
        .ask(
            store,
            ("SELECT * FROM people_event", " ORDER BY id DESC"),
            wanted.limit,
        )
        .await?;
    rows.iter().map(deed).collect()
}

/// The events that [`Event::kind`] counts to the door, and all others.
const DOOR: &str = "event IN ('signed in', 'failed to sign in', 'signed out', 'gave a wrong code', \
     'used a recovery code', 'refused', 'wrong codes')";
const ACCOUNT: &str = "event NOT IN ('signed in', 'failed to sign in', 'signed out', \
     'gave a wrong code', 'used a recovery code', 'refused', 'wrong codes')";

fn deed(row: &AnyRow) -> sqlx::Result<Deed> {
    let address: Option<Vec<u8>> = row.try_get("address")?;
    let address = address.map(fixed).transpose()?;
    let event = Event::of(&row.try_get::<String, _>("event")?)?;
    let text = |column| row.try_get::<Option<String>, _>(column);
    let (name, author) = (text("name")?, text("author")?);
    let whom = author.is_some().then(|| name.clone()).flatten();
    Ok(Deed {
        at: time(row, "at")?,
        who: author.or(name).unwrap_or_default(),
        address: address.map(value::address),
        kind: event.kind(),
        what: event.words().to_owned(),
        whom: whom.unwrap_or_default(),
        detail: text("detail")?.unwrap_or_default(),
    })
}
