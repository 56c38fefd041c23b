//! A list `from = [...]` of the policy: whoever comes from one of these networks. Pure.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};

use super::networks::{Name, NetSet, Networks};

/// The list `from = [...]`: names of networks, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Spanned<Name>>", into = "Vec<Name>")]
pub struct Origins {
    names: Vec<Spanned<Name>>,
    sets: Vec<Arc<NetSet>>,
}

impl Origins {
    /// The networks, as the file names them.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().map(Spanned::get_ref)
    }

    /// Looks up the lists that are named; before that they are empty.
    ///
    /// # Errors
    /// There is no such list.
    pub fn join(&mut self, networks: &Networks) -> Result<(), Misplaced> {
        let sets = self.names.iter().map(|name| networks.find(name));
        self.sets = sets.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Something that is wrong with them, shown at the first.
    pub fn misplaced(&self, message: impl Into<String>) -> Misplaced {
        match self.names.first() {
            Some(first) => Misplaced::at(first, message),
            None => Misplaced::at_key(&["from"], message),
        }
    }

    /// Whether an address is in one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.sets.iter().any(|set| set.has(address))
    }

    /// What they hold together.
    pub fn nets(&self) -> impl Iterator<Item = IpNet> {
        self.sets.iter().flat_map(|set| set.nets().iter().copied())
    }
}

impl TryFrom<Vec<Spanned<Name>>> for Origins {
    type Error = &'static str;

    fn try_from(names: Vec<Spanned<Name>>) -> Result<Self, Self::Error> {
        if names.is_empty() {
            return Err("expected at least one name of [networks]: nobody can come from none");
        }
        let sets = Vec::new();
        Ok(Self { names, sets })
    }
}

impl From<Origins> for Vec<Name> {
    fn from(origins: Origins) -> Self {
        let names = origins.names.into_iter().map(Spanned::into_inner);
        names.collect()
    }
}
