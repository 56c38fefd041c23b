//! `[health.http.NAME]`: a page that should answer.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use url::Url;

use super::pace::{Pace, paced};

paced! {
    Pace::USUAL;
    /// A page that should answer.
    pub struct Config {
        /// The page: `https://www.example.org/health`.
        pub url: Page,
        /// What it should answer: `200`, `"200-299"`, or a list of such.
        #[serde(default)]
        pub status: Statuses,
        /// Whether to go where it is redirected to, at most five times, and judge what is there.
        #[serde(default)]
        pub follow: bool,
    }
}

/// An address that starts with `http://` or `https://`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Page(Url);

/// A text that is no page.
#[derive(Debug, thiserror::Error)]
#[error("expected a URL that starts with \"http://\" or \"https://\" ({0})")]
pub struct NotAPage(String);

impl Page {
    /// The address as it is asked for, with the name and the password that may be in it.
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl TryFrom<String> for Page {
    type Error = NotAPage;

    fn try_from(text: String) -> Result<Self, NotAPage> {
        let url = Url::parse(&text).map_err(|error| NotAPage(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NotAPage(format!("this one is \"{}\"", url.scheme())));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Page {
    /// Without the name and the password that may be in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        // Only a URL without a host refuses, and none such was taken.
        let _ = shown
            .set_username("")
            .and_then(|()| shown.set_password(None));
        shown.fmt(f)
    }
}

impl From<Page> for String {
    fn from(page: Page) -> Self {
        page.0.into()
    }
}

/// Which statuses are as they should be: without a word, 200 to 399.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Statuses(Vec<RangeInclusive<u16>>);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u16),
    Range(String),
    List(Vec<Written>),
}

/// Something that is no status.
#[derive(Debug, thiserror::Error)]
#[error("expected a status from 100 to 599, a range such as \"200-299\", or a list of such")]
pub struct NotAStatus;

impl Statuses {
    /// Whether this status is one of them.
    pub fn holds(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200..=399])
    }
}

impl TryFrom<Written> for Statuses {
    type Error = NotAStatus;

    fn try_from(written: Written) -> Result<Self, NotAStatus> {
        let mut ranges = Vec::new();
        gather(written, &mut ranges)?;
        let possible = |range: &RangeInclusive<u16>| {
            !range.is_empty() && *range.start() >= 100 && *range.end() <= 599
        };
        if ranges.is_empty() || !ranges.iter().all(possible) {
            return Err(NotAStatus);
        }
        Ok(Self(ranges))
    }
}

fn gather(written: Written, ranges: &mut Vec<RangeInclusive<u16>>) -> Result<(), NotAStatus> {
    match written {
        Written::Number(number) => ranges.push(number..=number),
        Written::Range(text) => {
            let (from, to) = text.split_once('-').unwrap_or((&text, &text));
            let read = |number: &str| number.parse::<u16>().map_err(|_| NotAStatus);
            ranges.push(read(from)?..=read(to)?);
        }
        Written::List(list) => {
            for inner in list {
                gather(inner, ranges)?;
            }
        }
    }
    Ok(())
}

impl From<Statuses> for Written {
    fn from(statuses: Statuses) -> Self {
        let write = |range: RangeInclusive<u16>| match (*range.start(), *range.end()) {
            (from, to) if from == to => Self::Number(from),
            (from, to) => Self::Range(format!("{from}-{to}")),
        };
        Self::List(statuses.0.into_iter().map(write).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let page = Page::try_from("https://user:secret@example.org/health".to_owned()).unwrap();
        assert_eq!(page.to_string(), "https://example.org/health");
    }
}
