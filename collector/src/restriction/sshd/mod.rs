//! Whom sshd itself lets in on each host: what changed of that, and by which ports it goes round gates.

mod alerts;
mod judge;
mod pages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Mode, News, Restriction, Sshd};
use watchward_protocol::time::Timestamp;

use super::plan::few;
use super::rows::sshd::{self as rows, Kept};
use super::rows::standing::{self, Standing};
use super::{Config, Policy, Table};
use crate::alerting;
use crate::intake::{Heard, Host};
use crate::store::{Store, Tx};

pub(super) use judge::doors;
pub(super) use pages::part;

/// Keeps what hosts tell of their sshd, and tells of what changed.
pub(super) async fn absorb(
    tx: &mut Tx,
    heard: &[Heard<Restriction>],
    rules: (&Policy, &Config),
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut last: BTreeMap<HostId, (&Host, Timestamp, &Sshd)> = BTreeMap::new();
    for Heard { host, report, .. } in heard {
        if let News::Sshd(sshd) = &report.news {
            last.insert(host.id, (host, report.at.min(now), sshd));
        }
    }
    for (host, at, sshd) in last.into_values() {
        hear(tx, (host, at), sshd, rules, now).await?;
    }
    Ok(())
}

async fn hear(
    tx: &mut Tx,
    (host, at): (&Host, Timestamp),
    sshd: &Sshd,
    (policy, config): (&Policy, &Config),
    now: Timestamp,
) -> sqlx::Result<()> {
    let known = rows::find(tx, host.id).await?;
    let before = known.as_ref();
    let before = before.map_or_else(Vec::new, |it| judge::changes(&it.accepted, &it.lines));
    let lines = judge::lines(sshd);
    let (accepted, uncovered) =
        known.map_or_else(Default::default, |it| (it.accepted, it.uncovered));
    let mut kept = Kept {
        host: host.id,
        host_name: host.name.clone(),
        at,
        lines,
        accepted,
        uncovered,
    };
    // What is heard first is how it was. Where there is no sshd any more, it lets nobody in.
    if kept.accepted.is_empty() {
        kept.accepted.clone_from(&kept.lines);
    }
    let changes = match kept.lines.is_empty() {
        true => Vec::new(),
        false => judge::changes(&kept.accepted, &kept.lines),
    };
    judge::accept_ordered(&mut kept.accepted, &kept.lines);
    let key = alerts::changed_key(host.id);
    if changes.is_empty() {
        if !kept.lines.is_empty() {
            kept.accepted.clone_from(&kept.lines);
        }
        alerting::resolve(tx, &key, "It is as it was.", now).await?;
        standing::remove(tx, &key).await?;
    } else {
        let is_more = changes.iter().any(|change| !before.contains(change));
        if is_more && !before.is_empty() {
            alerting::resolve(tx, &key, "It has changed again.", now).await?;
        }
        let alert = alerts::changed(&kept, &changes, config.settle);
        alerting::raise(tx, &alert, now).await?;
        if is_more {
            let standing = Standing {
                key,
                since: alert.since,
                count: 1,
                over_at: now + config.settle.duration(),
                ending: format!("It counts as accepted after {}.", config.settle),
            };
            standing::keep(tx, &standing).await?;
        }
    }
    cover(tx, &mut kept, policy, now).await?;
    rows::keep(tx, &kept).await
}

/// Tells of ports at which sshd listens and that no rule is about, though one is about SSH.
async fn cover(tx: &mut Tx, kept: &mut Kept, policy: &Policy, now: Timestamp) -> sqlx::Result<()> {
    let gates = policy.table.gates(&kept.host_name, now, now);
    let open = judge::uncovered(&gates, &kept.lines);
    for (port, _) in &kept.uncovered {
        if !open.iter().any(|(one, _)| one == port) {
            let key = alerts::port_key(kept.host, *port);
            let why = "A rule is about it, or sshd does not listen there any more.";
            alerting::resolve(tx, &key, why, now).await?;
        }
    }
    for one in open.iter().filter(|one| !kept.uncovered.contains(one)) {
        let alert = alerts::port(kept, *one, (&gates, now));
        alerting::raise(tx, &alert, now).await?;
    }
    kept.uncovered = open;
    Ok(())
}

/// Judges all hosts by a policy that is another now; says whether anything came of it.
pub(super) async fn rule(store: &Store, policy: &Policy, now: Timestamp) -> sqlx::Result<bool> {
    let mut told = false;
    for kept in rows::all(store).await? {
        let gates = policy.table.gates(&kept.host_name, now, now);
        if judge::uncovered(&gates, &kept.lines) == kept.uncovered {
            continue;
        }
        let mut tx = store.begin().await?;
        if let Some(mut kept) = rows::find(&mut tx, kept.host).await? {
            cover(&mut tx, &mut kept, policy, now).await?;
            rows::keep(&mut tx, &kept).await?;
        }
        tx.commit().await?;
        told = true;
    }
    Ok(told)
}

/// Which hosts have their sshd at another port than usual behind a gate that is shut: their guard files
/// have to name it, or a key lets nobody pass.
///
/// # Errors
/// The database's.
pub async fn behind_gates(
    store: &Store,
    table: &Table,
    now: Timestamp,
) -> sqlx::Result<Vec<String>> {
    let mut hosts: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for kept in rows::all(store).await? {
        let gates = table.gates(&kept.host_name, now, now).gates;
        let shut = gates.iter().filter(|gate| gate.mode == Mode::Enforce);
        let shut: Vec<_> = shut.collect();
        let doors = doors(&kept.lines).into_iter();
        for port in doors.filter(|port| *port != USUAL) {
            if shut.iter().any(|gate| judge::is_before(gate, port)) {
                hosts.entry(port).or_default().push(kept.host_name.clone());
            }
        }
    }
    let notices = hosts.into_iter().map(|(port, mut hosts)| {
        hosts.sort_unstable();
        format!(
            "sshd listens on port {port} of {}: whoever signed in there with a key lately passes the gate \
             only if `signing_in` in /etc/watchward/guard.toml there names \"{port}/tcp\"; \
             `watchward-enforcer check` says whether it does",
            few(&hosts)
        )
    });
    Ok(notices.collect())
}

/// Where sshd usually is, which guard files name by themselves.
const USUAL: u16 = 22;

/// Accepts how it is where the incident with this key has stood for long enough.
pub(super) async fn over(tx: &mut Tx, key: &str) -> sqlx::Result<()> {
    match alerts::changed_of(key) {
        Some(host) => rows::accept(tx, host).await,
        None => Ok(()),
    }
}

/// Ends what is told of a host that is revoked, and forgets it.
pub(super) async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    let kept = rows::find(tx, host).await?;
    let ports = kept.into_iter().flat_map(|it| it.uncovered);
    let mut keys: Vec<_> = ports
        .map(|(port, _)| alerts::port_key(host, port))
        .collect();
    keys.push(alerts::changed_key(host));
    for key in keys {
        alerting::resolve(tx, &key, "The host was revoked.", now).await?;
        standing::remove(tx, &key).await?;
    }
    rows::forget(tx, host).await
}
