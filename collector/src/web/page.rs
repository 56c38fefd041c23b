//! What every page has: its frame, and what is said when it cannot be shown.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::http::StatusCode;
use axum::response::{Html as HtmlResponse, IntoResponse, Redirect, Response};
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use super::assets::{ASSETS, Assets};
use super::moment::Moment;
use crate::people::{Needs, Roles};

/// What a page's handler returns.
pub type Answer = Result<Response, Sorry>;

/// Shows a page.
///
/// # Errors
/// The template's.
pub fn page(template: &impl Template) -> Answer {
    Ok(HtmlResponse(template.render()?).into_response())
}

/// Sends a browser to another page, after a form.
///
/// # Errors
/// None.
pub fn see(path: &str) -> Answer {
    Ok(Redirect::to(path).into_response())
}

/// What somebody is told who has to wait so long.
pub fn patience(wait: Duration) -> String {
    let seconds = wait.as_secs() + 1;
    format!("Too many tries. Please wait {seconds} s and try again.")
}

/// What is around a page, for `layout.html`.
#[derive(Clone)]
pub struct Frame {
    /// The page's title and first heading.
    pub title: String,
    /// Who is signed in.
    pub who: Option<String>,
    /// What they may.
    pub roles: Roles,
    /// Whether they have to choose a password before anything else.
    pub must_change: bool,
    /// Whether they have to set up a second factor before anything else.
    pub must_enrol: bool,
    /// The path of the page.
    pub here: String,
    /// The navigation.
    pub entries: Arc<[Entry]>,
    /// When the page was asked for.
    pub now: Timestamp,
    /// Where style and script lie.
    pub assets: &'static Assets,
}

impl Frame {
    /// Around a page for somebody who has not signed in.
    pub(super) fn outside(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            who: None,
            roles: Roles::default(),
            must_change: false,
            must_enrol: false,
            here: String::new(),
            entries: Arc::new([]),
            now: clock::now(),
            assets: &ASSETS,
        }
    }

    /// Whether who looks at it may; what they may not is not shown.
    pub fn may(&self, needs: Needs) -> bool {
        self.roles.may(needs)
    }

    /// A moment as a page shows it.
    pub fn time(&self, at: &Timestamp) -> Moment {
        Moment::new(*at, self.now)
    }

    /// A moment in microseconds as a page shows it.
    pub fn micros(&self, at: &i64) -> Moment {
        Moment::new(Timestamp::from_micros(*at), self.now)
    }

    /// Whether the page is one of those under this entry of the navigation.
    pub fn is_under(&self, entry: &Entry) -> bool {
        match self.here.strip_prefix(entry.path) {
            Some(rest) => rest.is_empty() || (entry.path != "/" && rest.starts_with('/')),
            None => false,
        }
    }
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where it leads; what lies under that path belongs to it.
    pub path: &'static str,
    /// What it is called. The first letter is its key, so no two begin with the same.
    pub name: &'static str,
}

/// What a state is like, for the eye; the state itself is always a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be looked at today.
    Warn,
    /// To be looked at now.
    Bad,
    /// Not worth a colour.
    Dim,
}

impl fmt::Display for Tone {
    /// The name of its class.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Dim => "dim",
        })
    }
}

/// HTML that a template made: what is in it is escaped already.
#[derive(Clone, Debug, Default)]
pub struct Html(String);

impl Html {
    /// What this template makes.
    ///
    /// # Errors
    /// The template's.
    pub fn of(template: &impl Template) -> anyhow::Result<Self> {
        Ok(Self(template.render()?))
    }

    /// This, and then the other.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }
}

impl HtmlSafe for Html {}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a page is not shown, for a person.
#[derive(Debug)]
pub struct Sorry {
    status: StatusCode,
    text: String,
}

impl Sorry {
    /// There is no such thing.
    pub fn missing(text: impl Into<String>) -> Self {
        Self::because(StatusCode::NOT_FOUND, text)
    }

    /// What was asked makes no sense: in one sentence, what would.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::because(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn because(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Sorry {
    /// A problem of the collector's own: logged here, and not shown.
    fn from(error: E) -> Self {
        let error: anyhow::Error = error.into();
        tracing::error!(error = format!("{error:#}"), "cannot show a page");
        let text = "The collector has a problem of its own; its log says which.";
        Self::because(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

#[derive(Template)]
#[template(path = "sorry.html")]
struct Apology<'a> {
    frame: Frame,
    text: &'a str,
}

impl IntoResponse for Sorry {
    fn into_response(self) -> Response {
        let reason = self.status.canonical_reason().unwrap_or("Sorry");
        let apology = Apology {
            frame: Frame::outside(reason),
            text: &self.text,
        };
        let shown: Result<_, Infallible> = Ok(apology.render().unwrap_or(self.text.clone()));
        let Ok(shown) = shown;
        (self.status, HtmlResponse(shown)).into_response()
    }
}
