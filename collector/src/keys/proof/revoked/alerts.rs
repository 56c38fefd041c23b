//! What is told of a revoked key that opens something.

use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::Proven;
use crate::alerting::{self, Alert, Severity};
use crate::keys::rows::revoked as rows;
use crate::store::Tx;

/// What is open about a key that may open something again is ended.
pub(in crate::keys) async fn end(
    tx: &mut Tx,
    (fingerprint, by): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<()> {
    let key = format!("keys.revoked {fingerprint}");
    alerting::resolve(tx, &key, &format!("{by} reinstated the key"), now).await
}

/// A revoked key that opens anything is an incident, until every door that took it refuses it.
pub(super) async fn judge(tx: &mut Tx, fingerprint: &str, now: Timestamp) -> sqlx::Result<()> {
    let opens = rows::opens(tx, fingerprint).await?;
    let key = format!("keys.revoked {fingerprint}");
    match alert(fingerprint, &opens) {
        Some(alert) => alerting::raise(tx, &Alert { key, ..alert }, now).await,
        None => alerting::resolve(tx, &key, "every door that took it refuses it", now).await,
    }
}

fn alert(fingerprint: &str, opens: &[(String, Proven)]) -> Option<Alert> {
    let doors = || {
        let of_host = |(_, proven): &'_ (String, Proven)| {
            let host = proven.host.clone();
            let doors = proven.accepted.clone().into_iter();
            doors
                .map(move |door| (host.clone(), door))
                .collect::<Vec<_>>()
        };
        opens.iter().flat_map(of_host)
    };
    let (host, first) = doors().next()?;
    let more = match doors().count() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let account = Foreign::from(first.account.as_str()).shortened(20);
    let name = Foreign::from(host.as_str()).shortened(20);
    let lines: Vec<_> = doors()
        .take(50)
        .map(|(host, door)| format!("{}@{host} ({}): {}", door.account, door.at, door.note))
        .collect();
    let short: String = fingerprint.chars().take(19).collect();
    Some(Alert {
        key: String::new(),
        severity: Severity::Critical,
        host: (opens.len() == 1).then_some(host),
        title: format!("revoked key {short}… opens {account}@{name}{more}"),
        detail: format!(
            "The key {fingerprint} was revoked, and sshd took it when it could last be told:\n{}",
            lines.join("\n")
        ),
        advice:
            "`watchward keys revoked` says which hosts refuse it. Where one does not, take the key \
                 out of the file that is named."
                .to_owned(),
        since: opens.iter().map(|(_, proven)| proven.at).min()?,
    })
}
