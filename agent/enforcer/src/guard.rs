//! The guard file: how far this host lets anybody go. Only its root writes it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use crate::answer::Limits;
use crate::gates::{Ports, Protocol};
use crate::keys::{Digest, read_fingerprint};
pub use crate::peers::{Peer, Vpn};

/// Where the guard file is, unless told otherwise.
pub const FILE: &str = "/etc/watchward/guard.toml";

/// What the guard file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Networks that nothing ever shuts out.
    #[serde(deserialize_with = "nets")]
    pub never: Vec<IpNet>,
    /// Addresses of the collector, besides the one that the agent speaks to.
    #[serde(deserialize_with = "nets")]
    pub collector: Vec<IpNet>,
    /// How far bans may go.
    pub bans: Bans,
    /// How far gates may go.
    pub gates: Gates,
    /// How far revocations may go.
    pub keys: Keys,
    /// How far those of a VPN's peers may.
    pub vpn: Vpn,
}

/// How far revocations may go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Whether sshd may be told of revoked keys, and sessions ended.
    pub revoke: bool,
    /// Keys that are never revoked.
    pub never_revoke: Vec<Fingerprint>,
    /// Whether a list may be held after which no key opens anything that did before.
    pub close: bool,
    /// Accounts that may be opened by lines beside their own files; `*`: every one that is not root's.
    pub accounts: Vec<String>,
    /// Whether sshd may be told what it shows of itself: certificates of its keys, and keys besides.
    pub host: bool,
    /// How long a list may be tried before it is confirmed.
    pub longest_trial: Span,
}

impl Keys {
    /// Whether an account may be opened. `number` is its user's.
    pub(crate) fn may_open(&self, name: &str, number: u32) -> bool {
        let by = |it: &str| it == name || it == "*" && number != 0;
        self.accounts.iter().any(|it| by(it))
    }

    /// Keys that are never revoked.
    pub(crate) fn never(&self) -> Vec<Digest> {
        self.never_revoke.iter().map(|it| it.0).collect()
    }
}

/// A key, as OpenSSH writes its fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Fingerprint(Digest);

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = read_fingerprint(&text).map(Self);
        read.ok_or_else(|| {
            format!("`{text}` is no fingerprint of a key, such as `ssh-keygen -lf FILE` shows: SHA256:...")
        })
    }
}

/// How far bans may go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bans {
    /// The shortest prefix of IPv4 that may be banned.
    pub widest_ipv4: u8,
    /// The shortest prefix of IPv6 that may be banned.
    pub widest_ipv6: u8,
    /// How long a ban may last.
    pub longest: Span,
    /// How many bans there may be at once.
    pub most: u32,
    /// How many new ones may come in a minute.
    pub per_minute: u32,
    /// How long the agent may vouch for an address from where somebody came in with a key.
    pub longest_vouch: Span,
}

/// How far gates may go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// The ports that may have a gate.
    pub ports: Vec<PortRange>,
    /// The ports behind which people sign in: a gate to them that would shut out everybody is refused.
    pub signing_in: Vec<PortRange>,
    /// How long gates may be tried before they are confirmed.
    pub longest_trial: Span,
}

impl Default for Bans {
    fn default() -> Self {
        Self {
            widest_ipv4: 24,
            widest_ipv6: 56,
            longest: Span(Duration::from_secs(7 * 24 * 3600)),
            most: 300_000,
            per_minute: 20_000,
            longest_vouch: Span(Duration::from_secs(4 * 3600)),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            revoke: true,
            never_revoke: Vec::new(),
            close: false,
            accounts: Vec::new(),
            host: false,
            longest_trial: Span(Duration::from_secs(2 * 60)),
        }
    }
}

impl Default for Gates {
    fn default() -> Self {
        let range = |protocol, first, last| {
            PortRange(Ports {
                protocol,
                first,
                last,
            })
        };
        Self {
            ports: [Protocol::Tcp, Protocol::Udp]
                .map(|protocol| range(protocol, 1, u16::MAX))
                .to_vec(),
            signing_in: vec![range(Protocol::Tcp, 22, 22)],
            longest_trial: Span(Duration::from_secs(5 * 60)),
        }
    }
}

/// Never more bans than this, whatever the guard says: the kernel's sets have no more room.
pub(crate) const MOST_BANS: u32 = 1_000_000;

impl Guard {
    /// What a text says.
    ///
    /// # Errors
    /// It makes no sense; where, with line and caret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let guard: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let bans = &guard.bans;
        let wrong = if !(8..=32).contains(&bans.widest_ipv4) {
            "bans.widest_ipv4 must be from 8 to 32"
        } else if !(32..=128).contains(&bans.widest_ipv6) {
            "bans.widest_ipv6 must be from 32 to 128"
        } else if bans.most > MOST_BANS {
            "bans.most must be 1000000 at the most"
        } else if guard.gates.longest_trial.0 > Duration::from_secs(3600) {
            "gates.longest_trial must be one hour at the most"
        } else if guard.keys.longest_trial.0 > Duration::from_secs(3600) {
            "keys.longest_trial must be one hour at the most"
        } else {
            return Ok(guard);
        };
        Err(wrong.to_owned())
    }

    /// What others may know of it.
    pub fn limits(&self) -> Limits {
        Limits {
            longest_ban: self.bans.longest.seconds(),
            longest_trial: self.gates.longest_trial.seconds(),
        }
    }

    /// Whether this prefix is as long as it must be.
    pub(crate) fn narrow_enough(&self, net: &IpNet) -> bool {
        let widest = match net {
            IpNet::V4(_) => self.bans.widest_ipv4,
            IpNet::V6(_) => self.bans.widest_ipv6,
        };
        net.prefix_len() >= widest
    }
}

/// For people: what it says, and what it does not.
impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bans,
            gates,
            keys,
            vpn,
            ..
        } = self;
        let listed = |nets: &[IpNet]| match nets {
            [] => "nobody that this file names".to_owned(),
            nets => nets
                .iter()
                .map(IpNet::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let ranges = |all: &[PortRange]| match all {
            [] => "none".to_owned(),
            all => all
                .iter()
                .map(PortRange::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        writeln!(f, "Never shut out:         {}", listed(&self.never))?;
        writeln!(f, "The collector:          {}", listed(&self.collector))?;
        let (ipv4, ipv6) = (bans.widest_ipv4, bans.widest_ipv6);
        let (most, a_minute) = (bans.most, bans.per_minute);
        writeln!(f, "Bans, the widest:       /{ipv4}, of IPv6 /{ipv6}")?;
        writeln!(f, "Bans, the longest:      {}", bans.longest)?;
        writeln!(
            f,
            "Bans, so many:          {most} at once, {a_minute} in a minute"
        )?;
        writeln!(
            f,
            "A login by key spares:  its address, for {}",
            bans.longest_vouch
        )?;
        writeln!(f, "Ports with gates:       {}", ranges(&gates.ports))?;
        writeln!(f, "Ports to sign in:       {}", ranges(&gates.signing_in))?;
        writeln!(f, "Gates, tried at most:   {}", gates.longest_trial)?;
        let revoke = if keys.revoke { "yes" } else { "no" };
        writeln!(f, "Keys may be revoked:    {revoke}")?;
        writeln!(f, "Keys never revoked:     {}", keys.never_revoke.len())?;
        let accounts = match &keys.accounts[..] {
            [] => "none".to_owned(),
            accounts => accounts.join(", "),
        };
        writeln!(f, "Accounts to be opened:  {accounts}")?;
        let host = if keys.host { "yes" } else { "no" };
        writeln!(f, "What sshd shows itself: {host}")?;
        writeln!(f, "A list, tried at most:  {}", keys.longest_trial)?;
        let revoke = if vpn.revoke { "yes" } else { "no" };
        writeln!(f, "Peers may be revoked:   {revoke}")?;
        writeln!(f, "Peers never revoked:    {}", vpn.never_revoke.len())
    }
}

/// A network as the file has it, or an address.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Net(IpNet);

impl TryFrom<String> for Net {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let Ok(net) = address.or_else(|_| text.parse::<IpNet>()) else {
            return Err(format!(
                "`{text}` is no network, such as 192.0.2.0/24, and no address"
            ));
        };
        if net != net.trunc() {
            let (network, address) = (net.trunc(), net.addr());
            return Err(format!(
                "`{text}` is an address within a network: write {network} for all of it, or {address}"
            ));
        }
        match net.addr().to_canonical() == net.addr() {
            true => Ok(Self(net)),
            false => Err(format!("`{text}` is one of IPv4: write it so")),
        }
    }
}

fn nets<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<IpNet>, D::Error> {
    let list = Vec::<Net>::deserialize(list)?;
    Ok(list.into_iter().map(|Net(net)| net).collect())
}

/// A span of time: a whole number of `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl Span {
    pub(crate) fn seconds(self) -> u32 {
        u32::try_from(self.0.as_secs()).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [("d", 24 * 3600), ("h", 3600), ("m", 60)];
        let whole = units
            .into_iter()
            .find(|(_, of)| seconds.is_multiple_of(*of));
        let (unit, of) = whole.unwrap_or(("s", 1));
        write!(f, "{}{unit}", seconds / of)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600)];
        let read = |(unit, seconds): (&str, u64)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            (number > 0).then(|| Self(Duration::from_secs(u64::from(number) * seconds)))
        };
        let span = units.into_iter().find_map(read);
        span.ok_or_else(|| format!("`{text}` is no span of time, such as 90s, 5m, 4h or 7d"))
    }
}

/// One port or several: `22/tcp`, `60000-61000/udp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PortRange(pub Ports);

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ports {
            protocol,
            first,
            last,
        } = self.0;
        let protocol = protocol.name();
        match first == last {
            true => write!(f, "{first}/{protocol}"),
            false => write!(f, "{first}-{last}/{protocol}"),
        }
    }
}

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || {
            let (range, protocol) = text.split_once('/')?;
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => return None,
            };
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (0 < first && first <= last).then_some(Self(Ports {
                protocol,
                first,
                last,
            }))
        };
        read().ok_or_else(|| format!("`{text}` is no port, such as 22/tcp or 60000-61000/udp"))
    }
}
