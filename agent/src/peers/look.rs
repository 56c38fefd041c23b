//! One look at the peers of WireGuard, through the enforcer, which takes those away that are revoked.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use watchward_enforcer::client::Error;
use watchward_enforcer::{Answer, Client, Expelled, PeerKey as Wire, Request};
use watchward_protocol::peers::{Peer, PeerKey};

use super::dump;

/// How many it is asked to take away at once.
const AT_ONCE: usize = 64;

/// What is seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) peers: Vec<Peer>,
    /// What was taken away just now.
    pub(super) taken: Vec<(String, PeerKey)>,
    /// Why it is not known what stands.
    pub(super) trouble: Option<String>,
}

/// Looks what stands, with that taken away which is revoked. Nothing is wrong with a host that has
/// nobody to ask and no WireGuard.
pub(super) fn look(enforcer: &Path, revoked: &[PeerKey]) -> Seen {
    match seen(enforcer, revoked) {
        Ok(Ok(seen)) => seen,
        Ok(Err(why)) => nothing(why),
        Err(error) => nothing(error.to_string()),
    }
}

fn nothing(why: String) -> Seen {
    Seen {
        trouble: has_wireguard().then_some(why),
        ..Seen::default()
    }
}

fn seen(enforcer: &Path, revoked: &[PeerKey]) -> Result<Result<Seen, String>, Error> {
    let mut client = Client::connect(enforcer)?;
    let text = match client.peers()? {
        Ok(text) => text,
        Err(why) => return Ok(Err(why)),
    };
    let mut seen = Seen {
        peers: dump::read(&text),
        ..Seen::default()
    };
    let revoked: HashSet<&PeerKey> = revoked.iter().collect();
    let stand = seen.peers.iter().map(|peer| peer.key);
    let mut stand: Vec<PeerKey> = stand.filter(|key| revoked.contains(key)).collect();
    stand.sort_unstable();
    stand.dedup();
    for keys in stand.chunks(AT_ONCE) {
        let wire: Vec<Wire> = keys.iter().map(|key| *key.as_bytes()).collect();
        let answer = client.ask(&Request::Expel(wire))?;
        if let Answer::Refused(why) = answer {
            seen.keep(keys, &why);
        } else if let Answer::Expelled(all) = answer {
            all.iter().for_each(|one| seen.hear(one));
        } else {
            return Err(Error::Strange);
        }
    }
    Ok(Ok(seen))
}

impl Seen {
    fn hear(&mut self, one: &Expelled) {
        let key = PeerKey::from_bytes(one.key);
        let is = |peer: &Peer| peer.key == key && peer.interface == one.interface;
        if one.kept.is_empty() {
            self.peers.retain(|peer| !is(peer));
            self.taken.push((one.interface.clone(), key));
        } else {
            let stand = self.peers.iter_mut().filter(|peer| is(peer));
            stand.for_each(|peer| peer.kept = Some(one.kept.clone()));
        }
    }

    fn keep(&mut self, keys: &[PeerKey], why: &str) {
        let stand = self
            .peers
            .iter_mut()
            .filter(|peer| keys.contains(&peer.key));
        stand.for_each(|peer| peer.kept = Some(why.to_owned()));
    }
}

/// Whether there is an interface of WireGuard: the kernel's, or a program's.
fn has_wireguard() -> bool {
    let is_there = |folder, is: fn(&Path) -> bool| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| is(&path))
    };
    is_there("/sys/class/net", |path| {
        let said = fs::read_to_string(path.join("uevent"));
        said.is_ok_and(|said| said.lines().any(|line| line == "DEVTYPE=wireguard"))
    }) || is_there("/run/wireguard", |path| {
        path.extension().is_some_and(|kind| kind == "sock")
    })
}
