//! Who is shut out, and for how long: what the kernel should hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use ipnet::IpNet;

use crate::netlink::elements::Element;

/// A kind of network: of which family, and how long its prefix is. Each has a set in the kernel, as
/// looking an address up there costs the same however many are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) ipv6: bool,
    pub(crate) length: u8,
}

impl Shape {
    /// Those that every packet is looked up for; of others, only once there is one.
    pub(crate) const USUAL: [Self; 3] = [
        Self::new(false, 32),
        Self::new(true, 64),
        Self::new(true, 56),
    ];

    pub(crate) const fn new(ipv6: bool, length: u8) -> Self {
        Self { ipv6, length }
    }

    pub(crate) fn of(net: &IpNet) -> Self {
        Self::new(matches!(net, IpNet::V6(_)), net.prefix_len())
    }

    /// All that there can be.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let ipv4 = (8..=32).map(|length| Self::new(false, length));
        ipv4.chain((32..=128).map(|length| Self::new(true, length)))
    }

    /// The network of this kind that an address is in.
    pub(crate) fn net(self, address: IpAddr) -> Option<IpNet> {
        let same = address.is_ipv6() == self.ipv6;
        let net = IpNet::new(address, self.length).ok().filter(|_| same)?;
        Some(net.trunc())
    }

    /// The name of its set.
    pub(crate) fn set(self) -> String {
        let family = if self.ipv6 { 6 } else { 4 };
        format!("banned{family}_{}", self.length)
    }
}

/// The bans, each with the moment it ends.
#[derive(Debug)]
pub(crate) struct Bans {
    until: BTreeMap<IpNet, Duration>,
    shapes: BTreeSet<Shape>,
    /// When room was made last.
    made_room: Option<Duration>,
}

impl Bans {
    /// None, and the kinds that there usually are.
    pub(crate) fn new() -> Self {
        Self {
            until: BTreeMap::new(),
            shapes: BTreeSet::from(Shape::USUAL),
            made_room: None,
        }
    }

    /// The kinds that there were, or usually are.
    pub(crate) fn shapes(&self) -> &BTreeSet<Shape> {
        &self.shapes
    }

    /// Whether this kind is new, so that the kernel has no set for it yet.
    pub(crate) fn learn(&mut self, shape: Shape) -> bool {
        self.shapes.insert(shape)
    }

    pub(crate) fn put(&mut self, net: IpNet, until: Duration) {
        self.shapes.insert(Shape::of(&net));
        self.until.insert(net, until);
    }

    /// Whether it was there.
    pub(crate) fn take(&mut self, net: &IpNet) -> bool {
        self.until.remove(net).is_some()
    }

    pub(crate) fn has(&self, net: &IpNet) -> bool {
        self.until.contains_key(net)
    }

    /// How many there are; those that have ended may still be counted.
    pub(crate) fn count(&self) -> usize {
        self.until.len()
    }

    /// Forgets those that have ended.
    pub(crate) fn forget(&mut self, now: Duration) {
        self.until.retain(|_, until| *until > now);
    }

    /// Forgets those that have ended, but not twice in a second: all of them are looked at.
    pub(crate) fn make_room(&mut self, now: Duration) {
        let just = |at: Duration| now < at + Duration::from_secs(1);
        if !self.made_room.is_some_and(just) {
            self.made_room = Some(now);
            self.forget(now);
        }
    }

    /// The first so many behind this one.
    pub(crate) fn after(
        &self,
        after: Option<IpNet>,
        now: Duration,
        most: usize,
    ) -> impl Iterator<Item = (IpNet, Duration)> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.until.range((behind, Bound::Unbounded));
        let left = rest.map(move |(net, until)| (*net, until.saturating_sub(now)));
        left.filter(|(_, left)| !left.is_zero()).take(most)
    }

    /// All of one kind.
    pub(crate) fn of(&self, shape: Shape, now: Duration) -> Vec<Element> {
        let all = self.after(None, now, usize::MAX);
        let of = all.filter(|(net, _)| Shape::of(net) == shape);
        of.map(|(net, left)| element(&net, left)).collect()
    }

    /// Whether somebody at this address is shut out.
    pub(crate) fn hold(&self, address: IpAddr, now: Duration) -> bool {
        let nets = self.shapes.iter().filter_map(|shape| shape.net(address));
        nets.filter_map(|net| self.until.get(&net))
            .any(|until| *until > now)
    }
}

/// A network as its set has it: its first address.
pub(crate) fn element(net: &IpNet, left: Duration) -> Element {
    Element {
        address: net.addr(),
        left,
    }
}
