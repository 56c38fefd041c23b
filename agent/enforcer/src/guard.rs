//! The guard file: how far this host lets anybody go. Only its root writes it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use rustix::fs::{Mode, OFlags, open};
use serde::Deserialize;

use crate::answer::Limits;
use crate::gates::{Ports, Protocol};

/// Where the guard file is, unless told otherwise.
pub const FILE: &str = "/etc/watchward/guard.toml";

/// What the guard file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Networks that nothing ever shuts out.
    pub never: Vec<IpNet>,
    /// Addresses of the collector, besides the one that the agent speaks to.
    pub collector: Vec<IpNet>,
    /// How far bans may go.
    pub bans: Bans,
    /// How far gates may go.
    pub gates: Gates,
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
        } else {
            return Ok(guard);
        };
        Err(wrong.to_owned())
    }

    /// What others may know of it.
    pub fn limits(&self) -> Limits {
        Limits {
            widest_ipv4: self.bans.widest_ipv4,
            widest_ipv6: self.bans.widest_ipv6,
            longest_ban: self.bans.longest.seconds(),
            most_bans: self.bans.most,
            bans_per_minute: self.bans.per_minute,
            longest_vouch: self.bans.longest_vouch.seconds(),
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

/// A span of time: a whole number of `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl Span {
    pub(crate) fn seconds(self) -> u32 {
        u32::try_from(self.0.as_secs()).unwrap_or(u32::MAX)
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

/// The guard file, read again whenever it is another.
pub(crate) struct Guarded {
    file: PathBuf,
    seen: Option<[i64; 5]>,
    /// The last that could be used.
    pub(crate) guard: Guard,
    /// Why what is there now cannot be.
    pub(crate) trouble: Option<String>,
}

impl Guarded {
    pub(crate) fn new(file: PathBuf) -> Self {
        let mut guarded = Self {
            file,
            seen: None,
            guard: Guard::default(),
            trouble: Some("the guard file was not read yet".to_owned()),
        };
        guarded.look();
        guarded
    }

    /// Looks whether the file is another, and says whether anything is different now.
    pub(crate) fn look(&mut self) -> bool {
        let now = std::fs::symlink_metadata(&self.file).ok();
        let now = now.map(|it| {
            let owner = i64::from(it.uid()) << 32 | i64::from(it.mode());
            [
                it.ino().cast_signed(),
                it.ctime(),
                it.ctime_nsec(),
                it.mtime(),
                owner,
            ]
        });
        if self.trouble.is_none() && now == self.seen {
            return false;
        }
        self.seen = now;
        let before = (self.guard.clone(), self.trouble.clone());
        match read(&self.file) {
            Ok(guard) => (self.guard, self.trouble) = (guard, None),
            Err(why) => self.trouble = Some(format!("{}: {why}", self.file.display())),
        }
        before != (self.guard.clone(), self.trouble.clone())
    }
}

/// Reads the file if nobody but root can have written it.
pub(crate) fn read(file: &Path) -> Result<Guard, String> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let of_folder = std::fs::metadata(folder).map_err(|error| error.to_string())?;
    of_root(&of_folder).map_err(|why| format!("its folder {why}"))?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = open(file, flags, Mode::empty()).map_err(io::Error::from);
    let mut opened: File = opened.map_err(|error| error.to_string())?.into();
    let of_file = opened.metadata().map_err(|error| error.to_string())?;
    of_root(&of_file).map_err(|why| format!("it {why}"))?;
    if !of_file.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    let read = (&mut opened).take(LARGEST).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    Guard::parse(&text)
}

/// How much of a guard file is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

fn of_root(metadata: &Metadata) -> Result<(), &'static str> {
    if metadata.uid() != 0 {
        return Err("does not belong to root");
    }
    match metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("can be written by others than root"),
    }
}
