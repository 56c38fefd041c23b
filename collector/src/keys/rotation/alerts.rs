//! What people are told of rotations: ahead, when one is stuck, and when one is missed.

use std::collections::BTreeSet;
use std::time::Duration;

use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::policy::Missed;
use super::state::Phase;
use super::turn::Stands;
use crate::alerting::{self, Alert, Severity};
use crate::keys::proof::fingerprint;
use crate::keys::rows::rotation as rows;
use crate::store::{Store, Tx};

/// So long a step may take on hosts that are heard, before somebody hears of it.
const GRACE: Duration = Duration::from_secs(600);
/// How many hosts are named.
const NAMED: usize = 20;
/// Every kind of incident that is about one rotation.
const KINDS: [&str; 5] = [
    "keys.rotation-soon",
    "keys.rotation-stuck",
    "keys.rotation-missed",
    "keys.rotation-shadow",
    "keys.rotation-claim",
];

/// Tells what is new, and ends what is over.
pub(super) async fn tell(store: &Store, all: &[Stands], now: Timestamp) -> sqlx::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let before = rows::told(store).await?;
    for one in all {
        let name = &one.rotation.name;
        let alerts = alerts(one, now);
        let keys: BTreeSet<String> = alerts.iter().map(|it| it.key.clone()).collect();
        let none = BTreeSet::new();
        let told = before.get(name).unwrap_or(&none);
        if *told == keys && are_held(store, &alerts).await? {
            continue;
        }
        let mut tx = store.begin().await?;
        for alert in &alerts {
            alerting::hold(&mut tx, alert, now).await?;
        }
        for key in told.difference(&keys) {
            alerting::resolve(&mut tx, key, "The rotation goes on.", now).await?;
        }
        rows::tell(&mut tx, name, &keys).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Whether people can read all of this already.
async fn are_held(store: &Store, alerts: &[Alert]) -> sqlx::Result<bool> {
    for alert in alerts {
        if !alerting::is_held(store, alert).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends what is open about a rotation that there is not any more.
pub(super) async fn forget(tx: &mut Tx, name: &str, now: Timestamp) -> sqlx::Result<()> {
    let told = rows::told_of(tx, name).await?;
    for key in told {
        alerting::resolve(tx, &key, "The policy does not speak of it any more.", now).await?;
    }
    rows::tell(tx, name, &BTreeSet::new()).await
}

/// What should be open about one.
fn alerts(one: &Stands, now: Timestamp) -> Vec<Alert> {
    let alerts = [
        soon(one, now),
        stuck(one, now),
        missed(one, now),
        used(one),
        claimed(one, now),
    ];
    alerts.into_iter().flatten().collect()
}

/// It begins before long.
fn soon(one: &Stands, now: Timestamp) -> Option<Alert> {
    let (rotation, machine) = (&one.rotation, &one.machine);
    let due = rotation.due(machine);
    let warn = due - machine.warn_ahead.duration();
    let idle = rotation.phase == Phase::Idle && rotation.old.is_some();
    (idle && warn <= now && now < due).then(|| Alert {
        key: format!("{} {}", KINDS[0], rotation.name),
        severity: Severity::Info,
        host: Some(rotation.client.clone()),
        title: format!("the key {} is replaced on {}", rotation.name, day(due)),
        detail: format!(
            "The key {} of {} opens {}. At {due} a new one takes its place, by itself; nobody has to \
             do anything.",
            rotation.name,
            rotation.client,
            machine.accounts().join(", "),
        ),
        advice: format!("`watchward rotation now {}` replaces it before.", rotation.name),
        since: now,
    })
}

/// Somebody has to do something for it to go on.
fn stuck(one: &Stands, now: Timestamp) -> Option<Alert> {
    let rotation = &one.rotation;
    let held_up = || {
        one.pending
            .iter()
            .filter(|it| !it.usual || is_overdue(one, now))
    };
    let first = held_up().next()?;
    let begins = match rotation.phase == Phase::Idle {
        true => rotation.due(&one.machine),
        false => rotation.since,
    };
    (now >= begins + GRACE).then(|| Alert {
        key: format!("{} {}", KINDS[1], rotation.name),
        severity: Severity::Warning,
        host: Some(first.host.clone()),
        title: format!(
            "the key {} is not replaced: {}",
            rotation.name,
            short(&first.host)
        ),
        detail: format!("{}\n{}", stands(one), reasons(one)),
        advice: format!(
            "Put right what is named. `watchward rotation show {}` says how it stands.",
            rotation.name
        ),
        since: begins,
    })
}

/// Whether hosts that only take their time take too much of it.
fn is_overdue(one: &Stands, now: Timestamp) -> bool {
    let rotation = &one.rotation;
    let held = one
        .pending
        .iter()
        .all(|it| it.why.starts_with("it is silent"));
    !held && rotation.phase != Phase::Idle && now >= rotation.since + GRACE * 3
}

/// Its time is over.
fn missed(one: &Stands, now: Timestamp) -> Option<Alert> {
    let (rotation, machine) = (&one.rotation, &one.machine);
    let deadline = rotation.deadline(machine);
    let has_old = rotation.old.is_some() && rotation.phase < Phase::Revoking;
    let old = rotation.old.as_ref();
    let old = old.map(|key| fingerprint(&key.wire)).unwrap_or_default();
    let unrevoked = format!(
        "The old key is not revoked yet: `watchward rotation show {}` says why.",
        rotation.name
    );
    (has_old && now >= deadline).then(|| Alert {
        key: format!("{} {}", KINDS[2], rotation.name),
        severity: Severity::Critical,
        host: Some(rotation.client.clone()),
        title: format!("the key {} was to be replaced by {}", rotation.name, day(deadline)),
        detail: format!(
            "{}\n{}\n{}",
            stands(one),
            reasons(one),
            match (machine.missed, rotation.revoked) {
                (_, true) => "The old key is revoked, as the policy says: it opens nothing any more.",
                (Missed::Page, false) => "The old key works on, as the policy says.",
                (Missed::Revoke, false) => &unrevoked,
            }
        ),
        advice: format!(
            "`watchward rotation show {}` says what holds it up; `watchward revoke {old}` ends the old \
             key.",
            rotation.name
        ),
        since: deadline,
    })
}

/// The client says that a key is its own which is somebody else's.
fn claimed(one: &Stands, now: Timestamp) -> Option<Alert> {
    let rotation = &one.rotation;
    let why = one.claim.as_ref()?;
    let (name, client) = (&rotation.name, &rotation.client);
    Some(Alert {
        key: format!("{} {name}", KINDS[4]),
        severity: Severity::Critical,
        host: Some(client.clone()),
        title: format!("the key {name} of {} is not its own", short(client)),
        detail: format!(
            "{}\n{client}: {why}.\nThe rotation waits: it has no host take this key, and does not \
             revoke it.",
            stands(one)
        ),
        advice: format!(
            "Unless somebody copied it, {client} is broken into: look at it before anything else. \
             `watchward keys` says where the key stands. The rotation goes on when it is {client}'s \
             alone."
        ),
        since: now,
    })
}

/// Somebody still comes with the old key.
fn used(one: &Stands) -> Option<Alert> {
    let rotation = &one.rotation;
    let first = one.used.iter().min_by_key(|it| it.at)?;
    let lines: Vec<_> = one
        .used
        .iter()
        .map(|it| {
            let from = it.from.as_deref().unwrap_or("somewhere");
            format!("{}@{} from {from} at {}", it.account, it.host, it.at)
        })
        .collect();
    Some(Alert {
        key: format!("{} {}", KINDS[3], rotation.name),
        severity: Severity::Warning,
        host: Some(first.host.clone()),
        title: format!(
            "the old key {} is still used: {}",
            rotation.name,
            short(&first.host)
        ),
        detail: format!(
            "Since {} the programs of {} use a new key. Somebody came with the old one:\n{}",
            rotation.since,
            rotation.client,
            lines.join("\n")
        ),
        advice: format!(
            "See which program it is: it should use the `id` of {}. The old key is revoked when the \
             shadow is over.",
            rotation.name
        ),
        since: first.at,
    })
}

fn stands(one: &Stands) -> String {
    let rotation = &one.rotation;
    let phase = match rotation.phase == Phase::Idle {
        true => "it has not begun",
        false => rotation.phase.words(),
    };
    format!(
        "The key {} of {}: {phase}, since {}.",
        rotation.name, rotation.client, rotation.since
    )
}

fn reasons(one: &Stands) -> String {
    let named = one.pending.iter().take(NAMED);
    let lines: Vec<_> = named.map(|it| format!("{}: {}", it.host, it.why)).collect();
    match lines.is_empty() {
        true => "Nothing holds it up.".to_owned(),
        false => lines.join("\n"),
    }
}

fn short(host: &str) -> String {
    Foreign::from(host).shortened(20)
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
