//! Keys whose use is told at once: break-glass keys, for the day when nothing else opens, and canaries,
//! which nobody has a reason to use.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::Misplaced;
use watchward_protocol::access::{AccessEvent, Outcome, Service};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::Policy;
use super::policy::{Account, Fingerprint};
use super::rows::guarded as rows;
use crate::alerting::{self, Alert, Severity, cut};
use crate::intake::Heard;
use crate::policy::{Groups, Members};
use crate::store::Tx;

/// So long after the last use, what was told of it is over.
const QUIET: Duration = Duration::from_secs(24 * 3600);
/// How long a title is at most, in characters.
const TITLE: usize = 100;

/// The table `[[keys.break_glass]]`: a key for the day when nothing else opens, and what it is to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Which key: `SHA256:` and 43 characters, as `ssh-keygen -l` says.
    pub fingerprint: Fingerprint,
    /// What people call it, such as `the key in the safe`.
    pub name: Name,
    /// The hosts that it is to open; without them, every host.
    #[serde(default)]
    pub groups: Option<Members>,
    /// The accounts that it is to open there, each of them; without any, one is enough.
    #[serde(default)]
    pub accounts: Vec<Account>,
}

impl BreakGlass {
    /// Looks up the groups.
    ///
    /// # Errors
    /// There is no such group.
    pub(super) fn join(&mut self, groups: &Groups) -> Result<(), Misplaced> {
        self.groups
            .as_mut()
            .map_or(Ok(()), |named| named.join(groups))
    }

    /// What people call it.
    pub(super) fn name(&self) -> &str {
        &self.name.0
    }

    /// The accounts that it is to open, each of them; none: any one is enough.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(Account::as_str)
    }

    /// Whether it is to open this host.
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.groups.as_ref().is_none_or(|named| named.has(host))
    }
}

/// The table `[[keys.canaries]]`: a decoy, and what people call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarded {
    /// Which key: `SHA256:` and 43 characters, as `ssh-keygen -l` says.
    pub fingerprint: Fingerprint,
    /// What people call it, such as `the key in the safe`.
    pub name: Name,
}

impl Guarded {
    /// What people call it.
    pub(super) fn name(&self) -> &str {
        &self.name.0
    }
}

/// What people call a key: at most 60 letters, digits, spaces and `.`, `-`, `_`, `@`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '@' | ' ');
        let is_short = !text.is_empty() && text.chars().count() <= 60;
        match is_short && text.chars().all(plain) && text.trim() == text {
            true => Ok(Self(text)),
            false => {
                Err("expected what people call it: letters, digits, spaces, `.`, `-`, `_`, `@`")
            }
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// What a use is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// Somebody got in with the key for emergencies.
    Glass,
    /// Somebody has a key that nobody should have.
    Canary,
}

impl Policy {
    /// What people call this key, if it is out of reach of whatever revokes or replaces keys.
    pub(super) fn break_glass(&self, fingerprint: &str) -> Option<&str> {
        let mut all = self.break_glass.iter();
        let found = all.find(|it| it.fingerprint.as_str() == fingerprint)?;
        Some(found.name())
    }

    /// What people call this decoy, if it is one.
    fn canary(&self, fingerprint: &str) -> Option<&str> {
        let mut all = self.canaries.iter();
        let found = all.find(|it| it.fingerprint.as_str() == fingerprint)?;
        Some(&found.name.0)
    }

    /// Whether it is either.
    pub(super) fn is_guarded(&self, fingerprint: &str) -> bool {
        self.break_glass(fingerprint).is_some() || self.canary(fingerprint).is_some()
    }
}

/// What a line of sshd says of a guarded key: of one for emergencies, that it opened; of a canary,
/// anything at all.
fn used<'a>(policy: &'a Policy, event: &AccessEvent) -> Option<(Use, &'a str, String)> {
    // Whoever may write to a text log may write any fingerprint: better told than not.
    let key = event
        .key
        .as_ref()
        .filter(|_| event.service == Service::Sshd)?;
    let fingerprint = key.fingerprint.as_str();
    if let Some(name) = policy.canary(fingerprint) {
        return Some((Use::Canary, name, fingerprint.to_owned()));
    }
    let name = policy.break_glass(fingerprint)?;
    let opened = event.outcome == Outcome::Success && event.attempt;
    opened.then(|| (Use::Glass, name, fingerprint.to_owned()))
}

/// Tells of every use.
///
/// # Errors
/// The database's.
pub async fn watch(
    tx: &mut Tx,
    heard: &[Heard<AccessEvent>],
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<()> {
    // In one order everywhere, so that two collectors never wait for each other.
    let mut all: BTreeMap<String, Alert> = BTreeMap::new();
    for one in heard {
        if let Some(use_of) = used(policy, &one.report) {
            let alert = alert(use_of, &one.host.name, &one.report);
            all.entry(alert.key.clone()).or_insert(alert);
        }
    }
    for alert in all.values() {
        alerting::raise(tx, alert, now).await?;
        rows::keep(tx, &alert.key, now + QUIET).await?;
    }
    Ok(())
}

fn alert((what, name, fingerprint): (Use, &str, String), host: &str, event: &AccessEvent) -> Alert {
    let shown = Foreign::from(host).shortened(30);
    let account = event.user.as_ref().map(|user| user.name.shortened(30));
    let account = account.unwrap_or_else(|| "somebody".to_owned());
    let from = event
        .peer
        .map_or_else(String::new, |peer| format!(" from {}", peer.address));
    let (kind, title, advice) = match what {
        Use::Glass => (
            "keys.break-glass",
            format!("{shown}: {account} was opened by break-glass key {name}{from}"),
            "If nobody knows why, somebody has the key: end the session, and put another key in its \
             place by hand. It is beyond the reach of `watchward revoke`.",
        ),
        Use::Canary => (
            "keys.canary",
            format!("{shown}: canary key {name} was shown for {account}{from}"),
            "Nobody has a reason to use this key. Where it was left, somebody has been who takes keys: \
             treat that place, and every key that lay there, as lost.",
        ),
    };
    Alert {
        key: format!("{kind} {fingerprint}"),
        severity: Severity::Critical,
        host: Some(host.to_owned()),
        title: cut(&title, TITLE),
        detail: format!("{fingerprint}, {name}:\n{}", event.line.shortened(500)),
        advice: advice.to_owned(),
        since: event.at,
    }
}

/// Ends what was told, a day after the last use; says of how many keys.
pub(super) async fn activate(tx: &mut Tx, now: Timestamp) -> sqlx::Result<usize> {
    let over = rows::over(tx, now).await?;
    for key in &over {
        alerting::resolve(tx, key, "It was not used for a day.", now).await?;
    }
    Ok(over.len())
}

#[cfg(test)]
mod tests;
