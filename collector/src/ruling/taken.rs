//! From the policy's file to a version: only a file that has changed brings one, so that a start does
//! not undo what somebody applied.

use watchward_protocol::time::Timestamp;

use super::basis::{Basis, Brought};
use super::objection::{Objection, prospect};
use crate::config::Policy;
use crate::policy::versions::{self, New, Version, Whole};
use crate::store::Store;

/// What the file has nothing in that is not there.
const ABSENT: &str = "";

/// Who brought a version that came by the file.
const AUTHOR: &str = "policy.toml";

/// Takes the file, if it has changed since it was taken last.
///
/// # Errors
/// What it says makes no sense, or the database's.
pub(super) async fn take(
    store: &Store,
    basis: &Basis,
    now: Timestamp,
) -> anyhow::Result<Option<Version>> {
    let brought = basis.brought()?;
    let (place, before) = (basis.place(), versions::taken(store, &basis.place()).await?);
    let digest = brought
        .as_ref()
        .map(|brought| versions::digest(&brought.text));
    let digest = digest.unwrap_or_else(|| ABSENT.to_owned());
    if before.as_ref() == Some(&digest) {
        return Ok(None);
    }
    let last = versions::up_to(store, i64::MAX).await?;
    let newest = last.as_ref().map(|last| &last.version);
    let new = match brought {
        Some(brought) if counts(&brought, &digest, (before.is_some(), newest)) => {
            new(store, basis, brought, (last.as_ref(), now)).await?
        }
        Some(_) => None,
        None => {
            if newest.is_some() && before.is_some() {
                let file = basis.file.display();
                tracing::warn!(%file, "the policy's file is gone; the policy in force stays");
            }
            None
        }
    };
    let mut tx = store.begin().await?;
    let version = match &new {
        Some(new) => Some(versions::add(&mut tx, new, now).await?),
        None => None,
    };
    versions::take(&mut tx, &place, &digest, now).await?;
    tx.commit().await?;
    Ok(version)
}

/// Whether it is to come into force. A file that was never looked at is older than what others have
/// brought, as far as can be known.
fn counts(brought: &Brought, digest: &str, (known, newest): (bool, Option<&Version>)) -> bool {
    let Some(newest) = newest else {
        return true;
    };
    if newest.sha256 == digest {
        return false;
    }
    if !known {
        tracing::warn!(
            file = %brought.named.display(),
            policy.version = newest.number,
            "the policy's file says something else than the version in force, which stays; \
             `watchward policy apply` brings the file into force, and so does a change of it"
        );
    }
    known
}

/// The version that the file brings. None, if somebody has applied a policy and the file rules nothing:
/// a package that brings another example is no wish to open every gate.
async fn new(
    store: &Store,
    basis: &Basis,
    brought: Brought,
    (last, now): (Option<&Whole>, Timestamp),
) -> anyhow::Result<Option<New>> {
    let policy = basis.read(&brought.text, &brought.named)?;
    let applied = last.is_some_and(|last| last.version.author != AUTHOR);
    if applied && policy == Policy::default() {
        tracing::warn!(
            file = %brought.named.display(),
            "the policy's file rules nothing, and what was applied stays; to rule nothing, apply it"
        );
        return Ok(None);
    }
    // One that cannot be read any more is followed by whoever mends that.
    let last = last.and_then(|last| basis.read(&last.text, &brought.named).ok());
    let sides = (&last.unwrap_or_default(), &policy);
    let prospect = prospect(store, sides, (basis, &brought), now).await?;
    if !prospect.objections.is_empty() {
        let why = prospect.objections.join("\n");
        let file = brought.named.display();
        return Err(Objection(format!(
            "{why}\nIt does not come into force. If it is meant: `watchward policy apply --even-so {file}`"
        ))
        .into());
    }
    let signer = basis.signer(&brought, now)?;
    Ok(Some(New {
        author: AUTHOR.to_owned(),
        note: String::new(),
        signature: signer.is_some().then_some(brought.signature).flatten(),
        text: brought.text,
        signer,
        back_to: None,
    }))
}
