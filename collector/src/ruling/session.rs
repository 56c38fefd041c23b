//! Sessions that would end with a policy: a gate judges each packet by itself, also of connections that
//! stand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use watchward_protocol::access::Service;
use watchward_protocol::time::Timestamp;

use crate::access;
use crate::restriction::Plan;
use crate::store::Store;

/// How far back they may have begun: as far as logins are counted.
const BACK: Duration = Duration::from_secs(90 * 86_400);
/// From how many addresses at most sessions are looked for.
const LOOKED: usize = 1000;

/// A session that would end. Safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Session {
    /// When it began.
    since: Timestamp,
    host: String,
    service: &'static str,
    user: Option<String>,
    address: String,
}

/// The sessions of those who would lose access that are open, as far as the access log knows, the
/// longest first. A host that would not hold its gates ends none.
pub(super) async fn ending(
    store: &Store,
    plan: &Plan,
    now: Timestamp,
) -> sqlx::Result<Vec<Session>> {
    let holds = |host: &str| plan.unready.iter().all(|one| one.host != host);
    let mut losing: BTreeMap<IpAddr, BTreeSet<(&str, &'static str)>> = BTreeMap::new();
    for one in plan.losing.iter().filter(|one| holds(&one.host)) {
        if let Ok(from) = one.address.parse() {
            losing
                .entry(from)
                .or_default()
                .insert((&one.host, one.service));
        }
    }
    let mut sessions = Vec::new();
    for (from, lost) in losing.into_iter().take(LOOKED) {
        for one in access::open(store, from, now - BACK).await? {
            let Some(service) = reached(one.service) else {
                continue;
            };
            if lost.contains(&(one.host.as_str(), service)) {
                sessions.push(Session {
                    since: one.since,
                    host: one.host,
                    service,
                    user: one.user.map(|user| user.to_string()),
                    address: from.to_string(),
                });
            }
        }
    }
    sessions.sort_by_key(|one| one.since);
    Ok(sessions)
}

/// The service of the policy that a server is.
fn reached(server: Service) -> Option<&'static str> {
    match server {
        Service::Sshd => Some("ssh"),
        Service::OpenVpn => Some("openvpn"),
        Service::WireGuard => Some("wireguard"),
        Service::Sudo | Service::Su => None,
    }
}
