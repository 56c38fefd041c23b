//! Keys that somebody put there themselves: too old, they are warned about, then shadowed, then revoked,
//! as the policy says. The files that they stand in are never changed.

mod alerts;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::span::Span;
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use super::peers;
use super::policy::{Fingerprint, Policy};
use super::proof::Revoked;
use super::revocation::{Revocations, Share, lonely};
use super::rows::cause::{Cause, Sort};
use super::rows::retire::{self as rows, Retiring, Standing};
use super::rows::{revoked, shown, way, wire};
use crate::alerting::{self, Alert, Bell};
use crate::store::{Store, Tx};

use judge::{Place, Stage, stage};

pub(super) use alerts::few;
pub use judge::Retire;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(30);

/// Of so many keys people are told why the policy does not revoke them, where that is for what hosts say.
const TOLD: usize = 20;

/// Who revokes what is too old, for receipts and the trail.
const AUTHOR: &str = "policy";

/// Has keys go that are too old, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    store: Store,
    policy: Live<Policy>,
    (revocations, bell): (Revocations, Bell),
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        let looked = go_on(&store, &policy.now(), clock::now()).await;
        let looked = looked.map(|changed| changed > 0);
        if let Ok(true) = looked {
            revocations.changed();
        }
        let what = "look which keys and peers are too old";
        if !bell.after(what, looked, (LOOK, &stop)).await {
            return Ok(());
        }
    }
}

/// The same of keys for SSH and of peers of WireGuard, each by itself.
async fn go_on(store: &Store, policy: &Policy, now: Timestamp) -> sqlx::Result<usize> {
    let keys = look(store, policy, now).await;
    let peers = peers::renew(store, policy, now).await?;
    Ok(keys? + peers)
}

/// Does with each key what is to be done now; says of how many people are told something else.
pub(super) async fn look(store: &Store, policy: &Policy, now: Timestamp) -> sqlx::Result<usize> {
    let before = rows::retiring(store).await?;
    if before.is_empty() && !policy.retires() {
        return Ok(0);
    }
    let keys = old(store, policy, now).await?;
    let marks = revoked::marks(store).await?;
    let mut gone: BTreeSet<String> = marks.into_keys().collect();
    let mut share = Share::read(store, Sort::Keys).await?;
    let shown = shown::by(store).await?;
    let mut told = 0;
    let mut changed = 0;
    for (fingerprint, places) in &keys {
        if gone.contains(fingerprint) {
            continue;
        }
        let known = before.get(fingerprint);
        let since = known.map(|it| it.begun(now));
        let room = Room {
            shown: &shown,
            gone: &gone,
            share: &mut share,
            told: &mut told,
        };
        let judged: Vec<_> = places.iter().map(|one| one.place(policy)).collect();
        let fate = match stage(&judged, since, now) {
            Stage::Stay => Fate::Forget,
            Stage::Warned => Fate::Warn(None),
            Stage::Overdue(end) => Fate::Warn(Some(end)),
            Stage::Shadowed(until) => Fate::Shadow(until, None),
            Stage::Missed(end) => Fate::Missed(end),
            Stage::Kept(places) => Fate::Shadow(None, Some(kept(&places))),
            Stage::Over => over(store, (fingerprint, places), room, now).await?,
        };
        let key = Key {
            store,
            fingerprint,
            owner: policy.owner(fingerprint),
            places,
            since: since.unwrap_or(now),
        };
        let mut tx = store.begin().await?;
        let news = key.meet(&mut tx, (&fate, known), now).await?;
        tx.commit().await?;
        changed += usize::from(news);
        if matches!(fate, Fate::Revoke(_)) {
            gone.insert(fingerprint.clone());
        }
    }
    let is_old = |name: &str| keys.contains_key(name) && !gone.contains(name);
    let left = before.iter().filter(|(name, _)| !is_old(name));
    Ok(changed + leave(store, left, &gone, now).await?)
}

/// Ends what is told of keys that open nothing, or are not too old any more; says of how many. Whoever takes one
/// out of a file for a moment does not have it begin anew: the time that it is away does not count, and no more.
async fn leave(
    store: &Store,
    left: impl Iterator<Item = (&String, &Retiring)>,
    revoked: &BTreeSet<String>,
    now: Timestamp,
) -> sqlx::Result<usize> {
    let away = rows::away(store, now).await?;
    let mut changed = 0;
    for (fingerprint, known) in left {
        let is_away = away.contains(fingerprint) && !revoked.contains(fingerprint);
        if is_away && *known == known.away(now) {
            continue;
        }
        let mut tx = store.begin().await?;
        end(&mut tx, (fingerprint, known), now).await?;
        if is_away {
            rows::keep(&mut tx, fingerprint, &known.away(now)).await?;
        }
        tx.commit().await?;
        changed += 1;
    }
    Ok(changed)
}

/// Everywhere that each key stands which is too old anywhere. The key for emergencies is out of reach of
/// whatever revokes by itself, and so is what a host only calls a key of sshd: it may be a peer's.
async fn old(
    store: &Store,
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<BTreeMap<String, Vec<Standing>>> {
    let mut keys: BTreeMap<String, Vec<Standing>> = BTreeMap::new();
    for one in rows::overdue(store, now).await? {
        let is_key = Fingerprint::try_from(one.fingerprint.clone()).is_ok();
        if is_key && policy.break_glass(&one.fingerprint).is_none() {
            keys.entry(one.fingerprint.clone()).or_default().push(one);
        }
    }
    Ok(keys)
}

/// What becomes of a key now.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Forget,
    /// Since when it should have gone, if it should.
    Warn(Option<Timestamp>),
    /// Until when, and why it is not revoked although its time is over.
    Shadow(Option<Timestamp>, Option<String>),
    /// Since when it should have gone.
    Missed(Timestamp),
    /// And of which host that counts.
    Revoke(String),
}

/// What holds up that a key is revoked.
struct Room<'a> {
    /// The hosts that show keys, by fingerprint.
    shown: &'a BTreeMap<String, String>,
    gone: &'a BTreeSet<String>,
    share: &'a mut Share,
    /// How many are told of that hosts may have made up.
    told: &'a mut usize,
}

impl Room<'_> {
    /// Of one that stays, and that a host may have made up: not of all of them it is told why.
    fn stays(self, why: String) -> Fate {
        *self.told += 1;
        Fate::Shadow(None, (*self.told <= TOLD).then_some(why))
    }
}

/// What becomes of a key whose time is over.
async fn over(
    store: &Store,
    (fingerprint, places): (&str, &[Standing]),
    room: Room<'_>,
    now: Timestamp,
) -> sqlx::Result<Fate> {
    if let Some(host) = room.shown.get(fingerprint) {
        return Ok(room.stays(known(host)));
    }
    if let Some(why) = alone(store, fingerprint, room.gone, now).await? {
        return Ok(Fate::Shadow(None, Some(why)));
    }
    let hosts = places.iter().map(|one| one.host.as_str());
    Ok(match room.share.take(hosts) {
        Ok(host) => Fate::Revoke(host.to_owned()),
        Err(why) => room.stays(why),
    })
}

/// A key, and everywhere that it stands.
#[derive(Debug)]
struct Key<'a> {
    store: &'a Store,
    fingerprint: &'a str,
    owner: &'a str,
    places: &'a [Standing],
    since: Timestamp,
}

impl Key<'_> {
    /// Does what is to become of it; says whether that was anything.
    async fn meet(
        &self,
        tx: &mut Tx,
        (fate, known): (&Fate, Option<&Retiring>),
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let (until, why, end) = match fate {
            Fate::Forget | Fate::Revoke(_) => {
                if let Some(known) = known {
                    end(tx, (self.fingerprint, known), now).await?;
                }
                let Fate::Revoke(host) = fate else {
                    return Ok(known.is_some());
                };
                self.revoke(tx, host, now).await?;
                return Ok(true);
            }
            Fate::Warn(end) => (None, None, *end),
            Fate::Shadow(until, why) => (*until, why.as_deref(), None),
            Fate::Missed(end) => (None, None, Some(*end)),
        };
        let used = match fate {
            Fate::Warn(_) => None,
            Fate::Forget | Fate::Revoke(_) | Fate::Shadow(..) | Fate::Missed(_) => {
                alerts::used(self, until)
            }
        };
        let held = why.map(|why| alerts::held(self, why));
        let missed = end.map(|end| alerts::missed(self, end));
        let detail = |alert: &Option<Alert>| alert.as_ref().map(|it| it.detail.clone());
        let now_told = Retiring {
            since: self.since,
            away_at: None,
            used: detail(&used),
            held: detail(&held),
            missed: detail(&missed),
        };
        if known == Some(&now_told) {
            return Ok(false);
        }
        for alert in used.iter().chain(&held).chain(&missed) {
            alerting::hold(tx, alert, now).await?;
        }
        if used.is_none() && known.is_some_and(|it| it.used.is_some()) {
            let key = alerts::used_key(self.fingerprint);
            alerting::resolve(tx, &key, "The policy only warns of it.", now).await?;
        }
        if missed.is_none() && known.is_some_and(|it| it.missed.is_some()) {
            let key = alerts::missed_key(self.fingerprint);
            alerting::resolve(tx, &key, "The policy gives it more time.", now).await?;
        }
        if held.is_none() && known.is_some_and(|it| it.held.is_some()) {
            let key = alerts::held_key(self.fingerprint);
            alerting::resolve(tx, &key, "It can be revoked.", now).await?;
        }
        rows::keep(tx, self.fingerprint, &now_told).await?;
        Ok(true)
    }

    async fn revoke(&self, tx: &mut Tx, host: &str, now: Timestamp) -> sqlx::Result<()> {
        let (kind, wire) = wire::find(self.store, self.fingerprint)
            .await?
            .unwrap_or_default();
        let generation = revoked::next(tx, now).await?;
        let comment = self.places.iter().map(|one| one.comment.to_string());
        let one = Revoked {
            fingerprint: self.fingerprint.to_owned(),
            kind,
            wire,
            reason: format!("older than the policy allows; told of since {}", self.since),
            author: AUTHOR.to_owned(),
            at: now,
            comment: comment
                .filter(|it| !it.is_empty())
                .min()
                .unwrap_or_default(),
            person: escaped(self.owner),
            generation,
        };
        revoked::revoke_by(tx, &one, Cause::Policy(host)).await?;
        tracing::warn!(
            key = self.fingerprint,
            "revoked: it is older than the policy allows"
        );
        Ok(())
    }
}

impl Standing {
    fn place(&self, policy: &Policy) -> Place {
        let policy = policy.of(&self.host);
        Place {
            name: self.name(),
            retire: policy.retire,
            shadow: policy.shadow.duration(),
            deadline: policy.deadline.map(Span::duration),
            due_at: self.due_at,
        }
    }
}

/// Ends what is told of a key.
async fn end(
    tx: &mut Tx,
    (fingerprint, known): (&str, &Retiring),
    now: Timestamp,
) -> sqlx::Result<()> {
    let over = "It is revoked, gone, or not too old any more.";
    for (told, key) in [
        (&known.used, alerts::used_key(fingerprint)),
        (&known.held, alerts::held_key(fingerprint)),
        (&known.missed, alerts::missed_key(fingerprint)),
    ] {
        if told.is_some() {
            alerting::resolve(tx, &key, over, now).await?;
        }
    }
    rows::forget(tx, fingerprint).await
}

/// Why it cannot be revoked: an account would have no other way in that somebody ever came by.
async fn alone(
    store: &Store,
    fingerprint: &str,
    revoked: &BTreeSet<String>,
    now: Timestamp,
) -> sqlx::Result<Option<String>> {
    let mut ways = way::beside(store, fingerprint).await?;
    ways.retain(|one| one.is(fingerprint) || one.used_at.is_some());
    let revoking = BTreeSet::from([fingerprint.to_owned()]);
    let alone = lonely(&ways, (&revoking, revoked), now);
    let names: Vec<_> = alone
        .iter()
        .map(|one| format!("{}@{}", one.account, one.host))
        .collect();
    Ok((!names.is_empty()).then(|| {
        let names = few(&names);
        format!(
            "Nobody ever came into {names} by anything else. Log in there once with another key."
        )
    }))
}

/// Clients would refuse that host, and any host can say of another's key that it opens something.
fn known(host: &str) -> String {
    let host = Foreign::from(host).shortened(40);
    format!("It is the key that {host} shows: only somebody can revoke it.")
}

fn kept(places: &[String]) -> String {
    format!(
        "What is revoked is revoked everywhere, and the policy lets it open {} for now.",
        few(places)
    )
}
