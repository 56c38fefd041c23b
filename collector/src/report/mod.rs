//! The weekly report: put together from what every room knows, signed, shown, and sent.

mod letter;
mod pages;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_protocol::report::{FORMAT, Hosts, Report, VERSION};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use crate::people::Email;
use crate::store::Store;
use crate::web::Problem;
use crate::{access, hosts, keys, restriction};

pub(crate) use letter::run;
pub(crate) use pages::pages;
pub(crate) use rows::SCHEMA;

const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// The table `[report]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Who gets it by email each week: the owner, and security. Without anybody it is shown alone.
    pub to: Vec<Receiver>,
    /// The day of the week that it is written on.
    pub day: Weekday,
    /// The hour of that day, in UTC: 0 to 23.
    pub hour: Hour,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            day: Weekday::Monday,
            hour: Hour(6),
        }
    }
}

/// Somebody who gets the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Receiver(Email);

impl TryFrom<String> for Receiver {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let email = Email::of(&text).ok_or("expected an email address, such as ada@example.org")?;
        Ok(Self(email))
    }
}

impl From<Receiver> for String {
    fn from(receiver: Receiver) -> Self {
        receiver.0.to_string()
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "everybody knows them")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// An hour of a day: 0 to 23.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Hour(u8);

impl TryFrom<u8> for Hour {
    type Error = &'static str;

    fn try_from(hour: u8) -> Result<Self, Self::Error> {
        match hour {
            0..24 => Ok(Self(hour)),
            _ => Err("expected an hour: 0 to 23"),
        }
    }
}

impl From<Hour> for u8 {
    fn from(hour: Hour) -> Self {
        hour.0
    }
}

impl Config {
    /// The end of the week that was over last.
    fn end(&self, now: Timestamp) -> Timestamp {
        // The first Monday after the beginning of 1970, a Thursday.
        const MONDAY: Duration = Duration::from_secs(4 * 86_400);
        let days = match self.day {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        let hours = Duration::from_secs(3600 * u64::from(self.hour.0));
        let first = Timestamp::default() + MONDAY + DAY * days + hours;
        let beyond = now.since(first).as_micros() % WEEK.as_micros();
        now - Duration::from_micros(u64::try_from(beyond).unwrap_or(0))
    }
}

/// Where reports come from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) store: Store,
    pub(crate) calendar: keys::Calendar,
    pub(crate) desk: keys::Desk,
}

impl Sources {
    /// The week until then, as everything stands now.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn report(&self, to: Timestamp, now: Timestamp) -> sqlx::Result<Report> {
        let (store, span) = (&self.store, (to - WEEK, to));
        let (outside, bans) = restriction::week(store, span).await?;
        let access = access::week(store, span).await?;
        let watched = hosts::watched(store).await?;
        let silent = watched.iter().filter(|one| one.is_silent);
        let mut report = Report {
            format: FORMAT.to_owned(),
            version: VERSION,
            made_at: now.into(),
            from: span.0.into(),
            to: to.into(),
            hosts: Hosts {
                watched: watched.len(),
                silent: silent.map(|one| escaped(&one.host.name)).collect(),
            },
            access: watchward_protocol::report::Access { outside, ..access },
            bans,
            keys: keys::week(&self.calendar, span, now).await?,
            unknown: Vec::new(),
            signer: self.desk.signer().to_string(),
        };
        report.unknown = unknown(&report);
        Ok(report)
    }

    /// The same of the seven days until now, signed.
    async fn signed(&self, now: Timestamp) -> anyhow::Result<String> {
        let report = self.report(now, now).await?;
        self.desk.sign(&report).map_err(anyhow::Error::msg)
    }
}

/// What the numbers do not say.
fn unknown(report: &Report) -> Vec<String> {
    let mut unknown = Vec::new();
    for host in &report.hosts.silent {
        unknown.push(format!("{host} is silent: what happens there is not known"));
    }
    match report.access.gaps {
        0 => {}
        gaps => unknown.push(format!(
            "{gaps} × a gap in a log: whoever came then is not counted"
        )),
    }
    let keys = &report.keys;
    let unasked = keys.doors.iter().filter(|one| !one.unasked.is_empty());
    match unasked.count() {
        0 => {}
        some => unknown.push(format!(
            "of {some} × a revoked key not every door was asked"
        )),
    }
    let unproven = keys.break_glass.iter().filter(|one| !one.is_proven);
    match unproven.count() {
        0 => {}
        some => unknown.push(format!(
            "{some} × a host of which it is not proven that it takes a break-glass key"
        )),
    }
    if keys.sessions.alive > 0 {
        unknown.push("sessions of revoked keys go on, and what is done in them".to_owned());
    }
    unknown
}

/// `GET /v1/report`: the seven days until now, signed.
pub(crate) fn routes(sources: Sources) -> Router {
    Router::new()
        .route("/v1/report", routing::get(signed))
        .with_state(sources)
}

async fn signed(State(sources): State<Sources>) -> Result<Response, Problem> {
    let text = sources.signed(clock::now()).await?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}
