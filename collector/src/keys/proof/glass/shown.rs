//! Break-glass keys as people see them: where each opens what it should, and where not.

use serde::Serialize;
use watchward_protocol::time::Timestamp;

use super::find;
use super::judge::{Glass, Lack};
use crate::keys::policy::Policy;
use crate::keys::rows::{glass as rows, revoked};
use crate::store::Store;

/// A break-glass key on a host. Safe for a terminal.
#[derive(Clone, Debug, Serialize)]
pub(in crate::keys) struct ShownGlass {
    pub(in crate::keys) name: String,
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) host: String,
    pub(in crate::keys) asked_at: Option<Timestamp>,
    /// When it was seen last to open all that it should.
    pub(in crate::keys) opened_at: Option<Timestamp>,
    pub(in crate::keys) opens: Vec<String>,
    pub(in crate::keys) lacks: Vec<Lack>,
    /// Why there is nothing to open, if so.
    pub(in crate::keys) note: String,
    /// Whether it was seen to within a week.
    pub(in crate::keys) is_proven: bool,
}

/// Every one that the policy names, also those about which nobody was asked yet.
pub(in crate::keys) async fn list(
    store: &Store,
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<Vec<ShownGlass>> {
    let mut all = rows::all(store).await?;
    let hosts = revoked::hosts(store).await?;
    for key in &policy.break_glass {
        let fingerprint = key.fingerprint.as_str();
        let of = |host: &str, one: &Glass| one.host == host && one.fingerprint == fingerprint;
        for host in hosts.iter().filter(|host| key.is_for(host)) {
            if !all.iter().any(|one| of(host, one)) {
                all.push(Glass::new(fingerprint, host, now));
            }
        }
    }
    let all = all.into_iter();
    let one = |one: Glass| {
        Some(ShownGlass {
            name: find(policy, &one)?.name().to_owned(),
            is_proven: one.is_proven(now),
            fingerprint: one.fingerprint,
            host: one.host,
            asked_at: one.asked_at,
            opened_at: one.opened_at,
            opens: one.opens,
            lacks: one.lacks,
            note: one.note,
        })
    };
    Ok(all.filter_map(one).collect())
}

impl ShownGlass {
    /// What it does not open, and why.
    pub(in crate::keys) fn lacking(&self) -> String {
        let lacks = self.lacks.iter().map(|one| match one.account.as_str() {
            "" => format!("nothing: {}", one.why),
            account => format!("not {account}: {}", one.why),
        });
        lacks.collect::<Vec<_>>().join("; ")
    }
}
