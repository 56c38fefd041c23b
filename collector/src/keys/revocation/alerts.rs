//! What people are told of revocations. Pure.

use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::alerting::{Alert, Severity};
use crate::intake::Host;
use crate::keys::rows::ended::Ended;
use crate::keys::rows::reached::Holding;

/// The key of the incident of a host that does not hold what it should.
pub(super) fn unheld_key(host: HostId) -> String {
    format!("keys.unheld {host}")
}

/// The key of the incident of a session that lives.
pub(super) fn alive_key(one: &Ended) -> String {
    format!("keys.alive {}", place(one))
}

/// The key of the incident of what lives on after a session.
pub(super) fn survivors_key(one: &Ended) -> String {
    format!("keys.survivors {}", place(one))
}

fn place(one: &Ended) -> String {
    let opened = one.opened_at.as_micros();
    format!("{} {} {opened}", one.host, one.leader)
}

/// A host does not have its sshd refuse what is revoked.
pub(super) fn unheld(host: &Host, holding: &Holding, since: Timestamp) -> Alert {
    let name = Foreign::from(host.name.as_str()).shortened(30);
    let why = match &holding.trouble {
        Some(trouble) => trouble.clone(),
        None => {
            "It was told of the last revocations, and has not said that it holds them.".to_owned()
        }
    };
    Alert {
        key: unheld_key(host.id),
        severity: Severity::Critical,
        host: Some(host.name.clone()),
        title: format!("{name} does not refuse keys that are revoked"),
        detail: format!(
            "{why}\nKeys in force there: {} of an earlier revocation. Until this is over, keys that \
             were revoked since may open accounts of this host.",
            holding.revoked
        ),
        advice: "`watchward keys revoked` says which keys; the line above what to do on the host. \
                 Until then take the key out of the files where it stands (`watchward keys show KEY`)."
            .to_owned(),
        since,
    }
}

/// A session that was opened with a revoked key goes on.
pub(super) fn alive(one: &Ended, now: Timestamp) -> Alert {
    let (host, account) = (short(&one.name), one.account.shortened(20));
    Alert {
        key: alive_key(one),
        severity: Severity::Critical,
        host: Some(one.name.clone()),
        title: format!("a session of a revoked key goes on: {account}@{host}"),
        detail: format!("{}\nIt could not be ended: {}", which(one), one.why),
        advice: format!(
            "End it on the host: `kill -KILL {}` and what it began (`loginctl`, `ps --forest`).",
            one.leader
        ),
        since: one.at.min(now),
    }
}

/// Something may live on after a session that was ended.
pub(super) fn survivors(one: &Ended, now: Timestamp) -> Alert {
    let (host, account) = (short(&one.name), one.account.shortened(20));
    Alert {
        key: survivors_key(one),
        severity: Severity::Warning,
        host: Some(one.name.clone()),
        title: format!("something may live on of a revoked key: {account}@{host}"),
        detail: format!("{}\n{}", which(one), one.survivors.join("\n")),
        advice: "Look at each on the host, and end what nobody means to run.".to_owned(),
        since: one.at.min(now),
    }
}

fn which(one: &Ended) -> String {
    let from = one.address.as_deref().unwrap_or("somewhere");
    let key = Foreign::from(one.fingerprint.as_str());
    format!(
        "The session of {} on {} from {from}, open since {}, was opened with the key {key}, which is \
         revoked.",
        one.account,
        Foreign::from(one.name.as_str()),
        one.opened_at
    )
}

fn short(host: &str) -> String {
    Foreign::from(host).shortened(20)
}
