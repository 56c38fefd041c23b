//! Another policy by the operator's hand: what it would change, and having it come into force.

use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;
use watchward_daemon::config::Invalid;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::Ruling;
use super::basis::Brought;
use super::objection::prospect;
use super::session::{Session, ending};
use super::standing::{named, words};
use crate::config::Policy;
use crate::policy::versions::{self, New, Version};
use crate::{keys, restriction};

/// How long a note is at most, in characters.
const NOTE: usize = 500;

const RACED: &str =
    "somebody else has just brought another policy: look at it, and apply yours again";

/// Another policy, with who brings it.
#[derive(Clone, Debug, Default)]
pub(super) struct Proposal {
    pub(super) brought: Brought,
    /// Where the operator comes from, if it is by SSH.
    pub(super) operator: Option<IpAddr>,
    /// Who it is.
    pub(super) author: String,
    /// Why.
    pub(super) note: String,
    /// The version that it goes back to, if it does.
    pub(super) back_to: Option<Version>,
    /// Whether it is to be in force whom it may shut out.
    pub(super) even_so: bool,
    /// The version in force when the operator looked what would come of it; none, if nobody looked.
    pub(super) upon: Option<i64>,
}

/// What another policy would bring about.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outlook {
    /// The version in force; 0 if there is none.
    version: i64,
    /// The version that it goes back to, if it does.
    back_to: Option<Version>,
    /// Whether it is what is in force already.
    same: bool,
    /// How many hosts there are.
    hosts: usize,
    /// The other tables of the file that would change.
    tables: Vec<&'static str>,
    /// What is right and worth a word.
    notices: Vec<String>,
    /// Why it does not come into force unless that is insisted on.
    objection: Option<String>,
    /// The hosts that would shut SSH to the operator.
    shut_to_you: Vec<String>,
    /// Sessions that would end, as far as the access log knows.
    sessions: Vec<Session>,
    /// What would be another about keys.
    keys: keys::Outlook,
    #[serde(flatten)]
    plan: restriction::Plan,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Applied {
    /// The version in force now.
    version: Version,
    outlook: Outlook,
}

/// Why a policy does not come into force.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It is not right, or nobody who may has signed it: in words for the operator.
    #[error("{0}")]
    Wrong(String),
    /// There is none at all.
    #[error("no policy is in force: there is no version of it yet")]
    None,
    /// There is no such version.
    #[error("there is no version {0} of the policy")]
    Missing(i64),
    /// The collector has a problem of its own.
    #[error(transparent)]
    Own(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Own(error.into())
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Wrong(words(&invalid))
    }
}

impl Ruling {
    /// What would come of it.
    pub(super) async fn plan(
        &self,
        proposal: &Proposal,
        now: Timestamp,
    ) -> Result<Outlook, Refusal> {
        let (held, brought) = (self.held(), &proposal.brought);
        let (before, after) = (
            &held.standing.policy,
            held.basis.read(&brought.text, &brought.named)?,
        );
        let sides = (before, &after);
        let prospect = prospect(&self.0.store, sides, (&held.basis, brought), now).await?;
        let (names, mut objections) = (prospect.hosts, prospect.objections);
        let operator = proposal.operator;
        let shut = operator.and_then(|from| after.restriction.shut_to(from, &names, now));
        let shut_to_you = shut.map(|(hosts, place)| {
            let shown = Invalid::misplaced(&brought.named, &brought.text, &place);
            objections.push(words(&shown));
            hosts
        });
        let version = held.standing.version.as_ref();
        let digest = versions::digest(&brought.text);
        let mut notices = after.restriction.notices(now);
        notices.extend(after.restriction.idle(&names));
        notices.extend(restriction::behind_gates(&self.0.store, &after.restriction, now).await?);
        let rules = (&before.keys, &after.keys);
        notices.extend(keys::notices(&self.0.store, rules, &names).await?);
        let sessions = ending(&self.0.store, &prospect.plan, now).await?;
        Ok(Outlook {
            version: version.map_or(0, |version| version.number),
            back_to: proposal.back_to.clone(),
            same: version.is_some_and(|version| version.sha256 == digest),
            hosts: names.len(),
            tables: tables(before, &after),
            notices,
            objection: (!objections.is_empty()).then(|| objections.join("\n")),
            shut_to_you: shut_to_you.unwrap_or_default(),
            sessions,
            keys: prospect.keys,
            plan: prospect.plan,
        })
    }

    /// Has it come into force, on this collector before it returns.
    pub(super) async fn apply(
        &self,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Applied, Refusal> {
        let outlook = self.plan(&proposal, now).await?;
        if proposal.upon.is_some_and(|upon| upon != outlook.version) {
            return Err(Refusal::Wrong(RACED.to_owned()));
        }
        if let (Some(why), false) = (&outlook.objection, proposal.even_so) {
            return Err(Refusal::Wrong(format!(
                "{why}\nIt does not come into force, unless with --even-so"
            )));
        }
        let brought = proposal.brought;
        let signer = self.held().basis.signer(&brought, now);
        let signer = signer.map_err(|why| Refusal::Wrong(format!("{why:#}")))?;
        if let (true, Some(version)) = (outlook.same, self.held().standing.version.clone()) {
            return Ok(Applied { version, outlook });
        }
        let new = New {
            author: proposal.author,
            note: Foreign::from(proposal.note.trim()).shortened(NOTE),
            text: brought.text,
            signature: brought.signature,
            signer,
            back_to: proposal.back_to.map(|version| version.number),
        };
        let mut tx = self.0.store.begin().await?;
        let version = versions::add(&mut tx, &new, now).await.map_err(raced)?;
        tx.commit().await?;
        self.look(now).await?;
        if self.held().file.is_some() {
            // It may be what the file says that was not taken.
            self.take(now).await;
        }
        Ok(Applied { version, outlook })
    }

    /// The version of this number; the one in force, if none is said.
    pub(super) async fn find(&self, number: Option<i64>) -> Result<versions::Whole, Refusal> {
        let in_force = self.held().standing.version.as_ref().map(|it| it.number);
        let number = number.or(in_force).ok_or(Refusal::None)?;
        let found = versions::find(&self.0.store, number).await?;
        found.ok_or(Refusal::Missing(number))
    }

    /// The policy of an earlier version, as somebody proposes it again; if none is said, of the one
    /// before that says something else. After a rollback that is one further back, and not what was
    /// undone.
    pub(super) async fn earlier(
        &self,
        number: Option<i64>,
        proposal: Proposal,
    ) -> Result<Proposal, Refusal> {
        let number = match number {
            Some(number) => number,
            None => self.before().await?,
        };
        let mut found = self.find(Some(number)).await?;
        if let Some(first) = found.version.back_to {
            found = self.find(Some(first)).await?;
        }
        let number = found.version.number;
        let note = match proposal.note.trim() {
            "" => format!("back to version {number}"),
            note => format!("back to version {number}: {note}"),
        };
        let brought = Brought {
            named: named(number).into(),
            text: found.text,
            signature: proposal.brought.signature.or(found.signature),
        };
        Ok(Proposal {
            brought,
            note,
            back_to: Some(found.version),
            ..proposal
        })
    }

    /// The newest version before that says something else.
    async fn before(&self) -> Result<i64, Refusal> {
        let now = self.find(None).await?.version;
        let all = versions::list(&self.0.store, i64::MAX).await?;
        let from = now.back_to.unwrap_or(now.number);
        let mut older = all.iter().filter(|one| one.number < from);
        let before = older.find(|one| one.sha256 != now.sha256);
        let before = before.map(|one| one.number);
        before.ok_or_else(|| {
            Refusal::Wrong(format!(
                "no version before {from} says something else than what is in force: there is none to \
                 go back to; `watchward policy history` lists all, and \
                 `watchward policy rollback NUMBER` brings any of them back"
            ))
        })
    }
}

/// The tables of the file that say something else, but for those of restrictions.
fn tables(before: &Policy, after: &Policy) -> Vec<&'static str> {
    let changed = [
        ("groups", before.groups != after.groups),
        ("networks", before.networks != after.networks),
        ("health", before.health != after.health),
        ("keys", before.keys != after.keys),
        ("alerting", before.alerting != after.alerting),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name).collect()
}

/// Two that come at the same moment take the same number: one of them is first.
fn raced(error: sqlx::Error) -> Refusal {
    let unique = error.as_database_error();
    match unique.is_some_and(|error| error.is_unique_violation()) {
        true => Refusal::Wrong(RACED.to_owned()),
        false => error.into(),
    }
}

/// What errors call a policy that came from a file of this name.
pub(super) fn called(file: Option<&str>) -> Box<Path> {
    let name = file.map(|name| Foreign::from(name).shortened(200));
    Path::new(name.as_deref().unwrap_or("the policy")).into()
}
