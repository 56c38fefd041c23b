//! Addresses that nothing shuts out.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::answer::Veto;
use crate::guard::Guard;
use crate::netlink::routes::Routes;
use crate::netlink::sockets::Sockets;

/// Of no single peer: this machine, this link, many receivers, nobody.
const RESERVED: [&str; 9] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "::/127",
    "::ffff:0:0/96",
    "fe80::/10",
    "ff00::/8",
    "64:ff9b::/96",
];

/// Where name servers are said, and where systemd-resolved says those that it asks itself.
const RESOLVERS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// How many addresses may be vouched for at once.
const MOST_VOUCHED: usize = 256;

/// How many collectors are remembered; the agent speaks to one.
const MOST_COLLECTORS: usize = 16;

/// The addresses, and why.
pub(crate) struct Protected {
    nets: Vec<(IpNet, Veto)>,
    vouched: BTreeMap<IpAddr, Duration>,
    collectors: Vec<IpAddr>,
    /// The agent's connections at the last look.
    seen: Vec<[u8; 48]>,
    routes: Routes,
}

impl Protected {
    pub(crate) fn new(routes: Routes) -> Self {
        Self {
            nets: Vec::new(),
            vouched: BTreeMap::new(),
            collectors: Vec::new(),
            seen: Vec::new(),
            routes,
        }
    }

    /// Where changes of addresses and routes are heard.
    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Looks who the addresses belong to now.
    pub(crate) fn look(&mut self, guard: &Guard) -> io::Result<()> {
        self.routes.hear()?;
        let one = |veto: Veto| move |address: IpAddr| (IpNet::from(address.to_canonical()), veto);
        let reserved = RESERVED.iter().filter_map(|net| net.parse().ok());
        let mut nets: Vec<(IpNet, Veto)> = reserved.map(|net| (net, Veto::Reserved)).collect();
        nets.extend(guard.never.iter().map(|net| (net.trunc(), Veto::Guard)));
        nets.extend(
            guard
                .collector
                .iter()
                .map(|net| (net.trunc(), Veto::Collector)),
        );
        nets.extend(self.routes.own()?.into_iter().map(one(Veto::Own)));
        nets.extend(self.routes.gateways()?.into_iter().map(one(Veto::Gateway)));
        nets.extend(resolvers().map(one(Veto::Dns)));
        nets.extend(self.collectors.iter().copied().map(one(Veto::Collector)));
        self.nets = nets;
        Ok(())
    }

    /// Looks whom the agent speaks to. The collector is who it still speaks to at the next look, over
    /// the same connection: checks and probes are short.
    pub(crate) fn find_collector(&mut self, sockets: &mut Sockets, agent: u32) -> io::Result<()> {
        let of_agent = sockets.find(|it| it.user == agent && !it.peer.is_loopback())?;
        let stayed = of_agent.iter().filter(|it| self.seen.contains(&it.id));
        for peer in stayed.map(|it| it.peer) {
            if !self.collectors.contains(&peer) {
                self.collectors.push(peer);
            }
        }
        let over = self.collectors.len().saturating_sub(MOST_COLLECTORS);
        self.collectors.drain(..over);
        self.seen = of_agent.into_iter().map(|it| it.id).collect();
        Ok(())
    }

    /// Vouches for an address; false where too many are vouched for.
    pub(crate) fn vouch(&mut self, address: IpAddr, until: Duration, now: Duration) -> bool {
        self.vouched.retain(|_, until| *until > now);
        let room = self.vouched.len() < MOST_VOUCHED || self.vouched.contains_key(&address);
        if room {
            self.vouched.insert(address, until);
        }
        room
    }

    /// The addresses that are vouched for, with what is left of their time.
    pub(crate) fn vouched(&self, now: Duration) -> impl Iterator<Item = (IpAddr, Duration)> {
        let left = self
            .vouched
            .iter()
            .map(move |(it, until)| (*it, until.saturating_sub(now)));
        left.filter(|(_, left)| !left.is_zero())
    }

    /// Why this network must not be shut out, if it must not.
    pub(crate) fn veto(&self, net: &IpNet, now: Duration) -> Option<Veto> {
        let touches = |it: &IpNet| it.contains(net) || net.contains(it);
        let found = self.nets.iter().find(|(it, _)| touches(it));
        let vouched = || self.vouched(now).any(|(it, _)| net.contains(&it));
        found
            .map(|(_, why)| *why)
            .or_else(|| vouched().then_some(Veto::Vouched))
    }

    /// The networks that pass every gate and every ban. Own addresses come from elsewhere only
    /// forged, and those that are reserved have no business here.
    pub(crate) fn never(&self) -> impl Iterator<Item = IpNet> {
        let pass = self
            .nets
            .iter()
            .filter(|(_, why)| !matches!(why, Veto::Own | Veto::Reserved));
        pass.map(|(net, _)| *net)
    }
}

fn resolvers() -> impl Iterator<Item = IpAddr> {
    let texts = RESOLVERS
        .into_iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let found: Vec<IpAddr> = texts.flat_map(|text| named(&text)).collect();
    found.into_iter().filter(|address| !address.is_loopback())
}

/// The name servers of a `resolv.conf`; of IPv6 without the zone.
fn named(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().filter(|word| *word == "nameserver");
        let address = first.and_then(|_| words.next())?;
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(server).take(64).collect()
}
