//! Sessions that would end with a policy: a gate judges each packet by itself, also of connections that
//! stand.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use watchward_protocol::access::Service;
use watchward_protocol::time::Timestamp;

use crate::access::{self, Whence};
use crate::restriction::Plan;
use crate::store::Store;

/// How far back they may have begun: as far as logins are counted.
const BACK: Duration = Duration::from_secs(90 * 86_400);
/// From how many addresses at most, to how many hosts and services, sessions are looked for.
const LOOKED: usize = 2000;

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
    let losing = plan.losing.iter().filter(|one| holds(&one.host));
    let whence: BTreeSet<_> = losing
        .map(|one| (one.host.as_str(), one.service, one.address.as_str()))
        .collect();
    let mut sessions = Vec::new();
    for (host, service, address) in whence.into_iter().take(LOOKED) {
        let Ok(from) = address.parse() else { continue };
        let whence = Whence {
            host,
            service: logged(service),
            address: from,
        };
        let open = access::open(store, &whence, now - BACK).await?;
        sessions.extend(open.into_iter().map(|(since, user)| Session {
            since,
            host: host.to_owned(),
            service,
            user: user.map(|user| user.to_string()),
            address: address.to_owned(),
        }));
    }
    sessions.sort_by_key(|one| one.since);
    Ok(sessions)
}

/// The server that writes of a service in its log.
fn logged(service: &str) -> Service {
    match service {
        "openvpn" => Service::OpenVpn,
        _ => Service::Sshd,
    }
}
