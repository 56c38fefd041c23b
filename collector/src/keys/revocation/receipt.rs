//! From everything that is known of a revocation to its receipt. What puts it together is pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use watchward_protocol::receipt::{
    Act, Counts, Door, FORMAT, Host, How, Key, Moment, Phase, Proof, Receipt, Session, Stand,
    VERSION,
};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::stand::stand;
use super::{Inventory, Signer};
use crate::intake::Watched;
use crate::keys::peers::{self, Tunnels};
use crate::keys::proof::{Proven, Revoked, STALE};
use crate::keys::rows::ended::{self, Ended};
use crate::keys::rows::reached::{self, Holding, Reached};
use crate::keys::rows::revoked::{self, Which};
use crate::keys::rows::rotation;
use crate::store::Store;

/// So much later than it did may a session seem to have begun: a host reckons it from two clocks.
const SLACK: Duration = Duration::from_secs(10);

/// Where receipts come from.
#[derive(Clone, Debug)]
pub(in crate::keys) struct Sources {
    pub(in crate::keys) store: Store,
    pub(in crate::keys) inventory: Inventory,
    pub(in crate::keys) signer: Signer,
}

impl Sources {
    /// What was done about a revoked key until now; none, if there never was such a revocation.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::keys) async fn receipt(
        &self,
        which: Which<'_>,
        now: Timestamp,
    ) -> sqlx::Result<Option<Receipt>> {
        let store = &self.store;
        let Some((number, key, ended)) = revoked::find(store, which).await? else {
            return Ok(None);
        };
        let fingerprint = key.fingerprint.as_str();
        let until = ended.as_ref().map(|(at, _)| *at);
        let facts = Facts {
            hosts: (self.inventory)(store).await?,
            holdings: reached::holdings(store).await?,
            reached: reached::since(store, key.generation).await?,
            // Doors say nothing of a certificate, which opens for its owner alone.
            answers: match key.has_doors() {
                true => revoked::answers(store, number).await?,
                false => Vec::new(),
            },
            tunnels: match key.is_peer() {
                true => Some(peers::of_peer(store, fingerprint).await?),
                false => None,
            },
            sessions: ended::of(store, (fingerprint, key.at, until)).await?,
            phases: rotation::events_of(store, fingerprint).await?,
            key,
            ended,
        };
        Ok(Some(facts.receipt(&self.signer.public().to_string(), now)))
    }
}

/// Everything that is known of a revocation.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) key: Revoked,
    pub(super) hosts: Vec<Watched>,
    pub(super) holdings: HashMap<String, Holding>,
    pub(super) reached: Vec<Reached>,
    /// With every door, as JSON.
    pub(super) answers: Vec<(Proven, String)>,
    pub(super) sessions: Vec<Ended>,
    /// When it was reinstated, and by whom.
    pub(super) ended: Option<(Timestamp, String)>,
    /// What happened while it was replaced.
    pub(super) phases: Vec<rotation::Event>,
    /// Of a peer of WireGuard, what hosts say of it.
    pub(super) tunnels: Option<Tunnels>,
}

impl Facts {
    pub(super) fn receipt(&self, signer: &str, now: Timestamp) -> Receipt {
        let key = &self.key;
        let mut names: BTreeMap<&str, Option<bool>> = BTreeMap::new();
        // Whoever is watched no more has its sessions told of, and holds nothing.
        let gone = self.sessions.iter().map(|one| (one.name.as_str(), None));
        names.extend(gone);
        let watched = self.hosts.iter();
        names.extend(watched.map(|one| (one.host.name.as_str(), Some(one.is_silent))));
        let mut missing = Vec::new();
        if let Some((at, by)) = &self.ended {
            missing.push(format!(
                "It was reinstated at {at} by {by}: this revocation holds no more."
            ));
        }
        if key.wire.is_empty() && key.has_doors() {
            missing.push(
                "The key itself is not known, only its fingerprint: no door can be asked about it \
                 until its public half is given to `watchward revoke`."
                    .to_owned(),
            );
        }
        let mut hosts = Vec::new();
        for (name, silent) in &names {
            let host = self.host(name, *silent);
            if silent.is_some() {
                let asks = !key.wire.is_empty();
                missing.extend(self.lacks(&host, asks, now));
            }
            hosts.push(host);
        }
        let counts = self.counts(&hosts);
        if missing.is_empty() && counts.doors == 0 && key.has_doors() {
            missing.push("No door was asked: no host that is watched has one.".to_owned());
        }
        Receipt {
            format: FORMAT.to_owned(),
            version: VERSION,
            made_at: now.into(),
            key: Key {
                fingerprint: escaped(&key.fingerprint),
                kind: escaped(&key.kind),
                comment: key.comment.clone(),
                person: key.person.clone(),
            },
            revoked: Act {
                at: key.at.into(),
                by: key.author.clone(),
                why: key.reason.clone(),
                generation: key.generation,
            },
            phases: self.phases.iter().map(phase).collect(),
            is_proven: missing.is_empty(),
            counts,
            missing,
            hosts,
            signer: signer.to_owned(),
        }
    }

    fn host(&self, name: &str, silent: Option<bool>) -> Host {
        let of_host = || self.reached.iter().filter(|one| one.host == name);
        let of_sshd = |_: &&Reached| self.tunnels.is_none();
        let held = of_host().find(|one| one.held_at.is_some()).filter(of_sshd);
        let holding = self.holdings.get(name);
        let wanted = (self.key.generation, silent.unwrap_or(true));
        let (stand, trouble) = match &self.tunnels {
            Some(tunnels) => tunnels.stand(name, wanted),
            None => {
                let why = holding.and_then(|it| it.trouble.clone());
                (stand(wanted.0, wanted.1, holding), why.unwrap_or_default())
            }
        };
        let answer = self.answers.iter().find(|(one, _)| one.host == name);
        let sessions = self.sessions.iter().filter(|one| one.name == name);
        let why = Some(trouble).filter(|_| stand == Stand::Refused);
        let tunnels = self.tunnels.as_ref();
        let gone = tunnels
            .and_then(|it| it.said(name))
            .filter(|_| stand == Stand::Held);
        Host {
            host: name.to_owned(),
            stand,
            why: match silent {
                None => "the host is watched no more".to_owned(),
                Some(_) => why.unwrap_or_default(),
            },
            said_at: of_host().find_map(|one| one.said_at).map(Moment::from),
            held_at: held
                .and_then(|one| one.held_at)
                .or(gone.map(|it| it.0))
                .map(Moment::from),
            generation: held.map(|one| one.generation).or(gone.map(|it| it.1)),
            digest: held.and_then(|one| one.digest).map(hexadecimal),
            sessions: sessions.map(session).collect(),
            proof: answer.map(|(proven, doors)| proof(proven, doors)),
            tunnel: tunnels.and_then(|it| it.tunnel(name)),
            unknown_sessions: self.unknown_sessions(name),
        }
    }

    /// How many sessions of a host may be of the key, as nobody knows what opened them. None is that
    /// began when it refused the key already, both by the host's own clock.
    fn unknown_sessions(&self, host: &str) -> usize {
        let of_sshd = self.tunnels.is_none();
        let holding = self.holdings.get(host).filter(|_| of_sshd);
        let mut of_host = self.reached.iter().filter(|one| one.host == host);
        let held = of_host.find_map(|one| one.held_there);
        let may_be = |since: &&Timestamp| held.is_none_or(|held| **since < held + SLACK);
        let unknown = holding.iter().flat_map(|it| &it.unknown_sessions);
        unknown.filter(may_be).count()
    }

    fn proven(&self, host: &str) -> Option<&Proven> {
        let mut answers = self.answers.iter().map(|(proven, _)| proven);
        answers.find(|one| one.host == host)
    }

    /// When it was first heard that a host holds it.
    fn held_at(&self, host: &str) -> Option<Timestamp> {
        let mut of_host = self.reached.iter().filter(|one| one.host == host);
        of_host.find_map(|one| one.held_at)
    }

    /// What is still missing of a host.
    fn lacks(&self, host: &Host, asks: bool, now: Timestamp) -> Vec<String> {
        let name = &host.host;
        let mut lacks = Vec::new();
        match host.stand {
            Stand::Mute if host.has_no_door() => {}
            Stand::Held => {}
            Stand::Waiting if host.said_at.is_none() => {
                lacks.push(format!("{name} has not been told yet."));
            }
            Stand::Waiting => lacks.push(format!("{name} was told, and does not hold it yet.")),
            Stand::Refused => lacks.push(format!("{name} does not hold it: {}", host.why)),
            Stand::Pending => lacks.push(format!(
                "{name} is silent: it is told first thing when it is back."
            )),
            Stand::Mute => lacks.push(format!("{name} {}.", host.words())),
        }
        for one in host.sessions.iter().filter(|one| one.how == How::Alive) {
            lacks.push(format!(
                "{name}: a session of {} lives: {}",
                one.account, one.why
            ));
        }
        lacks.extend(host.doubt().map(|doubt| format!("{name}: {doubt}.")));
        if asks {
            lacks.extend(self.doubts(name, now));
        }
        lacks
    }

    /// What is not proven of a host.
    fn doubts(&self, name: &str, now: Timestamp) -> Vec<String> {
        let Some(proven) = self.proven(name) else {
            return vec![format!(
                "{name} was not asked yet whether the key opens anything."
            )];
        };
        let mut doubts = Vec::new();
        if self.held_at(name).is_some_and(|held| proven.at < held) {
            doubts.push(format!("{name} was not asked again since it holds it."));
        }
        if proven.at + STALE <= now {
            doubts.push(format!("{name} was not asked for two days."));
        }
        match proven.accepted.len() {
            0 => {}
            1 => doubts.push(format!("{name}: 1 door takes it still.")),
            many => doubts.push(format!("{name}: {many} doors take it still.")),
        }
        match proven.unknown {
            0 => {}
            many => doubts.push(format!(
                "{name}: {many} × a door of which it cannot be told."
            )),
        }
        let trouble = proven.trouble.iter();
        doubts.extend(trouble.map(|why| format!("{name}: not everything could be asked: {why}")));
        doubts
    }

    fn counts(&self, hosts: &[Host]) -> Counts {
        let stands = |stand| hosts.iter().filter(|host| host.stand == stand).count();
        let watched = |name: &str| self.hosts.iter().any(|one| one.host.name == name);
        let sum = |of: fn(&Proven) -> usize| {
            let answers = self.answers.iter().map(|(proven, _)| proven);
            answers.filter(|one| watched(&one.host)).map(of).sum()
        };
        let ended = |how| {
            let sessions = self.sessions.iter();
            sessions.filter(|one| one.how == how).count()
        };
        Counts {
            hosts: self.hosts.len(),
            held: stands(Stand::Held),
            pending: stands(Stand::Pending),
            doors: sum(|one| one.doors),
            refused: sum(|one| one.refused),
            controlled: sum(|one| one.controlled),
            accepted: sum(|one| one.accepted.len()),
            unknown: sum(|one| one.unknown),
            sessions_ended: ended(How::Ended),
            sessions_alive: ended(How::Alive),
            survivors: self.sessions.iter().map(|one| one.survivors.len()).sum(),
            sessions_unknown: hosts.iter().map(|host| host.unknown_sessions).sum(),
        }
    }
}

fn phase(one: &rotation::Event) -> Phase {
    Phase {
        at: one.at.into(),
        what: escaped(&one.what),
    }
}

fn session(one: &Ended) -> Session {
    Session {
        account: one.account.to_string(),
        address: one.address.clone().unwrap_or_default(),
        opened_at: one.opened_at.into(),
        ended_at: one.at.into(),
        how: one.how,
        why: one.why.clone(),
        survivors: one.survivors.clone(),
    }
}

fn proof(proven: &Proven, doors: &str) -> Proof {
    let doors: Vec<Door> = serde_json::from_str(doors).unwrap_or_default();
    Proof {
        at: proven.at.into(),
        omitted: proven.doors.saturating_sub(doors.len()),
        doors,
        trouble: proven.trouble.clone().unwrap_or_default(),
        elsewhere: proven.elsewhere.clone(),
    }
}

fn hexadecimal(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
