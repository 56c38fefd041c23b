//! The site: all pages together, the gate before them, and the listener that they are served from.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware;
use tower_http::csrf::CsrfLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Tasks;

use super::config::Config;
use super::guard::{self, Gate};
use super::listen::Listening;
use super::page::{Entry, Sorry};
use super::pages::{Declared, Pages};
use super::places::Places;
use super::visitor::Shell;
use super::{account, assets, code, doors, factor, overview, welcome};
use crate::people::{Needs, People};

/// How long a form may be, in bytes.
const LONGEST_FORM: usize = 64 << 10;

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// All pages together.
#[must_use]
pub struct Site {
    pages: Pages,
    people: People,
}

impl Site {
    /// A site with what belongs to no room: the overview, signing in, accounts.
    pub fn new(people: People) -> Self {
        let own = doors::pages()
            .and(code::pages())
            .and(welcome::pages())
            .open_get("/assets/{name}", assets::asset)
            .get("/", Needs::Own, overview::show)
            .entry("/", "Overview");
        Self { pages: own, people }
    }

    /// Adds the pages of a room; their entries come in the order in which rooms are added.
    pub fn with(mut self, pages: Pages) -> Self {
        self.pages = self.pages.and(pages);
        self
    }

    /// Every page that there is, and everything that can be done on one.
    pub fn routes(&self) -> Vec<Declared> {
        let last = self.own_pages().routes;
        self.pages.routes.iter().cloned().chain(last).collect()
    }

    /// What comes last in the navigation.
    fn own_pages(&self) -> Pages {
        account::pages(self.people.clone()).and(factor::pages(self.people.clone()))
    }

    /// All paths behind the gate.
    ///
    /// # Errors
    /// `public_url` is no address that a browser could be sent to.
    pub fn router(self, config: &Config) -> anyhow::Result<Router> {
        let last = self.own_pages();
        let Self { pages, people } = self;
        let Pages {
            router,
            routes,
            entries,
            overview,
            about_host,
        } = pages.and(last);
        let shown = |entry: Entry| {
            let page = |it: &&Declared| it.path == entry.path && it.method == Method::GET;
            routes.iter().find(page).and_then(|it| it.needs)
        };
        let shell = Arc::new(Shell {
            people,
            entries: entries.into_iter().map(|it| (it, shown(it))).collect(),
            overview,
            about_host,
        });
        let gate = Gate::new(shell, &routes, config);
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
        tasks.start(
            "web",
            listening.serve(tasks.clone(), routes, Places::new(settings.behind_proxy)),
        );
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
