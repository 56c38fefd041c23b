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
    /// The agent's connections at the last look, with their peers.
    seen: Vec<([u8; 48], IpAddr)>,
    /// Whom the agent spoke to when bans came last, and when that was.
    peers: Vec<IpAddr>,
    looked: Option<Duration>,
    routes: Routes,
}

impl Protected {
    pub(crate) fn new(routes: Routes) -> Self {
        Self {
            nets: Vec::new(),
            vouched: BTreeMap::new(),
            collectors: Vec::new(),
            seen: Vec::new(),
            peers: Vec::new(),
            looked: None,
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
        nets.extend(guard.never.iter().map(|net| (*net, Veto::Guard)));
        nets.extend(guard.collector.iter().map(|net| (*net, Veto::Collector)));
        nets.extend(self.routes.own()?.into_iter().map(one(Veto::Own)));
        nets.extend(self.routes.gateways()?.into_iter().map(one(Veto::Gateway)));
        nets.extend(resolvers().map(one(Veto::Dns)));
        self.nets = nets;
        Ok(())
    }

    /// Looks whom the agent speaks to. The collector is who it still speaks to at the next look, over
    /// the same connection: checks and probes are short.
    pub(crate) fn find_collector(&mut self, sockets: &mut Sockets, agent: u32) -> io::Result<()> {
        let now_seen = of_agent(sockets, agent)?;
        let stayed = now_seen.iter().filter(|it| self.seen.contains(it));
        for (_, peer) in stayed {
            if !self.collectors.contains(peer) {
                self.collectors.push(*peer);
            }
        }
        let over = self.collectors.len().saturating_sub(MOST_COLLECTORS);
        self.collectors.drain(..over);
        self.seen = now_seen;
        Ok(())
    }

    /// Looks whom the agent speaks to just now, unless it has just been looked: after a start, bans
    /// come before anybody is known for the collector, and its own address may be among them.
    pub(crate) fn find_peers(
        &mut self,
        sockets: &mut Sockets,
        agent: u32,
        now: Duration,
    ) -> io::Result<()> {
        let just = |at: Duration| now < at + Duration::from_secs(1);
        if !self.looked.is_some_and(just) {
            let seen = of_agent(sockets, agent)?;
            self.peers = seen.into_iter().map(|(_, peer)| peer).collect();
            self.looked = Some(now);
        }
        Ok(())
    }

    /// Vouches for an address. Where there are too many, it comes in the place of the one that ends
    /// first, which is given back.
    pub(crate) fn vouch(
        &mut self,
        address: IpAddr,
        until: Duration,
        now: Duration,
    ) -> Option<IpAddr> {
        self.vouched.retain(|_, until| *until > now);
        let full = self.vouched.len() >= MOST_VOUCHED && !self.vouched.contains_key(&address);
        let first = self.vouched.iter().min_by_key(|(_, until)| **until);
        let first = first.map(|(it, _)| *it).filter(|_| full);
        if let Some(first) = first {
            self.vouched.remove(&first);
        }
        self.vouched.insert(address, until);
        first
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
        // Who is vouched for passes before bans are looked at: their neighbours go without that.
        let vouched = || self.vouched(now).any(|(it, _)| *net == IpNet::from(it));
        found
            .map(|(_, why)| *why)
            .or_else(|| self.speaks(net).then_some(Veto::Collector))
            .or_else(|| vouched().then_some(Veto::Vouched))
    }

    /// Whether the collector is in a network.
    pub(crate) fn is_collector(&self, net: &IpNet) -> bool {
        let mut named = self.nets.iter().filter(|(_, why)| *why == Veto::Collector);
        self.speaks(net) || named.any(|(it, _)| net.contains(it))
    }

    /// Whether the agent speaks to somebody there.
    fn speaks(&self, net: &IpNet) -> bool {
        let seen = self.seen.iter().map(|(_, peer)| peer);
        let mut all = self.collectors.iter().chain(&self.peers).chain(seen);
        all.any(|it| net.contains(it))
    }

    /// The networks that pass every gate and every ban. Own addresses come from elsewhere only
    /// forged, and those that are reserved have no business here. Whom the agent speaks to is only
    /// never banned: else whoever has the agent could let anybody in.
    pub(crate) fn never(&self) -> impl Iterator<Item = IpNet> {
        let pass = self
            .nets
            .iter()
            .filter(|(_, why)| !matches!(why, Veto::Own | Veto::Reserved));
        pass.map(|(net, _)| *net)
    }
}

/// The agent's connections with others, and their peers.
fn of_agent(sockets: &mut Sockets, agent: u32) -> io::Result<Vec<([u8; 48], IpAddr)>> {
    let found = sockets.find(|it| it.user == agent && !it.peer.is_loopback())?;
    Ok(found.into_iter().map(|it| (it.id, it.peer)).collect())
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
