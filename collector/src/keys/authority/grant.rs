//! Who is given a certificate, and what it says: the tables `[[keys.certificates]]` of `policy.toml`.

use serde::{Deserialize, Serialize};
use watchward_daemon::place::Misplaced;
use watchward_protocol::span::Span;

use super::certificate::MOST_NETWORKS;
use crate::people::{Role, Roles};
use crate::policy::{Networks, Origins};

/// The table `[[keys.certificates]]`: the first that somebody fits decides, and whoever fits none is
/// given none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// For people with one of these roles.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// For people of these names.
    #[serde(default)]
    pub people: Vec<String>,
    /// From where it is given, and from where alone it opens anything: names of networks.
    pub from: Origins,
    /// How long it counts.
    #[serde(default)]
    pub life: Life,
    /// Whether ports may be forwarded through what it opens.
    #[serde(default)]
    pub forwarding: bool,
}

/// How long a certificate counts: a minute to a day. It is not taken back everywhere at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct Life(Span);

impl Grant {
    /// Looks up the networks.
    ///
    /// # Errors
    /// There is no such network, there are too many, or the table is for nobody.
    pub(in crate::keys) fn join(&mut self, networks: &Networks) -> Result<(), Misplaced> {
        self.from.join(networks)?;
        let count = self.from.nets().count();
        if count > MOST_NETWORKS {
            return Err(self.from.misplaced(format!(
                "these are {count} networks, and a certificate can be bound to {MOST_NETWORKS}"
            )));
        }
        if self.roles.is_empty() && self.people.is_empty() {
            let message =
                "for whom? roles = [\"operator\"] or people = [\"ada\"] is missing beside it";
            return Err(self.from.misplaced(message));
        }
        Ok(())
    }

    /// Whether it is for this person.
    pub(in crate::keys) fn is_for(&self, name: &str, roles: &Roles) -> bool {
        self.people.iter().any(|one| one == name) || self.roles.iter().any(|role| roles.has(role))
    }

    /// How long it counts.
    pub(super) fn life(&self) -> Span {
        self.life.0
    }
}

impl Default for Life {
    fn default() -> Self {
        Self(Span::minutes(8 * 60))
    }
}

impl TryFrom<Span> for Life {
    type Error = &'static str;

    fn try_from(span: Span) -> Result<Self, Self::Error> {
        match (Span::minutes(1)..=Span::days(1)).contains(&span) {
            true => Ok(Self(span)),
            false => Err("expected a life of \"1m\" to \"1d\""),
        }
    }
}

impl From<Life> for Span {
    fn from(life: Life) -> Self {
        life.0
    }
}
