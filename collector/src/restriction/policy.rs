//! The table `[restriction]` of the policy: who may reach what from where.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};
use watchward_protocol::access;

use super::networks::{Name, NetSet, Networks};
use crate::policy::{Groups, Members};

/// The table `[restriction]` of the policy. A service of a host that no rule speaks of is open to everywhere;
/// where several do, each permits more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// The rules, each as `[[restriction.rules]]`.
    pub rules: Vec<Rule>,
}

/// What the policy says of networks: the tables `[networks]` and `[restriction]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Addresses by name.
    pub networks: Networks,
    /// Who may reach what from where.
    pub table: Table,
}

/// The table `[[restriction.rules]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For the hosts of these groups.
    pub groups: Members,
    /// What is reached there.
    pub services: Services,
    /// From where it may be.
    pub from: Origins,
}

/// What people log in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// OpenSSH's server.
    Ssh,
    /// A server of OpenVPN.
    OpenVpn,
}

/// The list `services = [...]`: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Service>", into = "Vec<Service>")]
pub struct Services(Vec<Service>);

/// The list `from = [...]`: names of networks, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Spanned<Name>>", into = "Vec<Name>")]
pub struct Origins {
    names: Vec<Spanned<Name>>,
    sets: Vec<Arc<NetSet>>,
}

/// Whether an address is one from which a service may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// No rule speaks of it.
    Open,
    /// It is.
    Inside,
    /// It is not: these networks would be.
    Outside(Vec<&'a Name>),
}

impl Policy {
    /// Both tables, after they were joined.
    pub const fn of(networks: Networks, table: Table) -> Self {
        Self { networks, table }
    }
}

impl Table {
    /// Looks up the groups and networks that rules name.
    ///
    /// # Errors
    /// There is no such group or network.
    pub fn join(&mut self, groups: &Groups, networks: &Networks) -> Result<(), Misplaced> {
        for rule in &mut self.rules {
            rule.groups.join(groups)?;
            rule.from.join(networks)?;
        }
        Ok(())
    }

    /// Whether a service of a host may be reached from an address.
    pub(super) fn place(&self, host: &str, service: Service, address: IpAddr) -> Place<'_> {
        let about = |rule: &&Rule| rule.services.0.contains(&service) && rule.groups.has(host);
        let mut permitted = Vec::new();
        for rule in self.rules.iter().filter(about) {
            if rule.from.has(address) {
                return Place::Inside;
            }
            permitted.extend(rule.from.names());
        }
        if permitted.is_empty() {
            return Place::Open;
        }
        permitted.sort_unstable();
        permitted.dedup();
        Place::Outside(permitted)
    }
}

impl Origins {
    /// The networks, as the file names them.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().map(Spanned::get_ref)
    }

    fn join(&mut self, networks: &Networks) -> Result<(), Misplaced> {
        let sets = self.names.iter().map(|name| networks.find(name));
        self.sets = sets.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn has(&self, address: IpAddr) -> bool {
        self.sets.iter().any(|set| set.has(address))
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

impl Services {
    /// The services.
    pub(super) fn iter(&self) -> impl Iterator<Item = Service> {
        self.0.iter().copied()
    }
}

impl TryFrom<Vec<Service>> for Services {
    type Error = &'static str;

    fn try_from(services: Vec<Service>) -> Result<Self, Self::Error> {
        if services.is_empty() {
            return Err("expected at least one service: \"ssh\", \"openvpn\"");
        }
        Ok(Self(services))
    }
}

impl From<Services> for Vec<Service> {
    fn from(services: Services) -> Self {
        services.0
    }
}

impl Service {
    /// What an event speaks of, if people log in to it over a network.
    pub(super) const fn of(service: access::Service) -> Option<Self> {
        match service {
            access::Service::Sshd => Some(Self::Ssh),
            access::Service::OpenVpn => Some(Self::OpenVpn),
            access::Service::Sudo | access::Service::Su => None,
        }
    }

    /// Its name, as the policy has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::OpenVpn => "openvpn",
        }
    }
}
