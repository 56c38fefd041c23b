//! Who looks at a page, and what rooms have to say to them on pages that are not their own.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use futures_util::future::BoxFuture;
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use super::assets::ASSETS;
use super::page::{Entry, Frame, Html, Sorry, Tone};
use crate::people::{Author, Needs, People, Session};

/// Somebody who has signed in, and looks at a page.
#[derive(Clone)]
pub struct Visitor {
    /// Who it is.
    pub session: Session,
    /// Where they are; `None` behind a proxy.
    pub address: Option<IpAddr>,
    /// When they asked.
    pub now: Timestamp,
    /// What the page that they asked for needs.
    pub(super) needs: Needs,
    pub(super) shell: Arc<Shell>,
    /// The path that they asked for.
    pub(super) path: String,
}

impl Visitor {
    /// What is around the page of this title.
    pub fn frame(&self, title: impl Into<String>) -> Frame {
        Frame {
            title: title.into(),
            who: Some(self.session.name.clone()),
            must_change: self.session.must_change,
            must_enrol: self.session.must_enrol,
            here: self.path.clone(),
            roles: self.session.roles.clone(),
            entries: self.entries(),
            now: self.now,
            assets: &ASSETS,
        }
    }

    /// Whether they may.
    pub fn may(&self, needs: Needs) -> bool {
        self.session.roles.may(needs)
    }

    /// Who they are, for what is kept of what they did.
    pub fn author(&self) -> Author {
        Author {
            name: self.session.name.clone(),
            address: self.address,
        }
    }

    /// The entries of the navigation that they may follow.
    fn entries(&self) -> Arc<[Entry]> {
        let all = self.shell.entries.iter();
        let open = all.filter(|(_, needs)| needs.is_some_and(|needs| self.may(needs)));
        open.map(|(entry, _)| *entry).collect()
    }

    /// What every room has to say about this host.
    ///
    /// # Errors
    /// The rooms'.
    pub async fn about_host(&self, host: &str) -> anyhow::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for tell in &self.shell.about_host {
            parts.push(tell(self.clone(), host.to_owned()).await?);
        }
        Ok(parts)
    }

    /// Whether they are still signed in and may see this still, for what goes on for long.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_in(&self) -> sqlx::Result<bool> {
        let found = self.people().still(&self.session, clock::now()).await?;
        Ok(found.is_some_and(|session| session.roles.may(self.needs)))
    }

    pub(super) fn people(&self) -> &People {
        &self.shell.people
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Sorry;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Sorry> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| Sorry::because(StatusCode::UNAUTHORIZED, "Please sign in."))
    }
}

/// What a room says on a page that is not its own.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Numbers for the top of the overview.
    pub tiles: Vec<Tile>,
    /// A section of the page, with its heading (`h2`); empty if there is nothing to say.
    pub body: Html,
}

/// A number on the overview.
#[derive(Clone, Debug)]
pub struct Tile {
    /// What is counted, in the plural: `hosts silent`. No other word in it ends with an `s`.
    pub name: &'static str,
    /// How many.
    pub count: i64,
    /// What that is like.
    pub tone: Tone,
    /// The page that shows which.
    pub path: &'static str,
}

impl Tile {
    /// What is counted, as it is said of so many.
    pub(super) fn words(&self) -> String {
        if self.count != 1 {
            return self.name.to_owned();
        }
        let words = self.name.split(' ');
        let words = words.map(|word| word.strip_suffix('s').unwrap_or(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// What a room says on the overview.
pub type Tell = Arc<dyn Fn(Visitor) -> BoxFuture<'static, anyhow::Result<Part>> + Send + Sync>;

/// What a room says about a host of this name.
pub type TellOfHost =
    Arc<dyn Fn(Visitor, String) -> BoxFuture<'static, anyhow::Result<Part>> + Send + Sync>;

/// What every page can count on.
pub(super) struct Shell {
    pub(super) people: People,
    /// The navigation, and what each page there needs.
    pub(super) entries: Vec<(Entry, Option<Needs>)>,
    pub(super) overview: Vec<(Needs, Tell)>,
    pub(super) about_host: Vec<TellOfHost>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_something_is_not_said_in_the_plural() {
        let tile = |name, count| Tile {
            name,
            count,
            tone: Tone::Good,
            path: "/",
        };
        for (name, one) in [
            ("hosts heard", "host heard"),
            ("new keys", "new key"),
            ("accounts used from outside", "account used from outside"),
        ] {
            assert_eq!(tile(name, 1).words(), one);
            assert_eq!(tile(name, 0).words(), name);
            assert_eq!(tile(name, 2).words(), name);
        }
    }
}
