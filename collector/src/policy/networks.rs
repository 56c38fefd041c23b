//! The table `[networks]`: addresses by name, so that rules can say from where. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};

/// The table `[networks]`: each a list of networks, addresses, and names of other such lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Name, Entries>", into = "BTreeMap<Name, Vec<Entry>>")]
pub struct Networks {
    said: BTreeMap<Name, Entries>,
    sets: BTreeMap<Name, Arc<NetSet>>,
}

/// The name of a list of networks: a letter, then letters, digits, `-`, `_`, `.`; at most 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A list that says something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Spanned<Entry>>")]
struct Entries(Vec<Spanned<Entry>>);

/// What such a list holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
enum Entry {
    /// A network; an address is the smallest.
    Net(IpNet),
    /// All of another list.
    Other(Name),
}

/// Addresses: networks that do not overlap, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetSet(Vec<IpNet>);

impl Networks {
    /// Looks up the lists that lists name; before that all are empty.
    ///
    /// # Errors
    /// There is no such list, or one names itself.
    pub fn join(&mut self) -> Result<(), Misplaced> {
        for (name, list) in &self.said {
            list.apart()?;
            let (mut nets, mut seen) = (Vec::new(), BTreeSet::from([name]));
            self.gather(name, (&mut seen, name), &mut nets)?;
            let set = Arc::new(NetSet::of(&nets));
            self.sets.insert(name.clone(), set);
        }
        Ok(())
    }

    /// The addresses of a list that is named somewhere.
    ///
    /// # Errors
    /// There is no such list.
    pub fn find(&self, name: &Spanned<Name>) -> Result<Arc<NetSet>, Misplaced> {
        let found = self.sets.get(name.get_ref()).cloned();
        found.ok_or_else(|| self.unknown(name, name.get_ref()))
    }

    /// All lists, by name.
    pub fn all(&self) -> impl Iterator<Item = (&Name, &NetSet)> {
        self.sets.iter().map(|(name, set)| (name, &**set))
    }

    /// Gathers what a list holds. A list that came in by two ways counts once.
    fn gather<'a>(
        &'a self,
        name: &'a Name,
        (seen, first): (&mut BTreeSet<&'a Name>, &Name),
        nets: &mut Vec<IpNet>,
    ) -> Result<(), Misplaced> {
        for entry in self.said.get(name).into_iter().flat_map(|list| &list.0) {
            match entry.get_ref() {
                Entry::Net(net) => nets.push(*net),
                Entry::Other(other) if other == first => {
                    let message = format!("the network \"{first}\" would hold itself");
                    return Err(Misplaced::at(entry, message));
                }
                Entry::Other(other) if !self.said.contains_key(other) => {
                    return Err(self.unknown(entry, other));
                }
                Entry::Other(other) => {
                    if seen.insert(other) {
                        self.gather(other, (seen, first), nets)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn unknown<T>(&self, place: &Spanned<T>, name: &Name) -> Misplaced {
        let known: Vec<_> = self.said.keys().map(Name::as_str).collect();
        let known = match known.is_empty() {
            true => "is empty".to_owned(),
            false => format!("has: {}", known.join(", ")),
        };
        let message = format!("there is no network \"{name}\"; [networks] {known}");
        Misplaced::at(place, message)
    }
}

impl Entries {
    /// Looks whether an entry says again what another has said: one of them is a mistake.
    fn apart(&self) -> Result<(), Misplaced> {
        let net = |entry: &'_ Spanned<Entry>| match entry.get_ref() {
            Entry::Net(net) => Some(*net),
            Entry::Other(_) => None,
        };
        let nets = self.0.iter().filter_map(|entry| Some((net(entry)?, entry)));
        let mut nets: Vec<_> = nets.collect();
        // In this order a network comes right after the widest that holds it, or after others in it.
        nets.sort_by_key(|(net, entry)| (*net, entry.span().start));
        let mut widest: Option<(IpNet, &Spanned<Entry>)> = None;
        for (net, entry) in nets {
            match widest {
                Some((wide, other)) if wide.contains(&net) => {
                    let message = format!("{net} is in {wide}, which is in the list too");
                    return Err(Misplaced::at(entry, message).beside(other, "here it is"));
                }
                Some(_) | None => widest = Some((net, entry)),
            }
        }
        Ok(())
    }
}

impl NetSet {
    fn of(nets: &Vec<IpNet>) -> Self {
        let mut nets = IpNet::aggregate(nets);
        nets.sort_unstable();
        Self(nets)
    }

    /// Whether an address is in it. An IPv4 address written as an IPv6 one is the IPv4 address.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let after = self.0.partition_point(|net| net.network() <= address);
        let before = after.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|net| net.contains(&address))
    }

    /// The networks, in order, as few as there can be.
    pub fn nets(&self) -> &[IpNet] {
        &self.0
    }
}

impl From<BTreeMap<Name, Entries>> for Networks {
    fn from(said: BTreeMap<Name, Entries>) -> Self {
        let sets = BTreeMap::new();
        Self { said, sets }
    }
}

impl From<Networks> for BTreeMap<Name, Vec<Entry>> {
    fn from(networks: Networks) -> Self {
        let plain = |list: Entries| list.0.into_iter().map(Spanned::into_inner).collect();
        let lists = networks.said.into_iter();
        lists.map(|(name, list)| (name, plain(list))).collect()
    }
}

impl TryFrom<Vec<Spanned<Entry>>> for Entries {
    type Error = &'static str;

    fn try_from(entries: Vec<Spanned<Entry>>) -> Result<Self, Self::Error> {
        if entries.is_empty() {
            return Err("expected at least one network: nobody can come from none");
        }
        Ok(Self(entries))
    }
}

/// A text that is none of what a list of networks holds.
#[derive(Debug, thiserror::Error)]
enum NotANetwork {
    /// It is nothing of the kind.
    #[error(
        "{0:?} is neither a network such as \"192.0.2.0/24\" or \"2001:db8::/32\", nor an \
         address, nor the name of another list"
    )]
    Nothing(String),
    /// It is an address within a network, and could be either.
    #[error(
        "{address} is an address in {network}: write \"{network}\" for the network, or \"{address}\""
    )]
    Either {
        /// The address.
        address: IpAddr,
        /// The network.
        network: IpNet,
    },
}

impl TryFrom<String> for Entry {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.to_canonical().into()));
        }
        if let Ok(net) = text.parse::<IpNet>() {
            let net = canonical(net);
            let (address, network) = (net.addr(), net.trunc());
            return if address == network.addr() {
                Ok(Self::Net(net))
            } else {
                Err(NotANetwork::Either { address, network })
            };
        }
        match Name::try_from(text.clone()) {
            Ok(name) => Ok(Self::Other(name)),
            Err(_) => Err(NotANetwork::Nothing(text)),
        }
    }
}

/// Whether an address can be reached from the Internet, or is none in particular.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            let [first, second, ..] = four.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            !(four.is_loopback() || four.is_private() || four.is_link_local() || shared)
        }
        IpAddr::V6(six) => {
            !(six.is_loopback() || six.is_unique_local() || six.is_unicast_link_local())
        }
    }
}

/// A network of IPv4 addresses written as IPv6 ones (`::ffff:192.0.2.0/120`) is the network of
/// IPv4 addresses that it says it is.
pub fn canonical(net: IpNet) -> IpNet {
    let (IpAddr::V4(address), Some(prefix)) =
        (net.addr().to_canonical(), net.prefix_len().checked_sub(96))
    else {
        return net;
    };
    match net {
        IpNet::V4(_) => net,
        IpNet::V6(_) => Ipv4Net::new(address, prefix).map_or(net, IpNet::V4),
    }
}

impl From<Entry> for String {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Net(net) => net.to_string(),
            Entry::Other(name) => name.0,
        }
    }
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no name of a list of networks, or of a service.
#[derive(Debug, thiserror::Error)]
pub enum NotAName {
    /// It is nothing of the kind.
    #[error(
        "{0:?} is no name: that is a letter, then letters, digits, \"-\", \"_\" or \".\"; at most 64"
    )]
    Nothing(String),
    /// It is what has a name.
    #[error("\"{0}\" has no name here: write name = [\"{0}\"] under [networks], and say that name")]
    Net(String),
    /// The same of ports.
    #[error(
        "\"{0}\" has no name here: write name = [\"{0}\"] under [restriction.services], and say that \
         name (\"ssh\" and \"openvpn\" are there without a word)"
    )]
    Ports(String),
}

impl NotAName {
    fn of(text: String) -> Self {
        let is_net = text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok();
        match is_net {
            true => Self::Net(text),
            false if text.starts_with("tcp/") || text.starts_with("udp/") => Self::Ports(text),
            false => Self::Nothing(text),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let fits = begins && text.len() <= 64 && text.bytes().all(plain);
        if fits {
            Ok(Self(text))
        } else {
            Err(NotAName::of(text))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
