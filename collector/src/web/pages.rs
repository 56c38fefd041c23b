//! What a room adds to the site: its paths, and what it says on pages that are not its own.

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;

use super::page::Entry;
use super::visitor::{Part, Tell, TellOfHost, Visitor};

/// The pages of a room.
#[must_use]
pub struct Pages<S = ()> {
    pub(super) router: Router<S>,
    pub(super) paths: Vec<&'static str>,
    pub(super) open: Vec<&'static str>,
    pub(super) entries: Vec<Entry>,
    pub(super) overview: Vec<Tell>,
    pub(super) about_host: Vec<TellOfHost>,
}

impl<S: Clone + Send + Sync + 'static> Pages<S> {
    /// No pages yet.
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            paths: Vec::new(),
            open: Vec::new(),
            entries: Vec::new(),
            overview: Vec::new(),
            about_host: Vec::new(),
        }
    }

    /// A path for somebody who has signed in.
    pub fn route(mut self, path: &'static str, handler: MethodRouter<S>) -> Self {
        self.router = self.router.route(path, handler);
        self.paths.push(path);
        self
    }

    /// A path for everybody who can reach the collector, without a parameter in it.
    pub fn open_route(mut self, path: &'static str, handler: MethodRouter<S>) -> Self {
        self.open.push(path);
        self.route(path, handler)
    }

    /// An entry of the navigation.
    pub fn entry(mut self, path: &'static str, name: &'static str) -> Self {
        self.entries.push(Entry { path, name });
        self
    }

    /// Something to say on the overview.
    pub fn overview<F, R>(mut self, tell: F) -> Self
    where
        F: Fn(Visitor) -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<Part>> + Send + 'static,
    {
        self.overview
            .push(Arc::new(move |visitor| Box::pin(tell(visitor))));
        self
    }

    /// Something to say on the page of a host, by its name.
    pub fn about_host<F, R>(mut self, tell: F) -> Self
    where
        F: Fn(Visitor, String) -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<Part>> + Send + 'static,
    {
        self.about_host
            .push(Arc::new(move |visitor, host| Box::pin(tell(visitor, host))));
        self
    }

    /// Gives the handlers what they need.
    pub fn with_state(self, state: S) -> Pages {
        Pages {
            router: self.router.with_state(state),
            paths: self.paths,
            open: self.open,
            entries: self.entries,
            overview: self.overview,
            about_host: self.about_host,
        }
    }

    /// Adds another room's.
    pub fn and(mut self, more: Self) -> Self {
        self.router = self.router.merge(more.router);
        self.paths.extend(more.paths);
        self.open.extend(more.open);
        self.entries.extend(more.entries);
        self.overview.extend(more.overview);
        self.about_host.extend(more.about_host);
        self
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Pages<S> {
    fn default() -> Self {
        Self::new()
    }
}
