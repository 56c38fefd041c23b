//! How old keys may be, and which are strong enough: the table `[keys]` of `policy.toml`.

mod account;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::Misplaced;
use watchward_protocol::keys::PublicKey;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use super::authority::{Grant, HostsSchedule, Login, Schedule};
use super::guarded::{BreakGlass, Guarded};
use super::host_keys::{self, Shown};
use super::peers::Peering;
use super::retire::Retire;
use super::rotation::{self, Machine};
use crate::policy::{Day, Groups, Members, Networks};
pub use account::Account;

/// The table `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How long a key may be used. A key does not say when it was made, so that this counts from
    /// when it was first seen.
    pub max_age: Span,
    /// How long before that, or before the end of a certificate, people hear of it.
    pub warn_ahead: Span,
    /// Which types of key are strong enough, each with the bits that it must have at least. The
    /// first that fits a key decides.
    pub allowed: Vec<Strength>,
    /// What becomes of a key that is older than that.
    pub retire: Retire,
    /// With "warn": so long after somebody is paged of such a key; none: nobody is.
    pub deadline: Option<Span>,
    /// For how long such a key still works, and every use of it is told, before it is revoked.
    pub shadow: Span,
    /// The accounts that a new key opens only with a critical alert.
    pub privileged: Vec<String>,
    /// The keys that may be older or weaker.
    pub exceptions: Vec<Exception>,
    /// Other values for the hosts of some groups. Of rules for the same host the first that says
    /// something decides.
    pub rules: Vec<Rule>,
    /// Whose keys are whose.
    pub owners: Vec<Owner>,
    /// Who is given certificates.
    pub certificates: Vec<Grant>,
    /// Which accounts they open where.
    pub logins: Vec<Login>,
    /// Keys for the day when nothing else opens: each use is told to everybody, and hosts are asked
    /// whether they would still take them.
    pub break_glass: Vec<BreakGlass>,
    /// Decoys: keys that nobody has a reason to use.
    pub canaries: Vec<Guarded>,
    /// How often what signs them is replaced.
    pub authority: Schedule,
    /// How often what signs certificates of hosts' keys is replaced.
    pub hosts_authority: HostsSchedule,
    /// Machines' keys that rotate by themselves.
    pub machines: Vec<Machine>,
    /// Whose peers of WireGuard are whose.
    pub peers: Vec<Peering>,
    /// What hosts show of themselves.
    pub hosts: Vec<Shown>,
}

/// The table `[[keys.rules]]`: what is `None` is as for all hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For the hosts of these groups.
    pub groups: Members,
    /// See [`Policy::max_age`].
    pub max_age: Option<Span>,
    /// See [`Policy::warn_ahead`].
    pub warn_ahead: Option<Span>,
    /// See [`Policy::allowed`].
    pub allowed: Option<Vec<Strength>>,
    /// See [`Policy::retire`].
    pub retire: Option<Retire>,
    /// See [`Policy::deadline`].
    pub deadline: Option<Span>,
    /// See [`Policy::shadow`].
    pub shadow: Option<Span>,
    /// See [`Policy::privileged`].
    pub privileged: Option<Vec<String>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_age: Span::days(365),
            warn_ahead: Span::days(30),
            allowed: vec![
                Strength::of("ssh-ed25519", 0),
                Strength::of("sk-*", 0),
                Strength::of("ecdsa-*", 0),
                Strength::of("ssh-rsa", 3072),
            ],
            retire: Retire::Warn,
            deadline: None,
            shadow: Span::days(14),
            privileged: vec!["root".to_owned()],
            exceptions: Vec::new(),
            rules: Vec::new(),
            owners: Vec::new(),
            certificates: Vec::new(),
            logins: Vec::new(),
            break_glass: Vec::new(),
            canaries: Vec::new(),
            authority: Schedule::default(),
            hosts_authority: HostsSchedule::default(),
            machines: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

impl Policy {
    /// Looks up the groups and networks that are named.
    ///
    /// # Errors
    /// There is no such group or network.
    pub fn join(&mut self, groups: &Groups, networks: &Networks) -> Result<(), Misplaced> {
        for rule in &mut self.rules {
            rule.groups.join(groups)?;
        }
        for grant in &mut self.certificates {
            grant.join(networks)?;
        }
        for peer in &mut self.peers {
            peer.join(groups)?;
        }
        for login in &mut self.logins {
            login.join(groups)?;
        }
        Login::fit(&self.logins)?;
        for key in &mut self.break_glass {
            key.join(groups)?;
        }
        host_keys::join(&mut self.hosts, groups)?;
        rotation::join(&mut self.machines, groups, networks)
    }

    /// The keys of this person, each once; none: the policy names nobody like this.
    pub(super) fn keys_of(&self, person: &str) -> Vec<&str> {
        let owners = self.owners.iter().filter(|one| one.person.0 == person);
        let mut keys: Vec<_> = owners
            .flat_map(|one| one.keys.iter().map(|key| key.0.as_str()))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whose key this is, as far as the policy says; empty: nobody's.
    pub(super) fn owner(&self, fingerprint: &str) -> &str {
        let has = |one: &&Owner| one.keys.iter().any(|key| key.0 == fingerprint);
        let owner = self.owners.iter().find(has).map(|one| &one.person);
        let of_peer = || self.peering(fingerprint)?.person.as_ref();
        owner.or_else(of_peer).map_or("", |person| &person.0)
    }

    /// What holds for a host.
    pub(super) fn of(&self, host: &str) -> Cow<'_, Self> {
        let mut policy = Cow::Borrowed(self);
        // The first decides, so it is put in place last.
        for rule in self.rules.iter().rev().filter(|rule| rule.groups.has(host)) {
            let policy = policy.to_mut();
            policy.max_age = rule.max_age.unwrap_or(policy.max_age);
            policy.retire = rule.retire.unwrap_or(policy.retire);
            policy.deadline = rule.deadline.or(policy.deadline);
            policy.shadow = rule.shadow.unwrap_or(policy.shadow);
            policy.warn_ahead = rule.warn_ahead.unwrap_or(policy.warn_ahead);
            if let Some(allowed) = &rule.allowed {
                policy.allowed.clone_from(allowed);
            }
            if let Some(privileged) = &rule.privileged {
                policy.privileged.clone_from(privileged);
            }
        }
        policy
    }

    /// Whether old keys become anything anywhere, but that people are warned.
    pub(super) fn retires(&self) -> bool {
        let mut deadlines = self.rules.iter().map(|rule| rule.deadline);
        let rules = self.rules.iter().filter_map(|rule| rule.retire);
        let is_stern = rules.chain([self.retire]).any(|one| one > Retire::Warn);
        is_stern || self.deadline.is_some() || deadlines.any(|one| one.is_some())
    }

    /// What is wrong with a key, in words for people; `None` if it is strong enough.
    pub(super) fn weakness(&self, key: &PublicKey) -> Option<String> {
        let kind = plain(&key.kind);
        let Some(strength) = self.allowed.iter().find(|one| one.fits(&kind)) else {
            return Some(format!("keys of the type {kind} are not allowed"));
        };
        (key.bits < strength.bits).then(|| match key.bits {
            0 => format!(
                "its size cannot be told, and {} bits are needed",
                strength.bits
            ),
            bits => format!("{bits} bits, and {} are needed", strength.bits),
        })
    }

    /// Whether somebody has said that this key may be old or weak for now.
    pub(super) fn excepts(&self, key: &PublicKey, now: Timestamp) -> bool {
        self.exceptions.iter().any(|one| {
            one.fingerprint.0 == key.fingerprint && one.until.is_none_or(|day| now < day.end())
        })
    }

    /// When the next exception ends.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.exceptions.iter().filter_map(|one| one.until);
        ends.map(Day::end).filter(|end| *end > now).min()
    }
}

/// A type without what tells a certificate, or who defined it: that does not make it stronger.
fn plain(kind: &str) -> String {
    kind.replace("-cert-v01", "").replace("@openssh.com", "")
}

/// A type of key, and how many bits are enough: `ssh-rsa >= 3072`, `ssh-ed25519`, `sk-*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Strength {
    kind: String,
    bits: u32,
}

impl Strength {
    fn of(kind: &str, bits: u32) -> Self {
        let kind = kind.to_owned();
        Self { kind, bits }
    }

    fn fits(&self, kind: &str) -> bool {
        match self.kind.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => plain(&self.kind) == kind,
        }
    }
}

impl TryFrom<String> for Strength {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str =
            "expected a type of key such as \"ssh-ed25519\", \"sk-*\" or \"ssh-rsa >= 3072\"";
        let (kind, bits) = match text.split_once(">=") {
            Some((kind, bits)) => (kind, bits.trim().parse().map_err(|_| EXPECTED)?),
            None => (text.as_str(), 0),
        };
        let kind = kind.trim();
        let name = kind.strip_suffix('*').unwrap_or(kind);
        let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '@');
        if kind.is_empty() || !name.chars().all(plausible) {
            return Err(EXPECTED);
        }
        Ok(Self::of(kind, bits))
    }
}

impl From<Strength> for String {
    fn from(strength: Strength) -> Self {
        match strength.bits {
            0 => strength.kind,
            bits => format!("{} >= {bits}", strength.kind),
        }
    }
}

/// A key that may be older or weaker, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Which key: `SHA256:` and 43 characters, as `ssh-keygen -l` says.
    pub fingerprint: Fingerprint,
    /// Why, for whoever reads the policy.
    pub reason: String,
    /// The last day of it, in UTC, such as `2027-01-31`; without it, for good.
    pub until: Option<Day>,
}

/// The table `[[keys.owners]]`: a person, and keys of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Whose.
    pub person: Person,
    /// Which keys.
    pub keys: Vec<Fingerprint>,
}

/// A person as the policy names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Person(String);

impl TryFrom<String> for Person {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '@' | ' ');
        let ends = text.trim() == text && !text.starts_with('-');
        let is_file = text.ends_with(".pub");
        match !text.is_empty() && text.len() <= 100 && text.chars().all(plain) && ends && !is_file {
            true => Ok(Self(text)),
            false => {
                Err("expected a person's name: letters, digits, `-`, `.`, `_`, `@` and spaces")
            }
        }
    }
}

impl From<Person> for String {
    fn from(person: Person) -> Self {
        person.0
    }
}

/// What tells a key from all others: `SHA256:` and 43 characters of Base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
        match text.strip_prefix("SHA256:") {
            Some(rest) if rest.len() == 43 && rest.chars().all(base64) => Ok(Self(text)),
            _ => Err("expected a fingerprint such as ssh-keygen -l says: SHA256:..."),
        }
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}
