//! What the access log is asked for by a form, where every field is a text and may be empty.

use serde::Deserialize;
use watchward_protocol::access::{Outcome, Service};
use watchward_protocol::time::Timestamp;

use super::shown;
use crate::access::address;
use crate::access::rows::listing::{Cursor, Wanted};
use crate::asked::{Addresses, Moment};

/// The fields as they came.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) since: String,
    pub(super) until: String,
    pub(super) host: String,
    pub(super) user: String,
    pub(super) address: String,
    pub(super) service: String,
    pub(super) outcome: String,
    pub(super) lines: String,
    pub(super) outside: String,
    pub(super) before: String,
}

/// What they mean, and what is wrong with them.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) asked: Asked,
    pub(super) wanted: Wanted,
    /// Only what came from outside the networks that were permitted then.
    pub(super) outside: bool,
    pub(super) trouble: String,
}

impl Filter {
    /// Reads the fields; the first one that makes no sense is said.
    pub(super) fn read(asked: Asked, now: Timestamp) -> Self {
        let (wanted, trouble) = match wanted(&asked, now) {
            Ok(wanted) => (wanted, String::new()),
            Err(trouble) => (Wanted::default(), trouble),
        };
        Self {
            outside: said(&asked.outside).is_some(),
            asked,
            wanted,
            trouble,
        }
    }

    /// What is wanted, where `is_outside` holds of what came from outside.
    pub(super) fn wanted(&self, is_outside: &'static str) -> Wanted {
        Wanted {
            only: self.outside.then_some(is_outside),
            ..self.wanted.clone()
        }
    }

    /// The same filter as a query, from a place in the list on.
    pub(super) fn query(&self, from: Option<Cursor>) -> String {
        let asked = &self.asked;
        let before = from.map(|cursor| format!("{}.{}", cursor.judged_at, cursor.id));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("since", &asked.since),
            ("until", &asked.until),
            ("host", &asked.host),
            ("user", &asked.user),
            ("address", &asked.address),
            ("service", &asked.service),
            ("outcome", &asked.outcome),
            ("lines", &asked.lines),
            ("outside", &asked.outside),
            ("before", &before.unwrap_or_default()),
        ] {
            if !value.trim().is_empty() {
                query.append_pair(name, value.trim());
            }
        }
        query.finish()
    }

    /// Every outcome, and whether it is the one that is asked for.
    pub(super) fn outcomes(&self) -> Vec<(&'static str, bool)> {
        OUTCOMES
            .map(|one| (shown::outcome(one), self.wanted.outcome == Some(one)))
            .into()
    }

    /// Every service, and whether it is the one that is asked for.
    pub(super) fn services(&self) -> Vec<(&'static str, bool)> {
        Service::ALL
            .map(|one| (one.name(), self.wanted.service == Some(one)))
            .into()
    }
}

const OUTCOMES: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Unknown];

fn wanted(asked: &Asked, now: Timestamp) -> Result<Wanted, String> {
    let moment = |name: &str, text: &str| {
        let moment = said(text).map(|text| Moment::try_from(text.to_owned()));
        let moment = moment.transpose();
        moment.map_err(|expected| format!("{name}: {expected}"))
    };
    let address = said(&asked.address).map(|text| Addresses::try_from(text.to_owned()));
    let address = address
        .transpose()
        .map_err(|expected| format!("From: {expected}"))?;
    Ok(Wanted {
        since: moment("Since", &asked.since)?.map(|moment| moment.before(now)),
        until: moment("Until", &asked.until)?.map(|moment| moment.through(now)),
        host: said(&asked.host).map(str::to_owned),
        user: said(&asked.user).map(|user| user.as_bytes().to_vec()),
        addresses: address.map(|Addresses(network)| address::range(network)),
        service: one_of(&asked.service, Service::ALL, Service::name)?,
        outcome: one_of(&asked.outcome, OUTCOMES, shown::outcome)?,
        attempts: said(&asked.lines).is_none(),
        before: said(&asked.before).map(cursor).transpose()?,
        ..Wanted::default()
    })
}

fn said(text: &str) -> Option<&str> {
    // Beware: PostgreSQL refuses the character NUL in a text.
    let text = text.trim();
    (!text.is_empty() && !text.contains('\0')).then_some(text)
}

fn one_of<T: Copy, const N: usize>(
    text: &str,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
) -> Result<Option<T>, String> {
    let Some(text) = said(text) else {
        return Ok(None);
    };
    let found = all.into_iter().find(|one| name(*one) == text);
    found
        .map(Some)
        .ok_or_else(|| format!("Nothing is called \"{text}\"."))
}

fn cursor(text: &str) -> Result<Cursor, String> {
    let parts = text.split_once('.').and_then(|(judged_at, id)| {
        Some(Cursor {
            judged_at: judged_at.parse().ok()?,
            id: id.parse().ok()?,
        })
    });
    parts.ok_or_else(|| "There is no such place in the list.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(asked: Asked) -> Filter {
        Filter::read(asked, Timestamp::from_micros(1_000_000_000_000_000))
    }

    #[test]
    fn an_empty_form_asks_for_every_try() {
        let filter = read(Asked::default());
        assert_eq!(filter.trouble, "");
        assert_eq!(filter.query(None), "");
        assert!(filter.wanted.host.is_none() && filter.wanted.attempts);
        let asked = Asked {
            lines: "on".to_owned(),
            ..Asked::default()
        };
        let filter = read(asked);
        assert!(!filter.wanted.attempts);
        assert_eq!(filter.query(None), "lines=on");
    }

    #[test]
    fn what_makes_no_sense_is_said_and_stays() {
        let asked = Asked {
            address: "10.0.0.0/99".to_owned(),
            ..Asked::default()
        };
        let filter = read(asked);
        assert!(
            filter.trouble.starts_with("From: expected"),
            "{}",
            filter.trouble
        );
        assert_eq!(filter.asked.address, "10.0.0.0/99");
        let asked = Asked {
            outcome: "maybe".to_owned(),
            ..Asked::default()
        };
        assert!(read(asked).trouble.contains("maybe"));
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let asked = Asked {
            host: " web & 1 ".to_owned(),
            before: "5.7".to_owned(),
            ..Asked::default()
        };
        let filter = read(asked);
        let cursor = Cursor {
            judged_at: 5,
            id: 7,
        };
        assert_eq!(filter.wanted.before, Some(cursor));
        assert_eq!(filter.query(Some(cursor)), "host=web+%26+1&before=5.7");
        assert_eq!(filter.query(None), "host=web+%26+1");
    }
}
