//! What a room adds to the site: its paths, and what it says on pages that are not its own.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::guard;
use super::page::Entry;
use super::visitor::{Part, Tell, TellOfHost, Visitor};
use crate::people::Needs;

/// A page, or something that is done on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// `GET` shows, `POST` does.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// What whoever asks must be allowed to; `None` where nobody has to sign in.
    pub needs: Option<Needs>,
}

/// The pages of a room.
#[must_use]
pub struct Pages<S = ()> {
    pub(super) router: Router<S>,
    pub(super) routes: Vec<Declared>,
    pub(super) entries: Vec<Entry>,
    pub(super) overview: Vec<(Needs, Tell)>,
    pub(super) about_host: Vec<TellOfHost>,
}

impl<S: Clone + Send + Sync + 'static> Pages<S> {
    /// No pages yet.
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            routes: Vec::new(),
            entries: Vec::new(),
            overview: Vec::new(),
            about_host: Vec::new(),
        }
    }

    /// A page for those who may.
    pub fn get<H, T>(self, path: &'static str, needs: Needs, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.guarded((Method::GET, path), needs, get(handler))
    }

    /// Something that those may do who may.
    pub fn post<H, T>(self, path: &'static str, needs: Needs, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.guarded((Method::POST, path), needs, post(handler))
    }

    fn guarded(self, at: (Method, &'static str), needs: Needs, handler: MethodRouter<S>) -> Self {
        let handler = handler.route_layer(from_fn_with_state((needs, at.1), guard::need));
        self.declare(at, Some(needs), handler)
    }

    /// A page for everybody who can reach the collector, without a parameter in its path.
    pub fn open_get<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.declare((Method::GET, path), None, get(handler))
    }

    /// Something that everybody may do who can reach the collector.
    pub fn open_post<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.declare((Method::POST, path), None, post(handler))
    }

    fn declare(
        mut self,
        (method, path): (Method, &'static str),
        needs: Option<Needs>,
        handler: MethodRouter<S>,
    ) -> Self {
        self.router = self.router.route(path, handler);
        self.routes.push(Declared {
            method,
            path,
            needs,
        });
        self
    }

    /// An entry of the navigation, for those who may see that page.
    pub fn entry(mut self, path: &'static str, name: &'static str) -> Self {
        self.entries.push(Entry { path, name });
        self
    }

    /// Something to say on the overview to those who may.
    pub fn overview<F, R>(mut self, needs: Needs, tell: F) -> Self
    where
        F: Fn(Visitor) -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<Part>> + Send + 'static,
    {
        self.overview
            .push((needs, Arc::new(move |visitor| Box::pin(tell(visitor)))));
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
            routes: self.routes,
            entries: self.entries,
            overview: self.overview,
            about_host: self.about_host,
        }
    }

    /// Adds another room's.
    pub fn and(mut self, more: Self) -> Self {
        self.router = self.router.merge(more.router);
        self.routes.extend(more.routes);
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
