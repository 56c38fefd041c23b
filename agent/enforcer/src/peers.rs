//! Peers of WireGuard: which stand, without what is secret of them; and taking them away.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::answer::Expelled;
use crate::clock;
use crate::frame::Framed;
use crate::hand::Hand;
use crate::program::run;
use crate::request::PeerKey;

/// The program that WireGuard comes with.
const WG: &str = "/usr/bin/wg";

/// How many seconds it may take, where another program has the interface: bans wait for it.
const LONGEST: &str = "2";

/// A peer that was heard within so many seconds is in use.
const LATELY: u64 = 24 * 3600;

/// How far revocations of a VPN's peers may go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vpn {
    /// Whether peers may be taken away.
    pub revoke: bool,
    /// Whether the last one of an interface that is in use may go.
    pub close: bool,
    /// Peers that never are.
    pub never_revoke: Vec<Peer>,
}

impl Default for Vpn {
    fn default() -> Self {
        Self {
            revoke: true,
            close: false,
            never_revoke: Vec::new(),
        }
    }
}

/// A peer of WireGuard, by its public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Peer(pub PeerKey);

impl TryFrom<String> for Peer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = STANDARD
            .decode(&text)
            .ok()
            .and_then(|it| it.try_into().ok());
        read.map(Self)
            .ok_or_else(|| format!("`{text}` is no public key of WireGuard, as `wg show` has them"))
    }
}

/// A line for each peer: its interface and its fields as wg(8) lists them, but for the key that it
/// shares with this host. The line of an interface, which has its private key, is none.
pub(crate) fn standing() -> Result<String, String> {
    let dump = run(WG, LONGEST, &["show", "all", "dump"])?;
    Ok(dump.lines().filter_map(told).collect())
}

fn told(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [interface, key, _shared, rest @ ..] = &fields[..] else {
        return None;
    };
    (rest.len() == 6).then(|| [&[*interface, *key], rest].concat().join("\t") + "\n")
}

/// What of a line matters to whether a peer goes.
#[derive(Clone, Copy)]
struct Line<'a> {
    interface: &'a str,
    name: &'a str,
    /// What it may send from.
    allowed: &'a str,
    /// When it proved last who it is, in seconds since 1970; 0: never.
    heard: u64,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (interface, name) = (fields.next()?, fields.next()?);
        Some(Self {
            interface,
            name,
            allowed: fields.nth(1)?,
            heard: fields.next()?.parse().ok()?,
        })
    }
}

/// Of each interface of which all peers would go that are in use, the one that was heard last.
fn last<'a>(
    all: &[Line<'a>],
    goes: impl Fn(&Line<'a>) -> bool,
    now: u64,
) -> BTreeMap<&'a str, &'a str> {
    let mut used: Vec<_> = all
        .iter()
        .filter(|it| it.heard.saturating_add(LATELY) > now)
        .collect();
    used.sort_by_key(|it| it.heard);
    let mut last: BTreeMap<_, _> = used.iter().map(|it| (it.interface, it.name)).collect();
    used.retain(|it| !goes(it));
    last.retain(|interface, _| used.iter().all(|it| it.interface != *interface));
    last
}

fn in_use(interface: &str) -> String {
    format!(
        "it is the last peer of {interface} that is in use: the guard file says `close = true` of [vpn] \
         where it may go"
    )
}

impl Hand {
    /// Takes peers with these keys away, on whichever interface they stand.
    pub(crate) fn expel(&self, keys: &[PeerKey]) -> Result<Vec<Expelled>, String> {
        if !self.guarded.guard.vpn.revoke {
            return Err("the guard file of this host says `revoke = false` of [vpn]".to_owned());
        }
        let keys: BTreeMap<_, _> = keys.iter().map(|it| (STANDARD.encode(it), *it)).collect();
        let standing = standing()?;
        let all: Vec<Line<'_>> = standing.lines().filter_map(Line::of).collect();
        let why = |line: &Line<'_>| match keys.get(line.name) {
            Some(key) => self.kept(key, line.allowed),
            None => Some(String::new()),
        };
        let last = match self.guarded.guard.vpn.close {
            true => BTreeMap::new(),
            false => last(&all, |line| why(line).is_none(), clock::shown() / 1_000_000),
        };
        let mut done = Vec::new();
        for line in &all {
            let Some(key) = keys.get(line.name) else {
                continue;
            };
            let Line {
                interface, name, ..
            } = line;
            let stays = || (last.get(interface) == Some(name)).then(|| in_use(interface));
            let taken = || run(WG, LONGEST, &["set", interface, "peer", name, "remove"]);
            done.push(Expelled {
                interface: (*interface).to_owned(),
                key: *key,
                kept: why(line)
                    .or_else(stays)
                    .or_else(|| taken().err())
                    .unwrap_or_default(),
            });
        }
        done.truncate(Expelled::MOST);
        Ok(done)
    }

    /// Why a peer is not taken away, if so.
    fn kept(&self, key: &PeerKey, allowed: &str) -> Option<String> {
        let nets = allowed.split(',').filter_map(|net| net.parse().ok());
        let mut leading = nets.filter(|net| self.protected.is_collector(net));
        let why = if self
            .guarded
            .guard
            .vpn
            .never_revoke
            .iter()
            .any(|it| it.0 == *key)
        {
            "the host's guard file says never"
        } else if leading.next().is_some() {
            "the collector is behind it"
        } else {
            return None;
        };
        Some(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_told() {
        let interface = "wg0\tcHJpdmF0ZQ==\tcHVibGlj\t51820\toff";
        let peer =
            "wg0\tKEY=\tc2hhcmVk\t192.0.2.7:51820\t10.9.0.2/32,fd00::2/128\t1700000000\t1\t2\t25";
        let shown = told(peer).unwrap();
        assert_eq!(
            shown,
            "wg0\tKEY=\t192.0.2.7:51820\t10.9.0.2/32,fd00::2/128\t1700000000\t1\t2\t25\n"
        );
        assert_eq!(told(interface), None);
        for strange in [
            "",
            "wg0\tKEY=",
            &format!("{peer}\tmore"),
            "Unable to access interface wg1",
        ] {
            assert_eq!(told(strange), None, "{strange}");
        }
    }

    #[test]
    fn the_last_peer_in_use_stays() {
        let dump = "wg0\tA=\t(none)\t10.9.0.1/32\t900000\t1\t2\toff\n\
                    wg0\tB=\t(none)\t10.9.0.2/32\t900060\t1\t2\toff\n\
                    wg0\tC=\t(none)\t10.9.0.3/32\t0\t0\t0\toff\n\
                    wg1\tA=\t(none)\t10.8.0.1/32\t0\t0\t0\toff\n\
                    wg2\tD=\t(none)\t10.7.0.1/32\t700000\t0\t0\toff\n";
        let all: Vec<_> = dump.lines().filter_map(Line::of).collect();
        assert_eq!(all.len(), 5);
        let stays = |going: &[&str]| {
            let last = last(&all, |line| going.contains(&line.name), 900_100);
            last.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(stays(&["A=", "B=", "C=", "D="]), [("wg0", "B=")]);
        assert_eq!(
            stays(&["A=", "B="]),
            [("wg0", "B=")],
            "one that is idle counts for nothing"
        );
        for one in ["A=", "B=", "C=", "D="] {
            assert_eq!(stays(&[one]), [], "one of several is not hindered");
        }
    }
}
