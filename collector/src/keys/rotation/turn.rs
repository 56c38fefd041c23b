//! One look at every rotation: what is next is done, as far as nobody has to be asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::IpNet;
use watchward_daemon::clock;
use watchward_protocol::identities::{Identities, Identity};
use watchward_protocol::time::Timestamp;

use super::claim;
use super::look::{Facts, alone};
use super::next::{Observed, next, pending};
use super::policy::{Machine, Missed};
use super::state::{At, Key, Pending, Phase, Rotation, Step, Used};
use super::step::carry_out;
use super::{Rooms, alerts};
use crate::keys::authority;
use crate::keys::policy::Policy;
use crate::keys::proof::fingerprint;
use crate::keys::rows::opening;
use crate::keys::rows::rotation::{self as rows, Known};
use crate::store::Store;

/// So long after the policy ceased to speak of a key it is destroyed on the client: a slip of the pen
/// costs nothing that could not be had again.
const FORGOTTEN: Duration = Duration::from_secs(86_400);
/// So long after nobody could be asked, it is tried again.
const SOON: Duration = Duration::from_secs(2);
/// So many steps one look takes.
const STEPS: usize = 8;

/// What came of a look.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Each rotation, with what is waited for.
    pub(super) stands: Vec<Stands>,
    /// What has to be tried from a client.
    pub(super) tries: Vec<Try>,
    /// What every client is to have.
    pub(super) owned: BTreeMap<String, Identities>,
    /// Whether something was revoked.
    pub(super) revoked: bool,
    pub(super) facts: Option<Facts>,
}

/// How a rotation stands.
#[derive(Clone, Debug)]
pub(super) struct Stands {
    pub(super) machine: Machine,
    pub(super) rotation: Rotation,
    pub(super) pending: Vec<Pending>,
    /// Why a key that the client says is its own is not taken for it.
    pub(super) claim: Option<String>,
    /// Where the old key was used since the client uses the new.
    pub(super) used: Vec<Used>,
}

/// Something that a client tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) name: String,
    pub(super) client: String,
    pub(super) at: At,
    /// Whether it is that the old key is refused; else that the new one opens.
    pub(super) refusal: bool,
    pub(super) old: Option<(u32, Vec<u8>)>,
    pub(super) new: (u32, Vec<u8>),
    /// From where the keys open.
    pub(super) from: Vec<IpNet>,
    pub(super) known: Known,
}

/// Looks once.
pub(super) async fn look(
    store: &Store,
    (policy, rooms): (&Policy, &Rooms),
) -> sqlx::Result<Looked> {
    let mut looked = Looked::default();
    for _ in 0..STEPS {
        let now = clock::now();
        let facts = Facts::read(store, rooms, !policy.machines.is_empty()).await?;
        looked.stands.clear();
        looked.tries.clear();
        let mut changed = forget(store, (policy, &facts), now).await?;
        for machine in &policy.machines {
            changed |= one(store, (policy, machine, &facts), &mut looked, now).await?;
        }
        looked.owned = owned(policy, &facts, now);
        looked.facts = Some(facts);
        if !changed {
            break;
        }
    }
    if !looked.owned.is_empty() {
        let lines = known_hosts(store, policy).await?;
        let owned = looked.owned.values_mut();
        owned.for_each(|it| it.known_hosts.clone_from(&lines));
    }
    let now = clock::now();
    alerts::tell(store, &looked.stands, now).await?;
    Ok(looked)
}

/// How every rotation stands, without anything being done.
pub(super) async fn stands(
    store: &Store,
    (policy, rooms): (&Policy, &Rooms),
    now: Timestamp,
) -> sqlx::Result<Vec<Stands>> {
    let facts = Facts::read(store, rooms, !policy.machines.is_empty()).await?;
    let mut all = Vec::new();
    for machine in &policy.machines {
        let known = facts.rotations.get(machine.name());
        let rotation = known
            .cloned()
            .unwrap_or_else(|| Rotation::new(machine, now));
        let seen = facts.observe(machine, &rotation, &BTreeSet::new());
        let step = next(&rotation, (machine, &seen), now);
        let step = spare(policy, &rotation, step);
        let (step, claim) = claim::judge(store, (policy, &facts), &rotation, step).await?;
        all.push(Stands {
            pending: waits(&step, (&rotation, &seen)),
            claim,
            used: Vec::new(),
            machine: machine.clone(),
            rotation,
        });
    }
    Ok(all)
}

/// A key for emergencies is out of reach: what it has come into stands still until the policy says
/// something else.
fn spare(policy: &Policy, rotation: &Rotation, step: Step) -> Step {
    let keys = [&rotation.old, &rotation.new];
    let mut keys = keys.into_iter().flatten();
    let spared = keys.find_map(|key| policy.break_glass(&fingerprint(&key.wire)));
    match spared {
        None => step,
        Some(name) => Step::Wait(vec![Pending {
            host: rotation.client.clone(),
            why: format!(
                "its key is the break-glass key {name}, which is neither replaced nor revoked"
            ),
            usual: false,
        }]),
    }
}

/// Who is waited for, and why.
fn waits(step: &Step, (rotation, seen): (&Rotation, &Observed)) -> Vec<Pending> {
    match step {
        Step::Wait(pending) => pending.clone(),
        Step::Prove(_) | Step::Refuse(_) => pending(rotation, seen),
        Step::Adopt(..)
        | Step::Begin
        | Step::Learn(_)
        | Step::Add(_)
        | Step::Switch
        | Step::Use
        | Step::Revoke
        | Step::Expire
        | Step::Destroy
        | Step::Seal
        | Step::Remake => Vec::new(),
    }
}

/// What is next of one; says whether something was kept.
async fn one(
    store: &Store,
    (policy, machine, facts): (&Policy, &Machine, &Facts),
    looked: &mut Looked,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let known = facts.rotations.get(machine.name());
    let mut rotation = known
        .cloned()
        .unwrap_or_else(|| Rotation::new(machine, now));
    let moved = rotation.move_to(facts.from(machine), machine, now);
    let is_back = rotation.gone_at.take().is_some();
    let overdue = machine.missed == Missed::Revoke && now >= rotation.deadline(machine);
    let only = match overdue && rotation.phase < Phase::Shadow {
        true => alone(store, &rotation, now).await?,
        false => BTreeSet::new(),
    };
    let seen = facts.observe(machine, &rotation, &only);
    let step = next(&rotation, (machine, &seen), now);
    let step = spare(policy, &rotation, step);
    let (step, claim) = claim::judge(store, (policy, facts), &rotation, step).await?;
    let tried = tries(&rotation, &step, facts, now);
    let asks = matches!(step, Step::Prove(_) | Step::Refuse(_));
    let is_new = known.is_none() || moved || is_back;
    let changed = match matches!(step, Step::Wait(_)) || asks {
        true if is_new => kept(store, &rotation).await?,
        true => false,
        false => {
            looked.revoked |= matches!(step, Step::Revoke | Step::Expire);
            carry_out(store, (&rotation, &seen), &step, now).await?
        }
    };
    looked.tries.extend(tried);
    looked.stands.push(Stands {
        machine: machine.clone(),
        pending: waits(&step, (&rotation, &seen)),
        claim,
        used: used(store, &rotation).await?,
        rotation,
    });
    Ok(changed)
}

/// Where the old key was used since the client uses the new.
async fn used(store: &Store, rotation: &Rotation) -> sqlx::Result<Vec<Used>> {
    match &rotation.old {
        Some(key) if rotation.phase == Phase::Shadow => {
            opening::used_since(store, &fingerprint(&key.wire), rotation.since).await
        }
        Some(_) | None => Ok(Vec::new()),
    }
}

async fn kept(store: &Store, rotation: &Rotation) -> sqlx::Result<bool> {
    let mut tx = store.begin().await?;
    let kept = rows::keep(&mut tx, rotation).await?;
    tx.commit().await?;
    Ok(kept)
}

/// What the client has to try now.
fn tries(rotation: &Rotation, step: &Step, facts: &Facts, now: Timestamp) -> Vec<Try> {
    let refusal = matches!(step, Step::Refuse(_));
    let (Step::Prove(places) | Step::Refuse(places)) = step else {
        return Vec::new();
    };
    let Some(new) = &rotation.new else {
        return Vec::new();
    };
    let key = |key: &Key| (key.serial, key.wire.clone());
    let old = rotation.old.as_ref().map(key);
    let tried = match (&old, refusal) {
        (Some((serial, _)), true) => *serial,
        _ => new.serial,
    };
    let places = places.iter().filter_map(|at| {
        let known = facts
            .places
            .get(&(rotation.name.clone(), at.clone(), tried));
        let known = known.cloned().unwrap_or_default();
        known.is_due(now).then(|| Try {
            name: rotation.name.clone(),
            client: rotation.client.clone(),
            at: at.clone(),
            refusal,
            old: old.clone(),
            new: key(new),
            from: rotation.from.clone(),
            known,
        })
    });
    places.collect()
}

/// Rotations that the policy does not speak of: after a while nothing is kept of them.
async fn forget(
    store: &Store,
    (policy, facts): (&Policy, &Facts),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let mut changed = false;
    for rotation in facts.rotations.values() {
        if policy.machines.iter().any(|it| it.name() == rotation.name) {
            continue;
        }
        if rotation.gone_at.is_some_and(|at| now < at + FORGOTTEN) {
            continue;
        }
        let mut tx = store.begin().await?;
        alerts::forget(&mut tx, &rotation.name, now).await?;
        match rotation.gone_at {
            None => {
                let mut gone = rotation.clone();
                gone.gone_at = Some(now);
                changed |= rows::keep(&mut tx, &gone).await?;
            }
            Some(_) => {
                rows::forget(&mut tx, &rotation.name).await?;
                changed = true;
            }
        }
        tx.commit().await?;
    }
    Ok(changed)
}

/// What every client is to have. Beware: what is not in it is destroyed there, so nothing is said to
/// one that may have a key of which it has not told yet.
fn owned(policy: &Policy, facts: &Facts, now: Timestamp) -> BTreeMap<String, Identities> {
    let mut owned: BTreeMap<String, Identities> = BTreeMap::new();
    let mut unsure = BTreeSet::new();
    for rotation in facts.rotations.values() {
        let machine = policy.machines.iter().find(|it| it.name() == rotation.name);
        let serials = rotation.serials();
        if serials.is_empty() {
            if machine.is_some_and(|it| now < rotation.due(it)) {
                unsure.insert(rotation.client.clone());
            }
            continue;
        }
        let identity = Identity {
            name: rotation.name.clone(),
            account: rotation.user.clone(),
            using: rotation.using(),
            serials,
        };
        let all = owned.entry(rotation.client.clone()).or_default();
        all.identities.push(identity);
    }
    owned.retain(|client, all| !unsure.contains(client) && all.sound());
    owned
}

/// How clients know the hosts that they log in to: as much of it as there is room for.
async fn known_hosts(store: &Store, policy: &Policy) -> sqlx::Result<Vec<String>> {
    let mut lines = authority::known_hosts(store, policy).await?;
    let many = lines.len();
    lines.retain(|it| Identities::fits(std::slice::from_ref(it)));
    while !Identities::fits(&lines) {
        lines.truncate(lines.len() - lines.len().div_ceil(8));
    }
    if lines.len() < many {
        let left_out = many - lines.len();
        tracing::error!(
            left_out,
            "machines' clients are not told all lines by which hosts are known"
        );
    }
    Ok(lines)
}

impl Known {
    /// Whether it is time to try, the longer after the last time the more often sshd said no.
    fn is_due(&self, now: Timestamp) -> bool {
        let exponent = u32::try_from(self.tries).unwrap_or(u32::MAX).min(7);
        let wait = match exponent {
            0 => SOON,
            _ => Duration::from_secs(5 << exponent).min(Duration::from_secs(600)),
        };
        self.tried_at.is_none_or(|at| at + wait <= now)
    }
}
