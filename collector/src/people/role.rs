//! Roles, and what each of them may see and do. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody is here for. A person may have several roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything, and who else may do what.
    Administrator,
    /// Runs the hosts.
    Operator,
    /// Answers when something is wrong.
    OnCall,
    /// Reviews who got in, with which key, and what people did here.
    Security,
    /// Has access to hosts, and looks after nothing but their own account.
    Access,
}

/// What a page, or what is done on it, needs of whoever asks. All that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// To have signed in: one's own password, and the way out.
    Own,
    /// To see what is: hosts, incidents, the access log, keys, bans, the policy.
    See,
    /// To answer incidents: to take one on, and to silence.
    Answer,
    /// To shut somebody out of hosts, or to let them in again.
    Ban,
    /// To say of a new key that it is right.
    Accept,
    /// To see who has an account, and what people did.
    Audit,
    /// To say who has an account, and with which roles.
    People,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Administrator,
        Self::Operator,
        Self::OnCall,
        Self::Security,
        Self::Access,
    ];

    /// Its name, as people type it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::OnCall => "on-call",
            Self::Security => "security",
            Self::Access => "access",
        }
    }

    /// What it is for, in a few words.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Administrator => "everything, and who else may do what",
            Self::Operator => "runs the hosts: incidents, silences, bans, keys",
            Self::OnCall => "answers incidents, silences, bans",
            Self::Security => "reviews logins, keys, and what people did here",
            Self::Access => "has access to hosts, and sees nothing here",
        }
    }

    /// Whether it may.
    pub const fn may(self, needs: Needs) -> bool {
        match needs {
            Needs::Own => true,
            Needs::See => !matches!(self, Self::Access),
            Needs::Answer | Needs::Ban => {
                matches!(self, Self::Administrator | Self::Operator | Self::OnCall)
            }
            Needs::Accept => {
                matches!(self, Self::Administrator | Self::Operator | Self::Security)
            }
            Needs::Audit => matches!(self, Self::Administrator | Self::Security),
            Needs::People => matches!(self, Self::Administrator),
        }
    }

    /// The role of this name.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl Needs {
    /// The roles that may.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| role.may(self))
    }
}

/// The roles of one person, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Whether one of them may.
    pub fn may(&self, needs: Needs) -> bool {
        needs == Needs::Own || self.0.iter().any(|role| role.may(needs))
    }

    /// Whether this is one of them.
    pub fn has(&self, role: &Role) -> bool {
        self.0.contains(role)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are kept. A word that this version does not know gives nothing.
    pub(super) fn kept(words: &str) -> Self {
        words.split(' ').filter_map(Role::of).collect()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        let mut roles: Vec<_> = roles.into_iter().collect();
        roles.sort_unstable();
        roles.dedup();
        Self(roles)
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(vec![role])
    }
}

impl fmt::Display for Roles {
    /// Their names, with a space between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, role) in self.0.iter().enumerate() {
            let space = if place > 0 { " " } else { "" };
            write!(f, "{space}{}", role.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_role_may_nothing_but_their_own() {
        let nobody = Roles::kept("king of-hosts");
        assert!(nobody.is_empty() && nobody.may(Needs::Own) && !nobody.may(Needs::See));
    }

    #[test]
    fn of_several_roles_each_counts() {
        let both: Roles = [Role::Security, Role::OnCall, Role::Security]
            .into_iter()
            .collect();
        assert_eq!(both.to_string(), "on-call security");
        assert_eq!(Roles::kept("on-call security"), both);
        assert!(both.may(Needs::Audit) && both.may(Needs::Answer) && !both.may(Needs::People));
    }
}
