//! Which keys somebody means, and what revoking them would do.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_protocol::peers::PeerKey;
use watchward_protocol::receipt::Key;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::Desk;
use crate::keys::authority::{own, own_of_hosts};
use crate::keys::peers;
use crate::keys::policy::Fingerprint;
use crate::keys::proof::Offered;
use crate::keys::proof::Revoked;
use crate::keys::revocation::plan::{self, Account};
use crate::keys::rows::certificate::{self, Counting, Whose};
use crate::keys::rows::{revoked, way, wire};
use crate::web::Problem;

/// Which keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// The public key itself: a line as a `.pub` file has it.
    Key(String),
    /// One that hosts have told of.
    Fingerprint(String),
    /// All of a person, as the policy says, and their certificates.
    Person(String),
    /// The certificate with this serial.
    Serial(i64),
    /// The peer of WireGuard with this public key.
    Peer(String),
}

/// A key that is meant, and its certificates that are not over yet.
struct Found {
    fingerprint: String,
    kind: String,
    wire: Vec<u8>,
    certificates: Vec<Counting>,
}

/// A peer of WireGuard, which no door of sshd knows.
fn peer(key: PeerKey) -> Found {
    Found {
        fingerprint: key.to_string(),
        kind: PeerKey::KIND.to_owned(),
        wire: Vec::new(),
        certificates: Vec::new(),
    }
}

/// What it would do. Safe for a terminal.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    pub(super) keys: Vec<Meant>,
    /// Accounts that nothing would open any more.
    pub(super) lonely: Vec<Account>,
    /// How many hosts there are, and how many of them are silent.
    hosts: usize,
    silent: usize,
}

/// A key that is meant.
#[derive(Debug, Serialize)]
pub(super) struct Meant {
    pub(super) fingerprint: String,
    pub(super) kind: String,
    #[serde(skip)]
    pub(super) wire: Vec<u8>,
    pub(super) comment: String,
    pub(super) person: String,
    /// What is revoked with it: certificates that are not over yet.
    certificates: Vec<Counting>,
    /// Where it opens something.
    places: Vec<Account>,
    used_at: Option<Timestamp>,
    /// Since when it is revoked, if it is.
    revoked_at: Option<Timestamp>,
}

impl Desk {
    /// What revoking this would do.
    pub(super) async fn plan(&self, what: What) -> Result<Plan, Problem> {
        let (store, now) = (&self.sources.store, clock::now());
        let before = revoked::revoked(store).await?;
        let person = match &what {
            What::Person(person) => person.clone(),
            What::Key(_) | What::Fingerprint(_) | What::Serial(_) | What::Peer(_) => String::new(),
        };
        let authorities = own(store.read()).await?;
        let of_hosts = own_of_hosts(store.read()).await?;
        let mut ways = Vec::new();
        let mut keys = Vec::new();
        for found in self.meant(what).await? {
            if authorities.contains(&found.fingerprint) {
                return Err(Problem::refused(
                    "this is the authority of `watchward login`: with it every certificate would be \
                     void, and no new one would open anything; `watchward authority rotate --now` puts \
                     another in its place and revokes it",
                ));
            }
            if of_hosts.contains(&found.fingerprint) {
                return Err(Problem::refused(
                    "this is the authority of hosts, which signs what they show: `watchward authority \
                     rotate --hosts --now` puts another in its place and revokes it",
                ));
            }
            if let Some(name) = self.policy.now().break_glass(&found.fingerprint) {
                return Err(Problem::refused(format!(
                    "this is the break-glass key {name}: it is beyond the reach of this; take it out of \
                     [[keys.break_glass]] in policy.toml first"
                )));
            }
            let beside = way::beside(store, &found.fingerprint).await?;
            let interfaces = peers::places(store, &found.fingerprint).await?;
            let mut key = self.one(found, (&beside, &person), &before);
            let place = |(host, account)| Account { host, account };
            key.places.extend(interfaces.into_iter().map(place));
            keys.push(key);
            ways.extend(beside);
        }
        let revoking = keys.iter().map(|it| it.fingerprint.clone()).collect();
        let revoked = before.into_iter().map(|it| it.fingerprint).collect();
        let hosts = (self.sources.inventory)(store).await?;
        Ok(Plan {
            lonely: plan::lonely(&ways, (&revoking, &revoked), now),
            silent: hosts.iter().filter(|host| host.is_silent).count(),
            hosts: hosts.len(),
            keys,
        })
    }

    fn one(
        &self,
        found: Found,
        (beside, person): (&[plan::Way], &str),
        before: &[Revoked],
    ) -> Meant {
        let Found {
            fingerprint,
            kind,
            wire,
            certificates,
        } = found;
        let own: Vec<_> = beside.iter().filter(|it| it.is(&fingerprint)).collect();
        let comment = own.iter().map(|it| &it.comment);
        let comment = comment.filter(|it| !it.as_bytes().is_empty()).min();
        let newest = certificates.first();
        let known = before.iter().find(|it| it.fingerprint == fingerprint);
        let places: BTreeSet<_> = own.iter().map(|it| it.account()).collect();
        Meant {
            person: match (self.policy.now().owner(&fingerprint), newest) {
                ("", Some(newest)) => newest.person.clone(),
                ("", None) => person.to_owned(),
                (owner, _) => owner.to_owned(),
            },
            comment: match (comment, newest) {
                (Some(comment), _) => comment.to_string(),
                (None, newest) => newest.map(|it| it.name.clone()).unwrap_or_default(),
            },
            used_at: own.iter().filter_map(|it| it.used_at).max(),
            places: places.into_iter().collect(),
            revoked_at: known.map(|it| it.at),
            fingerprint,
            kind,
            wire,
            certificates,
        }
    }

    /// Each key that is meant.
    async fn meant(&self, what: What) -> Result<Vec<Found>, Problem> {
        let certificate = "a certificate is not revoked by its file: say its serial, with --serial, or whose \
             it is";
        match what {
            What::Key(text) => {
                let key = Offered::read(&text).map_err(Problem::refused)?;
                let name = key
                    .fingerprint
                    .ok_or_else(|| Problem::refused(certificate))?;
                Ok(vec![Found {
                    certificates: self.counting(Whose::Key(&name)).await?,
                    fingerprint: name,
                    kind: key.kind,
                    wire: key.wire,
                }])
            }
            What::Fingerprint(text) => {
                let name = Fingerprint::try_from(text).map_err(Problem::refused)?;
                let name = String::from(name);
                let certificates = self.counting(Whose::Key(&name)).await?;
                if certificates.is_empty() && !way::is_known(&self.sources.store, &name).await? {
                    return Err(Problem::missing(format!(
                        "no host has told of a key {name}: give the file with its public key"
                    )));
                }
                Ok(vec![self.known(name, certificates).await?])
            }
            What::Person(person) => self.of_person(&person).await,
            What::Peer(text) => {
                let key = text.parse::<PeerKey>();
                Ok(vec![peer(
                    key.map_err(|why| Problem::refused(why.to_string()))?,
                )])
            }
            What::Serial(serial) => {
                let certificates = self.counting(Whose::Serial(serial)).await?;
                let found = self.certified(certificates).await?;
                match found.len() {
                    0 => Err(Problem::missing(format!(
                        "no certificate with the serial {serial} counts: `watchward authority certificates` \
                         lists them"
                    ))),
                    1 => Ok(found),
                    // Each authority counts from 1.
                    _ => Err(Problem::refused(format!(
                        "two authorities signed a certificate {serial} that counts: say whose, or which \
                         key: {}",
                        found
                            .iter()
                            .map(|one| one.fingerprint.as_str())
                            .collect::<Vec<_>>()
                            .join(", ")
                    ))),
                }
            }
        }
    }

    async fn of_person(&self, person: &str) -> Result<Vec<Found>, Problem> {
        let certificates = self.counting(Whose::Person(person)).await?;
        let mut keys = self.certified(certificates).await?;
        for name in self.policy.now().keys_of(person) {
            if !keys.iter().any(|it| it.fingerprint == name) {
                keys.push(self.known(name.to_owned(), Vec::new()).await?);
            }
        }
        keys.extend(self.policy.now().peers_of(person).into_iter().map(peer));
        if keys.is_empty() {
            return Err(Problem::missing(format!(
                "the policy has no keys of a person {} ([[keys.owners]], [[keys.peers]]), and no certificate of \
                 that name still counts; a key is given as SHA256:... or as the file with \
                 its public half",
                escaped(person)
            )));
        }
        Ok(keys)
    }

    /// The keys of these certificates, each with all of its own.
    async fn certified(&self, all: Vec<Counting>) -> Result<Vec<Found>, Problem> {
        let mut keys: BTreeMap<String, Vec<Counting>> = BTreeMap::new();
        for one in all {
            keys.entry(one.fingerprint.clone()).or_default().push(one);
        }
        let mut found = Vec::new();
        for (fingerprint, certificates) in keys {
            found.push(self.known(fingerprint, certificates).await?);
        }
        Ok(found)
    }

    async fn counting(&self, whose: Whose<'_>) -> sqlx::Result<Vec<Counting>> {
        certificate::still(&self.sources.store, whose, clock::now()).await
    }

    /// What is known of a key. One that is known by its certificates alone opens nothing without them:
    /// no door is asked about it.
    async fn known(&self, name: String, certificates: Vec<Counting>) -> sqlx::Result<Found> {
        let found = wire::find(&self.sources.store, &name).await?;
        let (kind, wire) = match (found, certificates.first()) {
            (None, Some(one)) => {
                let plain = one.kind.strip_suffix("@openssh.com").unwrap_or(&one.kind);
                (format!("{plain}{}", Key::CERTIFICATE), Vec::new())
            }
            (found, _) => found.unwrap_or_default(),
        };
        Ok(Found {
            fingerprint: name,
            kind,
            wire,
            certificates,
        })
    }

    /// The fingerprints of the revoked keys that are meant.
    pub(super) async fn reinstating(&self, what: What) -> Result<Vec<String>, Problem> {
        let all = revoked::revoked(&self.sources.store).await?;
        let policy = self.policy.now();
        let (found, said): (Vec<String>, String) = match what {
            What::Key(text) => {
                let key = Offered::read(&text).map_err(Problem::refused)?;
                (key.fingerprint.into_iter().collect(), String::new())
            }
            What::Fingerprint(name) | What::Peer(name) => (vec![name], String::new()),
            What::Person(person) => {
                let is = |one: &&Revoked| {
                    one.person == person || policy.owner(&one.fingerprint) == person
                };
                let of = all.iter().filter(is).map(|one| one.fingerprint.clone());
                (
                    of.collect(),
                    format!("no key of {} is revoked", escaped(&person)),
                )
            }
            What::Serial(serial) => {
                let certificates = self.counting(Whose::Serial(serial)).await?;
                let of = certificates.into_iter().map(|one| one.fingerprint);
                (of.collect(), format!("no certificate {serial} is revoked"))
            }
        };
        let is_revoked = |name: &String| all.iter().any(|one| one.fingerprint == *name);
        let mut revoked: Vec<_> = found.iter().filter(|it| is_revoked(it)).cloned().collect();
        revoked.sort_unstable();
        revoked.dedup();
        match (revoked.is_empty(), found.first(), said.is_empty()) {
            (false, ..) => Ok(revoked),
            (true, Some(name), true) => {
                let why = format!("no key {} is revoked", escaped(name));
                Err(Problem::missing(why))
            }
            (true, _, _) => Err(Problem::missing(said)),
        }
    }
}
