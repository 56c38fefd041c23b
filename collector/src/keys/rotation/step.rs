//! A step of a rotation is carried out: what it becomes, and what follows from it, in one transaction.

use watchward_protocol::time::Timestamp;

use super::next::Observed;
use super::state::{Rotation, Step};
use crate::keys::proof::{Revoked, fingerprint};
use crate::keys::rows::cause::Cause;
use crate::keys::rows::revoked;
use crate::keys::rows::rotation::{self as rows, Known};
use crate::store::{Store, Tx};

/// Who revokes, as people read it.
pub(in crate::keys) const AUTHOR: &str = "rotation";

/// Has a step happen, all of it or nothing; says whether it did.
pub(super) async fn carry_out(
    store: &Store,
    (rotation, seen): (&Rotation, &Observed),
    step: &Step,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let after = rotation.clone().after(step, now);
    let mut tx = store.begin().await?;
    if !rows::keep(&mut tx, &after).await? {
        return Ok(false);
    }
    match step {
        Step::Add(hosts) => add(&mut tx, (&after, seen), hosts, now).await?,
        Step::Revoke | Step::Expire => revoke(&mut tx, rotation, now).await?,
        Step::Seal => {
            let serials = after.serials().into_iter().collect();
            rows::forget_places(&mut tx, &after.name, &serials).await?;
        }
        Step::Wait(_)
        | Step::Adopt(..)
        | Step::Begin
        | Step::Learn(_)
        | Step::Prove(_)
        | Step::Switch
        | Step::Use
        | Step::Refuse(_)
        | Step::Destroy
        | Step::Remake => {}
    }
    let old = rotation.old.as_ref().map(|key| fingerprint(&key.wire));
    let told = (&*words(step, &after), old.as_deref().unwrap_or_default());
    // What ends belongs to the rotation that ends.
    let of = if *step == Step::Seal {
        rotation
    } else {
        &after
    };
    rows::remember(&mut tx, of, told, now).await?;
    tx.commit().await?;
    let (name, phase) = (&after.name, after.phase.word());
    tracing::info!(rotation = name, phase, "{}", words(step, &after));
    Ok(true)
}

/// What a step is called in the history.
fn words(step: &Step, after: &Rotation) -> String {
    let serial = after
        .new
        .as_ref()
        .or(after.old.as_ref())
        .map_or(0, |key| key.serial);
    match step {
        Step::Adopt(serial, _) => format!("key {serial}, which the client has, was taken over"),
        Step::Begin => match &after.wished_by {
            Some(who) => format!("{who} wanted it now: the client is to make key {serial}"),
            None => format!("the client is to make key {serial}"),
        },
        Step::Remake => format!("the client lost the new key, and is to make key {serial}"),
        Step::Learn(_) => format!("the client made key {serial}"),
        Step::Add(hosts) => format!("key {serial} goes to {}", hosts.join(", ")),
        Step::Switch => format!("key {serial} is proven: the client is to use it"),
        Step::Use => format!("the client uses key {serial}"),
        Step::Revoke => "the old key is revoked".to_owned(),
        Step::Expire => "the deadline has passed: the old key is revoked".to_owned(),
        Step::Destroy => {
            "every host that is heard refuses the old key: the client is to destroy it".to_owned()
        }
        Step::Seal => format!("done: key {serial} is the only one"),
        Step::Wait(_) | Step::Prove(_) | Step::Refuse(_) => String::new(),
    }
}

async fn add(
    tx: &mut Tx,
    (after, seen): (&Rotation, &Observed),
    hosts: &[String],
    now: Timestamp,
) -> sqlx::Result<()> {
    let serial = after.new.as_ref().map_or(0, |key| key.serial);
    for place in seen.places.iter().filter(|it| hosts.contains(&it.at.host)) {
        let known = Known {
            added_at: Some(now),
            ..Known::default()
        };
        rows::keep_place(tx, (&after.name, &place.at, serial), &known).await?;
    }
    Ok(())
}

/// The old key opens nothing any more, anywhere.
async fn revoke(tx: &mut Tx, rotation: &Rotation, now: Timestamp) -> sqlx::Result<()> {
    let Some(key) = &rotation.old else {
        return Ok(());
    };
    let generation = revoked::next(tx, now).await?;
    let one = Revoked {
        fingerprint: fingerprint(&key.wire),
        kind: kind(&key.wire),
        wire: key.wire.clone(),
        reason: format!("rotated: another key of {} takes its place", rotation.name),
        author: AUTHOR.to_owned(),
        at: now,
        comment: format!("{} of {}", rotation.name, rotation.client),
        person: String::new(),
        generation,
    };
    revoked::revoke_by(tx, &one, Cause::Rotation).await?;
    Ok(())
}

/// How a key as it is on the wire names its type.
fn kind(wire: &[u8]) -> String {
    let name = wire.split_first_chunk().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.get(..length)
    });
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}
