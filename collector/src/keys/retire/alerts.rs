//! What people are told of keys that are to go. Pure.

use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::Key;
use crate::alerting::{Alert, Severity};
use crate::keys::rows::retire::Standing;

/// How many places are named; the others are counted.
const MOST: usize = 20;

/// The key of the incident of an old key that is used.
pub(super) fn used_key(fingerprint: &str) -> String {
    format!("keys.shadow {fingerprint}")
}

/// The key of the incident of an old key that cannot be revoked.
pub(super) fn held_key(fingerprint: &str) -> String {
    format!("keys.kept {fingerprint}")
}

/// The key of the incident of an old key that should have gone.
pub(super) fn missed_key(fingerprint: &str) -> String {
    format!("keys.missed {fingerprint}")
}

/// Somebody uses a key that is to go; none, if nobody did since it is to.
pub(super) fn used(key: &Key<'_>, until: Option<Timestamp>) -> Option<Alert> {
    let used = key.places.iter();
    let mut used: Vec<_> = used
        .filter_map(|one| Some((one.used_at.filter(|at| *at >= key.since)?, one)))
        .collect();
    used.sort_by_key(|(at, one)| (std::cmp::Reverse(*at), one.name()));
    let (_, last) = used.first()?;
    let lines = used.iter().take(MOST).map(|(at, one)| {
        let from = one.used_from.as_deref().unwrap_or("an unknown address");
        format!("{}: {at} from {}", one.name(), Foreign::from(from))
    });
    let then = match until {
        Some(until) => format!("From {until} on every host refuses it."),
        None => "It is too old by the policy.".to_owned(),
    };
    let lines: Vec<_> = lines.collect();
    Some(Alert {
        key: used_key(key.fingerprint),
        severity: Severity::Warning,
        host: (used.len() == 1).then(|| last.host.clone()),
        title: format!("a key that is to go is used: {}{}", last.name(), of(key)),
        detail: format!(
            "The key {}{} was used since {}:\n{}\n{then}",
            key.fingerprint,
            of(key),
            key.since,
            lines.join("\n")
        ),
        advice: "Have its owner use another one, and take it out of the files that it stands in."
            .to_owned(),
        since: key.since,
    })
}

/// A key that is to go stays.
pub(super) fn held(key: &Key<'_>, why: &str) -> Alert {
    let short: String = key.fingerprint.chars().take(19).collect();
    Alert {
        key: held_key(key.fingerprint),
        severity: Severity::Warning,
        host: None,
        title: format!("old key {short}…{} cannot be revoked", of(key)),
        detail: format!(
            "The key {} is to be revoked by the policy, as it is too old, and is not. {why}",
            key.fingerprint
        ),
        advice: "`watchward keys show` with the key says where it stands.".to_owned(),
        since: key.since,
    }
}

/// A key that was to go by then still stands.
pub(super) fn missed(key: &Key<'_>, end: Timestamp) -> Alert {
    let short: String = key.fingerprint.chars().take(19).collect();
    let day: String = end.to_string().chars().take(10).collect();
    let places: Vec<_> = key.places.iter().map(Standing::name).collect();
    Alert {
        key: missed_key(key.fingerprint),
        severity: Severity::Critical,
        host: None,
        title: format!("old key {short}…{} was to be replaced by {day}", of(key)),
        detail: format!(
            "The key {}{} is older than the policy allows, and opens {} still. It works on, as the \
             policy says.",
            key.fingerprint,
            of(key),
            few(&places)
        ),
        advice:
            "Have its owner use another one; `watchward revoke` with the key ends it everywhere."
                .to_owned(),
        since: end,
    }
}

fn of(key: &Key<'_>) -> String {
    match key.owner {
        "" => String::new(),
        owner => format!(" of {}", Foreign::from(owner).shortened(30)),
    }
}

/// The first of many.
pub(in crate::keys) fn few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.get(..SHOWN) {
        Some(first) if names.len() > SHOWN => {
            format!("{} and {} more", first.join(", "), names.len() - SHOWN)
        }
        Some(_) | None => names.join(", "),
    }
}
