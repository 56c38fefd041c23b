//! What people would read of an alert, for the tests of the rooms that raise some.

use watchward_protocol::time::Timestamp;

use super::message::{Channel, Code, Incident, Kind, Message, State};
use super::{Alert, email, kinds, phone, rows, wording};
use crate::store::Store;

/// The SMS and the subject of the email that tell of an alert, `W-7K3F`.
pub fn told(alert: &Alert) -> [String; 2] {
    let message = message(alert, None);
    texts(&message, alert.since)
}

/// The same when it is over, and why.
pub fn over(alert: &Alert, at: Timestamp, why: &str) -> [String; 2] {
    let message = message(alert, Some((at, wording::safe(why))));
    texts(&message, at)
}

/// What has been raised and is open still, the oldest first.
pub async fn raised(store: &Store) -> Vec<Alert> {
    let wanted = rows::Wanted {
        open: Some(true),
        ..rows::Wanted::default()
    };
    let open = rows::incidents(store, &wanted, 1000).await;
    let alert = |incident: Incident| Alert {
        key: incident.key,
        severity: incident.severity,
        host: incident.host,
        title: incident.title,
        detail: incident.detail,
        advice: incident.advice,
        since: incident.since,
    };
    open.unwrap().into_iter().rev().map(alert).collect()
}

/// The SMS that tell of what is open, the oldest first.
pub async fn sms(store: &Store) -> Vec<String> {
    let all = raised(store).await;
    all.iter().map(|alert| told(alert)[0].clone()).collect()
}

/// Whether the budget knows the kind of incident that this key is of.
pub fn is_of_a_known_kind(key: &str) -> bool {
    kinds::kind(key) != kinds::OTHER
}

fn texts(message: &Message, now: Timestamp) -> [String; 2] {
    [phone::sms(message, now), email::subject(message)]
}

/// The message that tells of an alert or, since then and for this reason, of its end.
pub(super) fn message(alert: &Alert, resolved: Option<(Timestamp, String)>) -> Message {
    let alert = wording::storable(alert);
    let kind = match resolved {
        Some(_) => Kind::Resolved,
        None => Kind::Opened,
    };
    Message {
        id: 7,
        incident: Incident {
            id: 3,
            code: Code::from("W-7K3F".to_owned()),
            key: alert.key,
            severity: alert.severity,
            host: alert.host,
            subject: alert.title.clone(),
            title: alert.title,
            detail: alert.detail,
            advice: alert.advice,
            since: alert.since,
            opened_at: alert.since,
            last_at: alert.since,
            repeats: 0,
            silenced: None,
            acknowledged: None,
            resolved,
        },
        contact: "Ann".to_owned(),
        channel: Channel::Sms,
        address: "+12025550123".to_owned(),
        kind,
        severity: alert.severity,
        state: State::Pending,
        attempts: 1,
        asks: 0,
        maybe: false,
        told: false,
        root: 7,
        created_at: alert.since,
        folded: false,
        digest: None,
        link: None,
    }
}
