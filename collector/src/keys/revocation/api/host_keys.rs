//! The keys of a host that is in other hands: clients are to refuse them, and their certificates.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::{Desk, fits, reason};
use crate::keys::authority::{own, own_of_hosts};
use crate::keys::proof::Revoked;
use crate::keys::rows::certificate::{self, Whose};
use crate::keys::rows::revoked as rows;
use crate::keys::rows::shown::{self, Own};
use crate::web::{Parameters, Problem, Who};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    host: String,
    reason: String,
    /// The fingerprints that were shown to whoever revokes them.
    keys: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    host: String,
}

/// What would be revoked, or was. Safe for a terminal.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    keys: Vec<String>,
    /// Keys that the host says to be its own, and nobody else does, or that are others', too: a host can
    /// say so of any.
    shared: Vec<Shared>,
}

/// A key that is not revoked, and whose it is besides: nobody's where only the host says that it is its own.
#[derive(Debug, Serialize)]
struct Shared {
    fingerprint: String,
    of: Vec<String>,
}

pub(super) async fn plan(
    State(desk): State<Desk>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Done>, Problem> {
    let (keys, shared) = desk.own(&which.host, |_| true, clock::now()).await?;
    Ok(Json(Done {
        keys: names(&keys),
        shared,
    }))
}

pub(super) async fn revoke(
    State(desk): State<Desk>,
    Who(by): Who,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Done>, Problem> {
    let reason = reason(&wanted.reason)?;
    let (store, now) = (&desk.sources.store, clock::now());
    let was_shown = |key: &Own| wanted.keys.contains(&escaped(&key.fingerprint));
    let (keys, shared) = desk.own(&wanted.host, was_shown, now).await?;
    if !keys.is_empty() {
        let mut tx = store.begin().await?;
        let generation = rows::next(&mut tx, now).await?;
        for key in &keys {
            let one = Revoked {
                fingerprint: key.fingerprint.clone(),
                kind: key.kind.clone(),
                wire: key.wire.clone(),
                reason: escaped(reason),
                author: by.clone(),
                at: now,
                comment: escaped(&wanted.host),
                person: String::new(),
                generation,
            };
            rows::revoke(&mut tx, &one).await?;
        }
        fits(&mut tx).await?;
        tx.commit().await?;
        desk.revocations.changed();
        desk.bell.ring();
    }
    Ok(Json(Done {
        keys: names(&keys),
        shared,
    }))
}

fn names(keys: &[Own]) -> Vec<String> {
    keys.iter().map(|key| escaped(&key.fingerprint)).collect()
}

impl Desk {
    /// The host's own keys of those that are meant, and all others that it says to be its own.
    async fn own(
        &self,
        host: &str,
        is_meant: impl Fn(&Own) -> bool,
        now: Timestamp,
    ) -> Result<(Vec<Own>, Vec<Shared>), Problem> {
        let (mut keys, mut shared) = (Vec::new(), Vec::new());
        for key in shown::own(&self.sources.store, host).await? {
            let of = self.others(&key, now).await?;
            match of.is_empty() && key.known && is_meant(&key) {
                true => keys.push(key),
                false => shared.push(Shared {
                    fingerprint: escaped(&key.fingerprint),
                    of,
                }),
            }
        }
        Ok((keys, shared))
    }

    /// Whose this key is besides. Safe for a terminal.
    async fn others(&self, key: &Own, now: Timestamp) -> Result<Vec<String>, Problem> {
        let (store, name) = (&self.sources.store, &key.fingerprint);
        let policy = self.policy.now();
        let mut of: Vec<_> = key.others.iter().map(|host| escaped(host)).collect();
        let owner = Some(policy.owner(name)).filter(|owner| !owner.is_empty());
        of.extend(owner.map(escaped));
        of.extend(policy.break_glass(name).map(escaped));
        let issued = certificate::still(store, Whose::Key(name), now).await?;
        of.extend(issued.first().map(|one| escaped(&one.person)));
        let authorities = [own(store.read()).await?, own_of_hosts(store.read()).await?];
        if authorities.concat().contains(name) {
            of.push("the collector".to_owned());
        }
        Ok(of)
    }
}
