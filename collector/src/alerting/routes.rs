//! Routes: who is told of which incidents. Pure.

use serde::{Deserialize, Serialize};

use super::Severity;
use super::about::{About, Groups, Room};
use super::config::{Contact, Name};

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
    /// Only what is about a host of these groups; every incident, if there are none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The names of those who are told, as in `[[alerting.contacts]]` of `collector.toml`.
    pub contacts: Vec<Name>,
    /// Go on with the routes below, and tell those too.
    #[serde(default, rename = "continue")]
    pub go_on: bool,
}

impl Routes {
    /// The first contact that a route names and nobody has configured, with the number of the
    /// route, from zero.
    pub fn unknown_contact<'a>(&'a self, contacts: &[Contact]) -> Option<(usize, &'a Name)> {
        let known = |name: &Name| contacts.iter().any(|one| one.name == *name);
        self.routes.iter().enumerate().find_map(|(number, route)| {
            let unknown = route.contacts.iter().find(|name| !known(name));
            unknown.map(|name| (number, name))
        })
    }

    /// Of these contacts, those who are to be told. Who is not there any more is left out; if nobody
    /// is left, it is everybody.
    pub(super) fn pick(
        &self,
        contacts: &[Contact],
        about: About<'_>,
        groups: &Groups,
    ) -> Vec<Contact> {
        let mut named = Vec::new();
        for route in &self.routes {
            if route.matches(about, groups) {
                named.extend(&route.contacts);
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
    fn matches(&self, about: About<'_>, groups: &Groups) -> bool {
        let severity = self.severities.is_empty() || self.severities.contains(&about.severity);
        let from = self.from.is_none_or(|from| about.severity >= from);
        let room =
            self.rooms.is_empty() || about.room.is_some_and(|room| self.rooms.contains(&room));
        let has = |group: &String| groups.have(group, about.host);
        let group = self.groups.is_empty() || self.groups.iter().any(has);
        severity && from && room && group
    }
}
