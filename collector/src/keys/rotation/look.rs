//! What is observed of every rotation: from what hosts said, to what is judged. Pure, but for the reading.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use watchward_protocol::receipt::Stand;
use watchward_protocol::time::Timestamp;

use super::next::{Client, Observed, Place};
use super::policy::Machine;
use super::state::{At, Key, Phase, Rotation};
use super::{Rooms, addresses, lines::Running};
use crate::intake::Watched;
use crate::keys::proof::{Proven, fingerprint};
use crate::keys::revocation::{lonely as lonely_without, stand};
use crate::keys::rows::identity::{self, Held};
use crate::keys::rows::managed;
use crate::keys::rows::reached::{self, Holding, Reached};
use crate::keys::rows::revoked;
use crate::keys::rows::rotation::{self as rows, Places};
use crate::keys::rows::way;
use crate::store::Store;

/// Everything that is known.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) hosts: Vec<Watched>,
    pub(super) rotations: BTreeMap<String, Rotation>,
    pub(super) places: Places,
    addresses: HashMap<String, Vec<IpAddr>>,
    identities: BTreeMap<(String, String), Held>,
    holdings: HashMap<String, Holding>,
    lines: Vec<managed::Held>,
    reached: Vec<Reached>,
    proven: Vec<(String, Proven)>,
    revoked: HashMap<String, u64>,
}

impl Facts {
    /// Reads it; of machines' keys, if there are some.
    pub(super) async fn read(store: &Store, rooms: &Rooms, is_any: bool) -> sqlx::Result<Self> {
        let rotations = rows::all(store).await?;
        let goes = is_any || !rotations.is_empty();
        let going = rotations.values().any(|it| it.phase >= Phase::Revoking);
        let revoked = match going {
            true => revoked::revoked(store).await?,
            false => Vec::new(),
        };
        let oldest = revoked.iter().map(|key| key.generation).min();
        Ok(Self {
            hosts: (rooms.inventory)(store).await?,
            places: rows::places(store).await?,
            addresses: match goes {
                true => addresses(&(rooms.sites)(store).await?),
                false => HashMap::new(),
            },
            identities: identity::all(store).await?,
            holdings: match goes {
                true => reached::holdings(store).await?,
                false => HashMap::new(),
            },
            lines: match goes {
                true => managed::all(store).await?,
                false => Vec::new(),
            },
            reached: match oldest.filter(|_| going) {
                Some(oldest) => reached::since(store, oldest).await?,
                None => Vec::new(),
            },
            proven: match going {
                true => revoked::proven(store).await?,
                false => Vec::new(),
            },
            revoked: revoked
                .into_iter()
                .map(|key| (key.fingerprint, key.generation))
                .collect(),
            rotations,
        })
    }

    /// Each rotation with the hosts that were ordered its new key.
    pub(super) fn running(&self) -> Vec<Running> {
        let one = |rotation: &Rotation| {
            let serial = rotation.new.as_ref().map(|key| key.serial);
            let of_it = self.places.iter().filter(|((name, _, number), known)| {
                *name == rotation.name && Some(*number) == serial && known.added_at.is_some()
            });
            Running {
                rotation: rotation.clone(),
                added: of_it.map(|((_, at, _), _)| at.host.clone()).collect(),
            }
        };
        self.rotations.values().map(one).collect()
    }

    /// From where the client of a machine's key comes, as far as that can be told.
    pub(super) fn from(&self, machine: &Machine) -> Vec<ipnet::IpNet> {
        let known = self.addresses.get(&machine.client);
        machine.from(known.map_or(&[][..], Vec::as_slice))
    }

    /// What is observed of a rotation. `only` are the accounts of hosts that nothing else opens.
    pub(super) fn observe(
        &self,
        machine: &Machine,
        rotation: &Rotation,
        only: &BTreeSet<At>,
    ) -> Observed {
        let servers = self
            .hosts
            .iter()
            .filter(|it| machine.groups.has(&it.host.name));
        let place = |host: &Watched, account: &str| {
            let at = At {
                host: host.host.name.clone(),
                account: account.to_owned(),
            };
            let alone = only.contains(&at);
            self.place(rotation, (at, host.is_silent), alone)
        };
        let places = servers.flat_map(|host| {
            let accounts = machine.accounts().into_iter();
            accounts.map(move |account| place(host, account))
        });
        let places: Vec<_> = places.collect();
        Observed {
            client: self.client(rotation),
            hindrance: if places.is_empty() {
                Some("no host that is watched is in its groups".to_owned())
            } else if rotation.from.is_empty() {
                let why = "from where it comes is not known: name networks in `from`";
                Some(why.to_owned())
            } else {
                None
            },
            places,
        }
    }

    fn client(&self, rotation: &Rotation) -> Client {
        let host = self.hosts.iter().find(|it| it.host.name == rotation.client);
        let held = self
            .identities
            .get(&(rotation.client.clone(), rotation.name.clone()));
        Client {
            exists: host.is_some(),
            is_silent: host.is_some_and(|it| it.is_silent),
            keys: held.map(|it| it.keys.clone()),
            using: held.map_or(0, |it| it.using),
            trouble: held.and_then(|it| it.trouble.clone()),
        }
    }

    fn place(&self, rotation: &Rotation, (at, is_silent): (At, bool), alone: bool) -> Place {
        let known = |serial: Option<u32>| {
            let key = (rotation.name.clone(), at.clone(), serial?);
            self.places.get(&key)
        };
        let new = known(rotation.new.as_ref().map(|key| key.serial));
        let old = known(rotation.old.as_ref().map(|key| key.serial));
        let asked = match rotation.phase == Phase::Revoking {
            true => old,
            false => new,
        };
        let added = new.is_some_and(|it| it.added_at.is_some());
        let held = self.held(rotation, (&at, added));
        let refused = old.is_some_and(|it| it.refused_at.is_some());
        Place {
            is_silent,
            added,
            proven: new.is_some_and(|it| it.proven_at.is_some()),
            refuses: refused && self.refuses(rotation, &at.host),
            trouble: match &held {
                Err(why) => Some(why.clone()),
                Ok(_) => asked.and_then(|it| it.trouble.clone()),
            },
            holds: held == Ok(true),
            alone,
            at,
        }
    }

    /// Whether a host says that it holds what it was ordered last of this key; or why it cannot.
    fn held(&self, rotation: &Rotation, (at, added): (&At, bool)) -> Result<bool, String> {
        let Some(holding) = self.holdings.get(&at.host) else {
            return Ok(false);
        };
        if !holding.has_role {
            return Err("nothing there tells sshd: install watchward-enforcer".to_owned());
        }
        let trouble = holding.trouble.as_ref().or(holding.unmanaged.as_ref());
        if let Some(why) = trouble {
            return Err(why.clone());
        }
        let here = |one: &&managed::Held| one.host == at.host && one.line.account == at.account;
        let lines = |key: &Option<Key>| {
            let key = key.as_ref().map(|it| it.wire.clone());
            let is_it = move |one: &&managed::Held| key.as_deref() == Some(one.line.opens.key());
            self.lines.iter().filter(here).filter(is_it)
        };
        // What is to be added may not have been ordered yet.
        if added && lines(&rotation.new).next().is_none() {
            return Ok(false);
        }
        let lines = lines(&rotation.old).chain(lines(&rotation.new));
        let lines = lines.map(|it| it.generation);
        let old = rotation.old.as_ref().map(|key| fingerprint(&key.wire));
        let revoked = old.and_then(|name| self.revoked.get(&name).copied());
        let needed = lines.chain(revoked).max();
        Ok(needed.is_some_and(|needed| holding.generation.is_some_and(|held| held >= needed)))
    }

    /// Whether the host itself was heard to refuse the old key, since it held that it is revoked.
    fn refuses(&self, rotation: &Rotation, host: &str) -> bool {
        let Some(key) = &rotation.old else {
            return true;
        };
        let name = fingerprint(&key.wire);
        let Some(generation) = self.revoked.get(&name) else {
            return false;
        };
        let holding = self.holdings.get(host);
        let holds = stand(*generation, false, holding) == Stand::Held;
        let of_host = self.reached.iter().filter(|it| it.host == host);
        let since = of_host
            .filter(|it| it.generation >= *generation)
            .find_map(|it| it.held_at);
        let mut said = self
            .proven
            .iter()
            .filter(|(of, it)| *of == name && it.host == host);
        let asked = said.next().is_some_and(|(_, it)| {
            since.is_some_and(|since| it.at >= since) && it.accepted.is_empty()
        });
        holds && asked
    }
}

/// The accounts that nothing but this key opens, as far as is known.
pub(super) async fn alone(
    store: &Store,
    rotation: &Rotation,
    now: Timestamp,
) -> sqlx::Result<BTreeSet<At>> {
    let Some(key) = &rotation.old else {
        return Ok(BTreeSet::new());
    };
    let name = fingerprint(&key.wire);
    let beside = way::beside(store, &name).await?;
    let revoked = revoked::revoked(store).await?;
    let revoked: BTreeSet<_> = revoked.into_iter().map(|key| key.fingerprint).collect();
    // The new key counts once it is proven, and then the place does.
    let new = rotation.new.as_ref().map(|key| fingerprint(&key.wire));
    let going: BTreeSet<_> = [name].into_iter().chain(new).collect();
    let lonely = lonely_without(&beside, (&going, &revoked), now);
    let at = lonely.into_iter().map(|it| At {
        host: it.host,
        account: it.account,
    });
    Ok(at.collect())
}
