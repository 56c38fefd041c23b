//! Routes: who is told of which incidents. Pure.

use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};

use super::about::{About, Room};
use super::config::{Contact, Name};
use super::{Severity, kinds};
use crate::policy::{Groups, Members};

/// The table `[alerting]` of `policy.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routes {
    /// Tried from the first to the last. An incident that none matches is told to everybody.
    pub routes: Vec<Route>,
}

/// `[[alerting.routes]]`: who is told of what matches all that is said here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Only these severities; all, if there are none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<Severity>,
    /// Only from this severity on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Severity>,
    /// Only what these rooms raise; all, if there are none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rooms: Vec<Room>,
    /// Only what is about a host of these groups; every incident, without this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Members>,
    /// The names of those who are told, as in `[[alerting.contacts]]` of `collector.toml`.
    pub contacts: Vec<Spanned<Name>>,
    /// Go on with the routes below, and tell those too.
    #[serde(default, rename = "continue")]
    pub go_on: bool,
}

impl Routes {
    /// Looks up the groups that routes name, and the contacts, if they are known.
    ///
    /// # Errors
    /// There is no such group, or no such contact.
    pub fn join(&mut self, groups: &Groups, contacts: Option<&[Contact]>) -> Result<(), Misplaced> {
        for route in &mut self.routes {
            if let Some(members) = &mut route.groups {
                members.join(groups)?;
            }
            let Some(contacts) = contacts else { continue };
            let known = |name: &Name| contacts.iter().any(|one| one.name == *name);
            let stranger = route.contacts.iter().find(|name| !known(name.get_ref()));
            if let Some(name) = stranger {
                return Err(unknown(name, contacts));
            }
        }
        Ok(())
    }

    /// Of these contacts, those who are to be told. Who is not there any more is left out; if nobody
    /// is left, it is everybody.
    pub(super) fn pick(&self, contacts: &[Contact], about: About<'_>) -> Vec<Contact> {
        if kinds::is_for_everybody(about.key) {
            return contacts.to_vec();
        }
        let mut named = Vec::new();
        for route in &self.routes {
            if route.matches(about) {
                named.extend(route.contacts.iter().map(Spanned::get_ref));
                if !route.go_on {
                    break;
                }
            }
        }
        let picked: Vec<_> = contacts
            .iter()
            .filter(|contact| named.contains(&&contact.name))
            .cloned()
            .collect();
        if picked.is_empty() {
            return contacts.to_vec();
        }
        picked
    }
}

impl Route {
    fn matches(&self, about: About<'_>) -> bool {
        let severity = self.severities.is_empty() || self.severities.contains(&about.severity);
        let from = self.from.is_none_or(|from| about.severity >= from);
        let room =
            self.rooms.is_empty() || about.room.is_some_and(|room| self.rooms.contains(&room));
        let of = |members: &Members| about.host.is_some_and(|host| members.has(host));
        let group = self.groups.as_ref().is_none_or(of);
        severity && from && room && group
    }
}

fn unknown(name: &Spanned<Name>, contacts: &[Contact]) -> Misplaced {
    let known: Vec<_> = contacts.iter().map(|one| one.name.as_str()).collect();
    let known = match known[..] {
        [] => "collector.toml has no [[alerting.contacts]] yet: name them there first".to_owned(),
        _ => format!(
            "[[alerting.contacts]] in collector.toml has: {}",
            known.join(", ")
        ),
    };
    let message = format!("there is no contact \"{}\"; {known}", name.get_ref());
    Misplaced::at(name, message)
}
