//! Whether a key that a client says is its own can be nobody else's. A client that was broken into says
//! what it likes: what it says may neither open anything for another key nor have that revoked.

use watchward_protocol::text::escaped;

use super::look::Facts;
use super::state::{Pending, Rotation, Step};
use crate::keys::authority;
use crate::keys::policy::Policy;
use crate::keys::proof::fingerprint;
use crate::keys::rows::claim::{Other, other};
use crate::store::Store;

/// How every key begins that a client makes: its type and the length of what follows (RFC 8709).
const ED25519: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
/// How long it is in all, in bytes.
const LENGTH: usize = ED25519.len() + 32;

/// Whether it is written as every key is that a client makes, and in no other way.
pub(super) fn is_plain(wire: &[u8]) -> bool {
    wire.len() == LENGTH && wire.starts_with(ED25519)
}

/// The step, or why it is not taken: the key that it is about is not the client's alone.
pub(super) async fn judge(
    store: &Store,
    (policy, facts): (&Policy, &Facts),
    rotation: &Rotation,
    step: Step,
) -> sqlx::Result<(Step, Option<String>)> {
    let Some(wire) = claimed(rotation, &step) else {
        return Ok((step, None));
    };
    let taken = matches!(step, Step::Adopt(..) | Step::Learn(_));
    let whose = match held_by(policy, facts, (rotation, wire), taken) {
        Some(whose) => Some(whose),
        None => known(store, &fingerprint(wire)).await?,
    };
    let Some(whose) = whose else {
        return Ok((step, None));
    };
    let name = fingerprint(wire);
    let why = match taken {
        true => format!("it says that the key {name} is its own, but {whose}"),
        false => format!("the old key {name} is not revoked: {whose}"),
    };
    let pending = Pending {
        host: rotation.client.clone(),
        why: why.clone(),
        usual: false,
    };
    Ok((Step::Wait(vec![pending]), Some(why)))
}

/// The key that a step takes for the client's, with all that follows.
fn claimed<'a>(rotation: &'a Rotation, step: &'a Step) -> Option<&'a [u8]> {
    match step {
        Step::Adopt(_, wire) | Step::Learn(wire) => Some(wire),
        Step::Revoke | Step::Expire if !rotation.revoked => {
            rotation.old.as_ref().map(|key| key.wire.as_slice())
        }
        Step::Revoke
        | Step::Expire
        | Step::Wait(_)
        | Step::Begin
        | Step::Add(_)
        | Step::Prove(_)
        | Step::Switch
        | Step::Use
        | Step::Refuse(_)
        | Step::Destroy
        | Step::Seal
        | Step::Remake => None,
    }
}

/// Whose it is as the policy and other rotations say; `taken`: it is not the client's yet.
fn held_by(
    policy: &Policy,
    facts: &Facts,
    (rotation, wire): (&Rotation, &[u8]),
    taken: bool,
) -> Option<String> {
    if !is_plain(wire) {
        return Some("it is no plain ssh-ed25519 key".to_owned());
    }
    let name = fingerprint(wire);
    let owner = policy.owner(&name);
    if !owner.is_empty() {
        return Some(format!("it is {}'s, as the policy says", escaped(owner)));
    }
    if policy.is_guarded(&name) {
        return Some("it is a break-glass key or a canary, as the policy says".to_owned());
    }
    let keys = |it: &Rotation| [&it.old, &it.new].map(|key| key.as_ref().map(|it| it.wire.clone()));
    let has = |it: &Rotation| keys(it).iter().flatten().any(|key| key == wire);
    let others = facts.rotations.values();
    let mut others = others.filter(|it| (taken || it.name != rotation.name) && has(it));
    let other = others.next()?;
    Some(format!("it is the key {} of {}", other.name, other.client))
}

/// Whose it is as far as anything is kept of it.
async fn known(store: &Store, name: &str) -> sqlx::Result<Option<String>> {
    if authority::was_ever(store, name).await? {
        return Ok(Some("it is an authority of certificates".to_owned()));
    }
    let other = other(store, name).await?;
    Ok(other.map(|other| match other {
        Other::Given(person) => format!("{} was given a certificate for it", escaped(&person)),
        Other::Revoked => "it is revoked".to_owned(),
        Other::Stands(host) => format!("it stands on {host} where nobody ordered it"),
    }))
}
