//! Keys that programs of this host log in elsewhere with: made and kept here, and never given away.
//!
//! Who makes them has no network, and a service of its own: `watchward-agent identities`. It reads what
//! the agent was ordered; the agent looks at the public halves and tells the collector.

mod account;
mod acl;
mod keeping;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use russh::keys::PrivateKey;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::identities::{Holding, Identities, is_name};
use watchward_protocol::order::Order;
use watchward_protocol::record::Report;
use watchward_protocol::wire;

use crate::spool::{Ended, Entry, Keeper};
use keeping::Keeping;
use seen::Seen;

/// How often it is looked whether there is another order, or another key.
const LOOK: Duration = Duration::from_secs(1);
/// How often all of it is looked at: what is as it should be, and what is not.
const ROUND: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_secs(15);
/// After so long, what is still missing is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// `[identities]`: keys that programs of this host log in elsewhere with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where they are kept: programs use `IdentityFile DIRECTORY/NAME/id`. Another one counts from
    /// the next start on.
    pub directory: PathBuf,
    /// Where it is said what went wrong with them: on another disk, for this one may be full.
    pub troubles: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/watchward-identities"),
            troubles: PathBuf::from("/run/watchward-identities"),
        }
    }
}

impl Config {
    /// A private key, to log in with once.
    ///
    /// # Errors
    /// There is none, or it cannot be read, in one sentence.
    pub fn private(&self, name: &str, serial: u32) -> Result<PrivateKey, String> {
        if !is_name(name) {
            return Err("no identity has such a name".to_owned());
        }
        let file = keeping::private(&self.directory.join(name), serial);
        let key = PrivateKey::read_openssh_file(&file);
        key.map_err(|error| format!("key {serial} of {name} cannot be read: {error}"))
    }
}

/// Whether the agent keeps them itself: it may do anything, or else could not have another account
/// read what it made.
pub fn inside() -> bool {
    rustix::process::geteuid().is_root()
}

/// Has what was ordered exist, and nothing else, until asked to stop. `orders` is where the agent keeps
/// what it was ordered.
///
/// # Errors
/// None: without an order it waits for one.
pub async fn hold(config: Config, orders: PathBuf, stop: Stop) -> anyhow::Result<()> {
    let file = orders.join("identities.order");
    let (mut known, mut next) = (None, Instant::now());
    loop {
        let now = changed(&file);
        if now.is_some() && (now != known || Instant::now() >= next) {
            known = now;
            let (config, file) = (config.clone(), file.clone());
            let work = move || activate(&config, &file);
            let done = tokio::task::spawn_blocking(work).await?;
            next = Instant::now() + if done { ROUND } else { AGAIN };
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(LOOK) => {}
        }
    }
}

/// What an order is known by: it is replaced, not written over.
fn changed(file: &Path) -> Option<(SystemTime, u64)> {
    let known = fs::metadata(file).ok()?;
    Some((known.modified().ok()?, known.len()))
}

/// Does what is missing; says whether nothing is any more.
fn activate(config: &Config, order: &Path) -> bool {
    let bytes = match fs::read(order) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "cannot read which identities were ordered");
            return false;
        }
    };
    let Ok(Some(Order::Identities(ordered))) = wire::decode_order(&bytes) else {
        tracing::error!("cannot understand which identities were ordered; nothing is changed");
        return false;
    };
    let keeping = Keeping::new(&config.directory, account::number);
    let troubles = keeping.activate(&ordered);
    if let Err(error) = say(&config.troubles, &troubles) {
        tracing::error!(%error, "cannot tell what is wrong with identities");
    }
    for (identity, trouble) in &troubles {
        tracing::error!(
            identity,
            error = trouble,
            "an identity is not as it was ordered"
        );
    }
    troubles.is_empty()
}

/// Writes down what went wrong, where the agent reads it.
fn say(folder: &Path, troubles: &BTreeMap<String, String>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_over = entry
            .file_name()
            .to_str()
            .is_none_or(|it| !troubles.contains_key(it));
        if is_over {
            fs::remove_file(entry.path())?;
        }
    }
    let mut each = troubles.iter();
    each.try_for_each(|(name, trouble)| fs::write(folder.join(name), trouble))
}

/// Tells what there is of what was ordered, until asked to stop.
///
/// # Errors
/// The spool has ended.
pub async fn tell(
    config: Config,
    mut ordered: watch::Receiver<Option<Arc<Identities>>>,
    keeper: Keeper,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut told: BTreeMap<String, Seen> = BTreeMap::new();
    let mut since = Instant::now();
    loop {
        let order = ordered.borrow_and_update().clone();
        if let Some(order) = order.clone() {
            let (config, late) = (config.clone(), since.elapsed() >= PATIENCE);
            let look = move || seen::look((&config.directory, &config.troubles), &order, late);
            let seen = tokio::task::spawn_blocking(look).await?;
            news(&mut told, seen, &keeper).await?;
        }
        let wait = async {
            match order {
                Some(_) => sleep(LOOK).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            another = ordered.changed() => match another {
                // Said again after each connection: then what there is is told again.
                Ok(()) => (told, since) = (BTreeMap::new(), Instant::now()),
                Err(_) => {
                    stop.cancelled().await;
                    return Ok(());
                }
            },
            () = wait => {}
        }
    }
}

/// Tells what was not told yet.
async fn news(
    told: &mut BTreeMap<String, Seen>,
    mut seen: BTreeMap<String, Seen>,
    keeper: &Keeper,
) -> Result<(), Ended> {
    for name in told.keys() {
        seen.entry(name.clone()).or_default();
    }
    for (name, now) in seen {
        if told.get(&name) == Some(&now) {
            continue;
        }
        let holding = Holding {
            at: clock::now(),
            name: name.clone(),
            keys: now.keys.clone(),
            using: now.using,
            trouble: now.trouble.clone(),
        };
        let entry = Entry {
            reports: vec![Report::Identities(holding)],
            position: None,
        };
        keeper.keep(entry).await?;
        told.insert(name, now);
    }
    Ok(())
}
