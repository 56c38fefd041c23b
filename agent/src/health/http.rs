//! Whether a page answers with the status it should.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use watchward_daemon::span::Span;

use super::Found;
use super::config::{self, Interval, paced};

/// `[health.http.NAME]`: a page that should answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The page: `https://www.example.org/health`.
    pub url: Page,
    /// What it should answer: `200`, `"200-299"`, or a list of such.
    #[serde(default)]
    pub status: Statuses,
    /// Whether to go where it is redirected to, at most five times, and judge what is there.
    #[serde(default)]
    pub follow: bool,
    /// How often it is checked.
    #[serde(default = "config::interval")]
    pub interval: Interval,
    /// How long the answer may take.
    #[serde(default = "config::timeout")]
    pub timeout: Span,
    /// How many failures in a row make it down.
    #[serde(default = "config::failures")]
    pub failures: NonZeroU32,
}

paced!(Config);

/// An address that starts with `http://` or `https://`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Page(Url);

/// A text that is no page.
#[derive(Debug, thiserror::Error)]
#[error("expected a URL that starts with \"http://\" or \"https://\" ({0})")]
pub struct NotAPage(String);

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

/// The clients of all checks, made when they are first needed: they hold the trusted roots.
#[derive(Debug, Default)]
pub(super) struct Clients {
    staying: OnceCell<Client>,
    following: OnceCell<Client>,
}

impl Clients {
    async fn one(&self, follow: bool) -> reqwest::Result<&Client> {
        let (cell, policy) = if follow {
            (&self.following, Policy::limited(5))
        } else {
            (&self.staying, Policy::none())
        };
        cell.get_or_try_init(|| async {
            Client::builder()
                .no_proxy()
                .redirect(policy)
                .pool_max_idle_per_host(0)
                .user_agent(concat!("watchward-agent/", env!("CARGO_PKG_VERSION")))
                .build()
        })
        .await
    }
}

/// Asks for the page once. Its body is not read: the status says what matters.
pub(super) async fn check(config: &Config, clients: &Clients) -> Found {
    let url = &config.url;
    let client = match clients.one(config.follow).await {
        Ok(client) => client,
        Err(error) => return Found::unknown(format!("cannot ask {url}: {}", chain(&error))),
    };
    match client.get(url.0.clone()).send().await {
        Ok(answer) if config.status.holds(answer.status().as_u16()) => {
            Found::passed(format!("{url} answered {}", answer.status()))
        }
        Ok(answer) => Found::failed(format!("{url} answered {}", answer.status())),
        Err(error) => {
            let error = error.without_url();
            Found::failed(format!("{url} did not answer: {}", chain(&error)))
        }
    }
}

/// An error with its causes: the innermost one is what helps.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use watchward_protocol::health::Verdict;

    use super::*;

    /// Answers each connection with the next of these, and then hangs up on all others.
    async fn serve(listener: TcpListener, answers: &[&str]) {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream
                .write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes())
                .await
                .unwrap();
        }
    }

    async fn found(follow: bool, answers: &[&str]) -> Found {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let config = Config {
            url: Page::try_from(url).unwrap(),
            status: Statuses::default(),
            follow,
            interval: config::INTERVAL,
            timeout: config::TIMEOUT,
            failures: config::FAILURES,
        };
        let clients = Clients::default();
        tokio::join!(check(&config, &clients), serve(listener, answers)).0
    }

    #[tokio::test]
    async fn the_status_decides() {
        assert_eq!(
            found(false, &["204 No Content"]).await.verdict,
            Verdict::Passed
        );
        let found = found(false, &["503 Service Unavailable"]).await;
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(
            found.detail.ends_with("answered 503 Service Unavailable"),
            "{}",
            found.detail
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        let page = Page::try_from("https://user:secret@example.org/health".to_owned()).unwrap();
        assert_eq!(page.to_string(), "https://example.org/health");
    }

    #[tokio::test]
    async fn goes_elsewhere_only_if_told_to() {
        let away = "302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close";
        let gone = "404 Not Found\r\ncontent-length: 0";
        assert_eq!(found(false, &[away]).await.verdict, Verdict::Passed);
        assert_eq!(found(true, &[away, gone]).await.verdict, Verdict::Failed);
    }

    #[tokio::test]
    async fn what_does_not_speak_http_fails_and_says_why() {
        let found = found(false, &["nonsense"]).await;
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(
            found.detail.contains("did not answer: "),
            "{}",
            found.detail
        );
    }
}
