//! What the room's alerts say. Pure.

use watchward_protocol::access::Trust;
use watchward_protocol::text::Foreign;

use super::Config;
use super::judge::Seen;
use super::policy::Place;
use super::rows::standing::Standing;
use crate::alerting::{Alert, Severity};

/// How long a title is at most, in characters, that an SMS has whole, with what to do.
const TITLE: usize = 79;

/// The key of the incident for logins from outside: one for each host, service, account and address.
pub(super) fn key(seen: &Seen<'_>) -> String {
    let (host, service) = (seen.heard.host.id, seen.service.name());
    let user = user(seen).map(Foreign::to_string).unwrap_or_default();
    format!(
        "restriction.outside {host} {service} {user} {}",
        seen.address
    )
}

/// Somebody got in from where nobody should come from.
pub(super) fn outside(seen: &Seen<'_>, standing: &Standing) -> Alert {
    let event = &seen.heard.report;
    let host = Foreign::from(seen.heard.host.name.as_str()).shortened(30);
    let user = user(seen).map_or_else(|| "somebody".to_owned(), |user| user.shortened(30));
    let (address, service) = (seen.address, seen.service.name());
    let mut detail = format!(
        "{user} logged in to {service} on {host} from {address} at {}.\n\
         Permitted there: {}.\nLogins like this since {}: {}",
        seen.judged_at,
        permitted(seen),
        standing.since,
        standing.count,
    );
    if let Some(method) = &event.method {
        detail.push_str("\nBy: ");
        detail.push_str(&Foreign::from(method.as_str()).shortened(40));
    }
    if let Some(key) = &event.key {
        let key = format!("{} {}", key.kind, key.fingerprint);
        detail.push_str("\nKey: ");
        detail.push_str(&Foreign::from(key.as_str()).shortened(100));
    }
    if event.trust == Trust::Text {
        detail.push_str(
            "\nThe line stood in a text file, where any local user of the host can write it.",
        );
    }
    detail.push_str(
        "\nIf it was right, permit the network. If not, end the session and lock the account.",
    );
    Alert {
        key: standing.key.clone(),
        severity: Severity::Critical,
        host: Some(seen.heard.host.name.clone()),
        title: title(&format!("{host}: {user} logged in from {address}, outside")),
        detail,
        advice: "Ask them; if it was not them, end the session.".to_owned(),
        since: standing.since,
    }
}

/// With all the words that there is room for: an IPv6 address is long.
fn title(short: &str) -> String {
    let long = format!("{short} the permitted networks");
    match long.chars().count() {
        0..=TITLE => long,
        _ => short.to_owned(),
    }
}

/// What is said when it is over.
pub(super) fn ending(config: &Config) -> String {
    format!(
        "No further login from there for {}. Whether it was a good one, only a person can say.",
        config.settle
    )
}

/// The networks from which it would have been right.
pub(super) fn permitted(seen: &Seen<'_>) -> String {
    let Place::Outside(names) = &seen.place else {
        return String::new();
    };
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

fn user<'a>(seen: &Seen<'a>) -> Option<&'a Foreign> {
    seen.heard.report.user.as_ref().map(|user| &user.name)
}
