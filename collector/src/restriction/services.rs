//! The table `[restriction.services]`: what is reached on a host, by name. Pure.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};
use watchward_protocol::access;
use watchward_protocol::restriction::{MOST_GATES, MOST_PORTS, Ports, Transport};

use crate::policy::networks::Name;

/// Where the table stands in the file.
const TABLE: [&str; 2] = ["restriction", "services"];

/// The services that there are without a word about them: the ports are those that IANA has for
/// them, and the one that everybody has WireGuard on.
const BUILT_IN: [(&str, &[(Transport, u16)]); 3] = [
    ("ssh", &[(Transport::Tcp, 22)]),
    ("openvpn", &[(Transport::Udp, 1194), (Transport::Tcp, 1194)]),
    (WIREGUARD, &[(Transport::Udp, 51_820)]),
];
const WIREGUARD: &str = "wireguard";

/// What people log in to: the services whose logins are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// OpenSSH's server.
    Ssh,
    /// A server of OpenVPN.
    OpenVpn,
    /// WireGuard.
    WireGuard,
}

/// The table `[restriction.services]`: each a list of ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Name, Doors>")]
pub struct Services(BTreeMap<Name, Doors>);

/// The ports of a service: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Door>")]
struct Doors(Vec<Door>);

/// A port, or some next to each other: `tcp/22`, `udp/6000-6010`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Door(Ports);

/// The list `services = [...]` of a rule: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Spanned<Name>>", into = "Vec<Name>")]
pub struct Reached(Vec<Spanned<Name>>);

impl Services {
    /// Looks whether each port is of one service alone: which would a connection be to?
    ///
    /// # Errors
    /// It is of two, or there is too much of something.
    pub(super) fn join(&self) -> Result<(), Misplaced> {
        if self.0.len() > MOST_GATES {
            let message = format!("a host can have {MOST_GATES} gates, and these are more");
            return Err(Misplaced::at_key(&TABLE, message));
        }
        let mut all: Vec<(Ports, &Name)> = Vec::new();
        for (name, doors) in &self.0 {
            if doors.0.len() > MOST_PORTS {
                let message = format!("a service can have {MOST_PORTS} entries, and this has more");
                return Err(Misplaced::at_key(
                    &[TABLE[0], TABLE[1], name.as_str()],
                    message,
                ));
            }
            for door in &doors.0 {
                let met = all.iter().find(|(ports, _)| meet(ports, &door.0));
                if let Some((_, other)) = met {
                    return Err(overlap((name, other), *door));
                }
                all.push((door.0, name));
            }
        }
        Ok(())
    }

    /// The ports of a service.
    pub(super) fn ports(&self, service: &Name) -> Vec<Ports> {
        let doors = self.0.get(service).map(|doors| doors.0.iter());
        doors.into_iter().flatten().map(|door| door.0).collect()
    }

    /// The services, by name.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.keys()
    }
}

impl Default for Services {
    fn default() -> Self {
        BTreeMap::new().into()
    }
}

impl From<BTreeMap<Name, Doors>> for Services {
    fn from(mut said: BTreeMap<Name, Doors>) -> Self {
        for (name, doors) in BUILT_IN {
            let one = |(transport, port): &(Transport, u16)| {
                Door(Ports {
                    transport: *transport,
                    first: *port,
                    last: *port,
                })
            };
            let usual: Vec<Door> = doors.iter().map(one).collect();
            let mut others = said.values().flat_map(|it| &it.0);
            // Whoever has a name of their own for its port had it before this was built in.
            if name == WIREGUARD && others.any(|it| usual.iter().any(|one| meet(&it.0, &one.0))) {
                continue;
            }
            if let Ok(name) = Name::try_from(name.to_owned()) {
                said.entry(name).or_insert(Doors(usual));
            }
        }
        Self(said)
    }
}

impl TryFrom<Vec<Door>> for Doors {
    type Error = &'static str;

    fn try_from(doors: Vec<Door>) -> Result<Self, Self::Error> {
        match doors.is_empty() {
            true => Err("expected at least one port, such as \"tcp/8443\""),
            false => Ok(Self(doors)),
        }
    }
}

impl TryFrom<String> for Door {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str =
            "expected ports such as \"tcp/8443\", \"udp/51820\" or \"tcp/8000-8010\"";
        let (transport, ports) = text.split_once('/').ok_or(EXPECTED)?;
        let transport = match transport {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return Err(EXPECTED),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let number = |text| u16::from_str(text).ok().filter(|port| *port > 0);
        let (first, last) = number(first).zip(number(last)).ok_or(EXPECTED)?;
        match first <= last {
            true => Ok(Self(Ports {
                transport,
                first,
                last,
            })),
            false => Err("expected the lower port first, such as \"tcp/8000-8010\""),
        }
    }
}

impl From<Door> for String {
    fn from(Door(ports): Door) -> Self {
        written(&ports)
    }
}

fn overlap((name, other): (&Name, &Name), door: Door) -> Misplaced {
    let door = String::from(door);
    let here = [TABLE[0], TABLE[1], name.as_str()];
    if name == other {
        return Misplaced::at_key(&here, format!("\"{door}\" is in the list twice"));
    }
    let message = format!("\"{door}\" of \"{name}\" is a port of \"{other}\" too");
    Misplaced::at_key(&here, message).beside_key(
        &[TABLE[0], TABLE[1], other.as_str()],
        format!("this is \"{other}\": whoever connects there could come to one service only"),
    )
}

/// Ports as the policy has them: `tcp/22`.
pub(super) fn written(ports: &Ports) -> String {
    let Ports {
        transport,
        first,
        last,
    } = ports;
    let transport = transport.name();
    match first == last {
        true => format!("{transport}/{first}"),
        false => format!("{transport}/{first}-{last}"),
    }
}

fn meet(one: &Ports, other: &Ports) -> bool {
    one.transport == other.transport && one.first <= other.last && other.first <= one.last
}

impl Reached {
    /// Looks the services up.
    ///
    /// # Errors
    /// There is no such service.
    pub(super) fn join(&self, services: &Services) -> Result<(), Misplaced> {
        let unknown = |name: &&Spanned<Name>| !services.0.contains_key(name.get_ref());
        let Some(name) = self.0.iter().find(unknown) else {
            return Ok(());
        };
        let known: Vec<_> = services.names().map(Name::as_str).collect();
        let message = format!(
            "there is no service \"{}\"; [restriction.services] has: {}",
            name.get_ref(),
            known.join(", ")
        );
        Err(Misplaced::at(name, message))
    }

    /// The services, as the file names them.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(Spanned::get_ref)
    }

    /// Whether this service is one of them.
    pub(super) fn has(&self, service: &str) -> bool {
        self.names().any(|name| name.as_str() == service)
    }

    /// The first that is in both lists, with its two places.
    pub(super) fn shared<'a>(
        &'a self,
        other: &'a Self,
    ) -> Option<(&'a Spanned<Name>, &'a Spanned<Name>)> {
        let pair = |one: &'a Spanned<Name>| {
            let mut others = other.0.iter();
            let same = others.find(|other| other.get_ref() == one.get_ref())?;
            Some((one, same))
        };
        self.0.iter().find_map(pair)
    }

    /// The place of a service in the list; of the first, if it is not there.
    pub(super) fn place(&self, service: &str) -> Option<&Spanned<Name>> {
        let found = self
            .0
            .iter()
            .find(|name| name.get_ref().as_str() == service);
        found.or(self.0.first())
    }
}

impl TryFrom<Vec<Spanned<Name>>> for Reached {
    type Error = &'static str;

    fn try_from(services: Vec<Spanned<Name>>) -> Result<Self, Self::Error> {
        match services.is_empty() {
            true => Err("expected at least one service, such as \"ssh\""),
            false => Ok(Self(services)),
        }
    }
}

impl From<Reached> for Vec<Name> {
    fn from(services: Reached) -> Self {
        let names = services.0.into_iter().map(Spanned::into_inner);
        names.collect()
    }
}

impl Service {
    /// What an event speaks of, if people log in to it over a network.
    pub(super) const fn of(service: access::Service) -> Option<Self> {
        match service {
            access::Service::Sshd => Some(Self::Ssh),
            access::Service::OpenVpn => Some(Self::OpenVpn),
            access::Service::WireGuard => Some(Self::WireGuard),
            access::Service::Sudo | access::Service::Su => None,
        }
    }

    /// Its name, as the policy has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::OpenVpn => "openvpn",
            Self::WireGuard => WIREGUARD,
        }
    }
}
