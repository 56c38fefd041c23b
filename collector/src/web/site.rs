//! The site: the pages that rooms add to it, and what stands around all of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{MethodRouter, get};
use futures_util::future::BoxFuture;
use tower_http::csrf::CsrfLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Tasks;

use super::config::Config;
use super::guard::{self, Gate};
use super::listen::Listening;
use super::page::{Html, Sorry, Tone, Visitor};
use super::{account, assets, doors, overview};
use crate::metrics;
use crate::people::People;
use crate::store::Store;

/// How long a form may be, in bytes.
const LONGEST_FORM: usize = 64 << 10;

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// An entry of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where it leads; what lies under that path belongs to it.
    pub path: &'static str,
    /// What it is called. The first letter is its key, so no two begin with the same.
    pub name: &'static str,
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
    /// What is counted: `hosts silent`.
    pub name: &'static str,
    /// How many.
    pub count: i64,
    /// What that is like.
    pub tone: Tone,
    /// The page that shows which.
    pub path: &'static str,
}

/// What a room says on the overview.
pub type Tell = Arc<dyn Fn(Visitor) -> BoxFuture<'static, anyhow::Result<Part>> + Send + Sync>;

/// What a room says about a host of this name.
pub type TellOfHost =
    Arc<dyn Fn(Visitor, String) -> BoxFuture<'static, anyhow::Result<Part>> + Send + Sync>;

/// The pages of a room.
#[must_use]
pub struct Pages<S = ()> {
    router: Router<S>,
    paths: Vec<&'static str>,
    open: Vec<&'static str>,
    entries: Vec<Entry>,
    overview: Vec<Tell>,
    about_host: Vec<TellOfHost>,
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

    fn and(mut self, more: Self) -> Self {
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

/// What every page can count on.
pub(super) struct Shell {
    pub(super) people: People,
    pub(super) entries: Arc<[Entry]>,
    pub(super) overview: Vec<Tell>,
    pub(super) about_host: Vec<TellOfHost>,
}

/// All pages together.
#[must_use]
pub struct Site {
    pages: Pages,
    people: People,
}

impl Site {
    /// A site with what belongs to no room: the overview, signing in, accounts.
    pub fn new(people: People, store: Store) -> Self {
        let own = Pages::new()
            .open_route("/sign-in", get(doors::show).post(doors::sign_in))
            .open_route("/-/healthy", get(metrics::healthy))
            .open_route("/-/ready", get(guard::ready))
            .route("/assets/{name}", get(assets::asset))
            .route("/", get(overview::show))
            .entry("/", "Overview")
            .with_state(store);
        Self { pages: own, people }
    }

    /// Adds the pages of a room; their entries come in the order in which rooms are added.
    pub fn with(mut self, pages: Pages) -> Self {
        self.pages = self.pages.and(pages);
        self
    }

    /// Every path that there is, and those of them that need nobody to sign in; whatever lies under
    /// `/assets/` needs nobody either.
    pub fn paths(&self) -> (&[&'static str], &[&'static str]) {
        (&self.pages.paths, &self.pages.open)
    }

    /// All paths behind the gate.
    ///
    /// # Errors
    /// `public_url` is no address that a browser could be sent to.
    pub fn router(self, config: &Config) -> anyhow::Result<Router> {
        let Self { pages, people } = self;
        let Pages {
            router,
            open,
            entries,
            overview,
            about_host,
            paths: _,
        } = pages.and(account::pages(people.clone()));
        let shell = Arc::new(Shell {
            people,
            entries: entries.into(),
            overview,
            about_host,
        });
        let gate = Gate::new(shell, open, config);
        let mut csrf = CsrfLayer::new();
        if let Some(url) = &config.public_url {
            csrf = csrf
                .add_trusted_origin(url.origin())
                .context("[web] public_url")?;
        }
        let missing = async || Sorry::missing("There is no such page.");
        Ok(router
            .fallback(missing)
            .layer(middleware::from_fn_with_state(gate.clone(), guard::pass))
            .layer(csrf)
            .layer(RequestBodyLimitLayer::new(LONGEST_FORM))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::SERVICE_UNAVAILABLE,
                PATIENCE,
            ))
            .layer(middleware::from_fn_with_state(gate, guard::dress)))
    }

    /// Serves until told to stop. The certificate's files are read again at each reload.
    ///
    /// # Errors
    /// What `[web]` says cannot be done.
    pub async fn start(self, tasks: &Tasks, mut config: Live<Config>) -> anyhow::Result<()> {
        let settings = config.now();
        let identity = settings.identity()?;
        let routes = self.router(&settings)?;
        let listening = Listening::at(settings.listen, identity.clone()).await?;
        let scheme = if identity.is_some() { "https" } else { "http" };
        let address = listening.address()?;
        tracing::info!("the page is at {scheme}://{address}/");
        tasks.start("web", listening.serve(tasks.clone(), routes));
        let stop = tasks.stop();
        tasks.start("web certificate", async move {
            loop {
                tokio::select! {
                    () = config.changed() => {}
                    () = stop.cancelled() => return Ok(()),
                }
                let Some(identity) = &identity else { continue };
                if let Err(error) = config.now().renew(identity) {
                    let error = format!("{error:#}");
                    tracing::error!(error, "the page keeps the certificate that it has");
                }
            }
        });
        Ok(())
    }
}
