//! Alerts: incidents that repeats join, and the messages that tell people.

mod about;
mod acknowledge;
mod api;
mod attempt;
mod bell;
mod budget;
mod config;
mod deliver;
mod email;
mod folder;
mod holder;
mod judge;
mod kinds;
mod letter;
mod measure;
mod message;
mod outbox;
mod pages;
mod phone;
mod purses;
mod ranking;
mod record;
mod routes;
mod rows;
mod silence;
mod sms;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod wording;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

pub use about::Room;
pub use api::routes;
pub use bell::Bell;
pub use config::{
    Address, Budget, Config, Contact, Host, Name, Number, Pace, Sender, Sms, SmsBase, Smtp,
    Threshold, Tls, Token,
};
pub use letter::{Letter, Posted, letter_file, send_letter};
pub use measure::measure;
pub use pages::pages;
pub use routes::{Route, Routes};
pub use rows::{Happened, SCHEMA, after, deeds, last};
pub use silence::{NewSilence, Scope, Silence, Unfit};
pub use wording::{cut, moment};

use crate::policy::Groups;
use crate::store::{Store, Tx, timer};
use crate::web;
use message::{Code, Kind};

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about, such as `access.brute-force 192.0.2.7`: while an incident with this key is
    /// open, a repeat joins it.
    pub key: String,
    /// How much it matters.
    pub severity: Severity,
    /// The host it happened on, if it is one host.
    pub host: Option<String>,
    /// What and where, in at most 100 characters: the subject of the email, the start of the SMS.
    pub title: String,
    /// What was seen, for the email: lines of plain text.
    pub detail: String,
    /// What to do, in one short sentence.
    pub advice: String,
    /// Since when.
    pub since: Timestamp,
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking at today.
    Warning,
    /// Worth waking somebody.
    Critical,
}

/// Opens an incident for this alert, or joins the one that is open, and writes into the outbox that
/// people are to be told.
///
/// # Errors
/// The database's.
pub async fn raise(tx: &mut Tx, alert: &Alert, now: Timestamp) -> sqlx::Result<()> {
    let alert = wording::storable(alert);
    if let Some((incident, severity)) = rows::join(tx, &alert, now).await? {
        return rise(tx, incident, severity, &alert, now).await;
    }
    let code = unused(tx, Code::draw, now).await?;
    let (incident, severity, repeats) = rows::open(tx, &alert, &code, now).await?;
    if repeats > 0 {
        // Another collector has opened it since we looked.
        return rise(tx, incident, severity, &alert, now).await;
    }
    rows::remember(tx, incident, now, ("opened", &alert.title), None).await?;
    rows::announce(tx, incident, Kind::Opened, alert.severity).await
}

/// Has an incident stand for this alert with what it says now: opens it, or renews its texts where they
/// differ. Of one that stands so, nothing changes.
///
/// # Errors
/// The database's.
pub async fn hold(tx: &mut Tx, alert: &Alert, now: Timestamp) -> sqlx::Result<()> {
    match rows::says(&mut **tx, &wording::storable(alert)).await? {
        true => Ok(()),
        false => raise(tx, alert, now).await,
    }
}

/// Whether an incident stands for this alert with what it says now.
///
/// # Errors
/// The database's.
pub async fn is_held(store: &Store, alert: &Alert) -> sqlx::Result<bool> {
    rows::says(store.read(), &wording::storable(alert)).await
}

/// How many letters a code has; and how many at most, where nobody looks any more whether it is used.
const LETTERS: (usize, usize) = (4, 8);

/// How often a code is drawn until it gets a letter more.
const DRAWS: usize = 20;

/// For how long a code stays an incident's own after its end.
const RECENT: Duration = Duration::from_secs(30 * 86_400);

/// A code that no incident has which is open or was lately. However many there are, it ends.
async fn unused(tx: &mut Tx, draw: impl Fn(usize) -> Code, now: Timestamp) -> sqlx::Result<Code> {
    for letters in LETTERS.0..LETTERS.1 {
        for _ in 0..DRAWS {
            let code = draw(letters);
            if !rows::is_taken(tx, &code, now - RECENT).await? {
                return Ok(code);
            }
        }
    }
    Ok(draw(LETTERS.1))
}

/// An incident that has become worse is told again; a mere repeat is not.
async fn rise(
    tx: &mut Tx,
    incident: i64,
    severity: Severity,
    alert: &Alert,
    now: Timestamp,
) -> sqlx::Result<()> {
    if alert.severity <= severity {
        return Ok(());
    }
    rows::rise(tx, incident, alert.severity).await?;
    rows::remember(tx, incident, now, ("risen", &alert.title), None).await?;
    rows::announce(tx, incident, Kind::Risen, alert.severity).await
}

/// Ends the open incident with this key, if there is one, and writes into the outbox that those who
/// were told are to be told that it is over.
///
/// # Errors
/// The database's.
pub async fn resolve(tx: &mut Tx, key: &str, why: &str, now: Timestamp) -> sqlx::Result<()> {
    let why = wording::safe(why);
    let Some((incident, severity, repeats)) =
        rows::close(tx, &wording::safe(key), &why, now).await?
    else {
        return Ok(());
    };
    if repeats > 0 {
        let note = format!("{repeats} times");
        rows::remember(tx, incident, now, ("repeated", &note), None).await?;
    }
    rows::remember(tx, incident, now, ("resolved", &why), None).await?;
    rows::announce(tx, incident, Kind::Resolved, severity).await
}

/// Ends every open incident about the host of this name, because the host is gone.
///
/// # Errors
/// The database's.
pub async fn resolve_of_host(
    tx: &mut Tx,
    host: &str,
    why: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    for key in rows::open_of_host(tx, host).await? {
        resolve(tx, &key, why, now).await?;
    }
    Ok(())
}

/// How many silences are listed.
const SILENCES: i64 = 500;

/// All silences, those that have ended too, the newest first.
///
/// # Errors
/// The database's.
pub async fn silences(store: &Store) -> sqlx::Result<Vec<Silence>> {
    rows::silences(store, SILENCES).await
}

/// Silences what somebody expects. What is being sent just then still arrives.
///
/// # Errors
/// The database's; inside, why there can be no such silence.
pub async fn add_silence(
    store: &Store,
    new: NewSilence,
    author: &str,
    now: Timestamp,
) -> sqlx::Result<Result<Silence, Unfit>> {
    let mut silence = match new.fit(author, now) {
        Ok(silence) => silence,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let mut tx = store.begin().await?;
    silence.id = rows::add_silence(&mut tx, &silence).await?;
    tx.commit().await?;
    let (silence_id, note) = (silence.id, silence.note());
    tracing::info!(silence = silence_id, author, note, "silenced");
    Ok(Ok(silence))
}

/// Ends a silence; false if none with this number holds still. What it held back is told.
///
/// # Errors
/// The database's.
pub async fn end_silence(store: &Store, id: i64, by: &str, now: Timestamp) -> sqlx::Result<bool> {
    let mut tx = store.begin().await?;
    let ended = rows::end_silence(&mut tx, id, &wording::safe(by), now).await?;
    tx.commit().await?;
    if ended {
        tracing::info!(silence = id, author = by, "ended a silence");
    }
    Ok(ended)
}

/// What the room goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `[alerting]` of `collector.toml`.
    pub config: Live<Config>,
    /// `[alerting]` of `policy.toml`.
    pub routes: Live<Routes>,
    /// Which hosts belong together.
    pub groups: Live<Groups>,
    /// Whether a host of this name is watched.
    pub is_host: IsHost,
}

/// Whether a host of this name is watched, as the room of hosts knows.
pub type IsHost = for<'a> fn(&'a Store, &'a str) -> BoxFuture<'a, sqlx::Result<bool>>;

/// The hands that change what the room goes by.
#[derive(Debug)]
pub struct Changes {
    config: watch::Sender<Arc<Config>>,
    routes: watch::Sender<Arc<Routes>>,
    groups: watch::Sender<Arc<Groups>>,
}

impl Rules {
    /// What follows reloads, with the hands that do them.
    pub fn new(config: Config, routes: Routes, groups: Groups) -> (Changes, Self) {
        let (to_config, config) = Live::new(config);
        let (to_routes, routes) = Live::new(routes);
        let (to_groups, groups) = Live::new(groups);
        let changes = Changes {
            config: to_config,
            routes: to_routes,
            groups: to_groups,
        };
        let rules = Self {
            config,
            routes,
            groups,
            is_host: |_, _| Box::pin(async { Ok(true) }),
        };
        (changes, rules)
    }

    /// The same, with somebody who knows which hosts are watched.
    #[must_use]
    pub fn knowing(mut self, is_host: IsHost) -> Self {
        self.is_host = is_host;
        self
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(Config::default(), Routes::default(), Groups::default()).1
    }
}

impl Changes {
    /// From now on the room goes by this.
    pub fn configure(&self, config: Config) {
        self.config.send_replace(Arc::new(config));
    }

    /// From now on the room goes by this of the policy.
    pub fn rule(&self, routes: Routes, groups: Groups) {
        self.routes.send_replace(Arc::new(routes));
        self.groups.send_replace(Arc::new(groups));
    }
}

/// Delivers, with links to `page`, and forgets what is too old, until told to stop; what is being sent then is waited for.
/// Rung by `bell`, it looks at once, otherwise every second.
///
/// # Errors
/// The database's, at the start. Later ones are logged, and the delivery goes on when it is back.
pub async fn run(
    store: Store,
    (rules, page): (Rules, Live<web::Config>),
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    let config = rules.config.clone();
    if let Some(notice) = config.now().notice() {
        tracing::info!("{notice}");
    }
    let outbox = outbox::Outbox::open(store.clone(), rules).await?;
    let kept = config.clone();
    let pruning = timer::run(
        store,
        &[],
        move |tx, now| {
            let oldest = now - kept.now().keep.duration();
            Box::pin(rows::prune(tx, oldest))
        },
        || {},
        stop.clone(),
    );
    let emptying = empty(config.clone(), stop.clone());
    let delivery = Box::pin(deliver::run(outbox, (config, page), bell, stop));
    tokio::try_join!(delivery, pruning, emptying)?;
    Ok(())
}

/// How often messages in the folder are looked at for those that are too old.
const EMPTY: Duration = Duration::from_secs(3600);

/// Forgets what was written into the folder long ago.
async fn empty(config: Live<Config>, stop: Stop) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(EMPTY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        let config = config.now();
        let oldest = (clock::now() - config.keep.duration()).as_micros();
        let oldest = Duration::from_micros(u64::try_from(oldest).unwrap_or(0));
        match folder::prune(&config.folder, UNIX_EPOCH + oldest) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let folder = config.folder.display();
                tracing::warn!(%folder, %error, "cannot look through old messages");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
