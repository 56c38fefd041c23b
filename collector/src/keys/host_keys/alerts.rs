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

/// How many hosts are named.
const NAMED: usize = 20;

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

/// The key of the incident of a key that was not replaced.
pub(super) fn missed_key(host: HostId) -> String {
    format!("keys.host-key-missed {host}")
}

/// The incident of keys that are replaced before long.
pub(super) const SOON: &str = "keys.host-key-soon next";

/// What is told of these hosts together, whose keys are replaced before long, each with its day.
pub(super) fn soon(hosts: &[(&str, Timestamp)], now: Timestamp) -> Option<Alert> {
    let first = hosts.iter().map(|it| it.1).min()?;
    let count = match hosts.len() {
        1 => "the key of a host is".to_owned(),
        many => format!("the keys of {many} hosts are"),
    };
    let named = hosts.iter().take(NAMED).map(|(name, due)| {
        let name = Foreign::from(*name).shortened(40);
        format!("{name} on {}", day(*due))
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match hosts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(Alert {
        key: SOON.to_owned(),
        severity: Severity::Info,
        host: None,
        title: format!("{count} replaced from {} on", day(first)),
        detail: format!("Another key takes the place of what sshd shows: {named}{more}."),
        advice: "Who has the line of `watchward authority hosts` has nothing to do. Others are shown both \
                 keys for the overlap."
            .to_owned(),
        since: now,
    })
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

impl Standing<'_> {
    /// What people should know of a key that should have been replaced by then, and was not; `stolen` since
    /// when it should, where it is revoked.
    pub(super) fn missed(
        &self,
        (deadline, stolen): (Option<Timestamp>, Option<Timestamp>),
        now: Timestamp,
    ) -> Option<Alert> {
        let host = &self.watched.host;
        let name = Foreign::from(host.name.as_str()).shortened(30);
        let late = |at: &Timestamp| now >= *at;
        let (since, title) = match (stolen.map(|it| it + GRACE).filter(late), deadline) {
            (Some(since), _) => (since, format!("{name} shows a key that is revoked")),
            (None, Some(deadline)) if now >= deadline => {
                let day = day(deadline);
                let title = format!("the key of {name} was to be replaced by {day}");
                (deadline, title)
            }
            (None, _) => return None,
        };
        let why = match (self.unshown, self.watched.is_silent) {
            (Some(why), _) => why,
            (None, true) => "It is silent.",
            (None, false) => "It was not seen to show another for as long as it takes.",
        };
        Some(Alert {
            key: missed_key(host.id),
            severity: Severity::Critical,
            host: Some(host.name.clone()),
            title,
            detail: format!("{why}\nsshd shows the old key still."),
            advice:
                "Look on the host whether watchward-enforcer-keys runs and its guard file says \
                     `host = true` in `[keys]`, and what the agent logs of host keys."
                    .to_owned(),
            since,
        })
    }

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
        let slack = slack(one);
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

/// So long before its end people hear of a certificate: half of what is left at its renewal.
pub(super) fn slack(one: &Certificate) -> Duration {
    one.until.since(one.since) / 6
}
