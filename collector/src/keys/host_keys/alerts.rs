//! What people are told of hosts that do not show a certificate that counts. Pure.

use std::time::Duration;

use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::alerting::{Alert, Severity};
use crate::intake::Watched;
use crate::keys::rows::host_key::{Certificate, Seen};

/// So long a host may take to show a certificate that was made for it.
const GRACE: Duration = Duration::from_secs(5 * 60);

/// What was made for a host, and what was seen of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    pub(super) watched: &'a Watched,
    pub(super) kept: &'a [Certificate],
    pub(super) seen: &'a Seen,
    pub(super) unshown: Option<&'a str>,
}

/// The key of the incident.
pub(super) fn key(host: HostId) -> String {
    format!("keys.host-certificate {host}")
}

impl Standing<'_> {
    /// What people should know. A host that is away is told of, too, before what it shows is over.
    pub(super) fn alert(&self, now: Timestamp) -> Option<Alert> {
        let judged = self.kept.iter().filter_map(|it| self.judge(it, now));
        let (severity, what, since) = judged.min_by_key(|it| it.2)?;
        let host = &self.watched.host;
        let name = Foreign::from(host.name.as_str()).shortened(30);
        let why = self.unshown.unwrap_or("It has not said why.");
        Some(Alert {
            key: key(host.id),
            severity,
            host: Some(host.name.clone()),
            title: format!("{name} {what}"),
            detail: format!(
                "{why}\nWho logs in to it and knows only the authority of hosts is asked then \
                 whether this is the right host, or refused."
            ),
            advice:
                "Look on the host whether watchward-enforcer-keys runs and its guard file says \
                `host = true` in `[keys]`."
                    .to_owned(),
            since,
        })
    }

    fn judge(&self, one: &Certificate, now: Timestamp) -> Option<(Severity, String, Timestamp)> {
        let until = self.seen.certificates.get(&one.fingerprint).copied();
        // Half of what is left at its renewal.
        let slack = one.until.since(one.since) / 6;
        match until {
            Some(until) if now >= until => {
                let what = "shows a certificate that is over".to_owned();
                Some((Severity::Critical, what, until))
            }
            Some(until) if now + slack >= until => {
                let what = format!("shows a certificate that is over at {until}");
                Some((Severity::Warning, what, until - slack))
            }
            Some(_) => None,
            // One that is silent is told of by that.
            None if self.watched.is_silent || now < one.since + GRACE => None,
            None => {
                let what = "shows no certificate of its key".to_owned();
                Some((Severity::Warning, what, one.since))
            }
        }
    }
}
