//! Which keys somebody means, and what revoking them would do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use super::Desk;
use crate::keys::authority::own;
use crate::keys::policy::Fingerprint;
use crate::keys::proof::Offered;
use crate::keys::revocation::plan::{self, Account};
use crate::keys::rows::{certificate, revoked, way, wire};
use crate::web::Problem;

/// Which keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// The public key itself: a line as a `.pub` file has it.
    Key(String),
    /// One that hosts have told of.
    Fingerprint(String),
    /// All of a person, as the policy says, and what their certificates are for.
    Person(String),
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
            What::Key(_) | What::Fingerprint(_) => String::new(),
        };
        let authorities = own(store.read()).await?;
        let mut ways = Vec::new();
        let mut keys = Vec::new();
        for (fingerprint, kind, wire) in self.meant(what).await? {
            if authorities.contains(&fingerprint) {
                return Err(Problem::refused(
                    "this is the authority of `watchward login`: with it every certificate would be \
                     void, and no new one would open anything; `watchward authority rotate --now` puts \
                     another in its place and revokes it",
                ));
            }
            let beside = way::beside(store, &fingerprint).await?;
            let own: Vec<_> = beside.iter().filter(|it| it.is(&fingerprint)).collect();
            let comment = own.iter().map(|it| &it.comment);
            let comment = comment.filter(|it| !it.as_bytes().is_empty()).min();
            let known = before.iter().find(|it| it.fingerprint == fingerprint);
            let places: BTreeSet<_> = own.iter().map(|it| it.account()).collect();
            keys.push(Meant {
                person: match self.policy.now().owner(&fingerprint) {
                    "" => person.clone(),
                    owner => owner.to_owned(),
                },
                comment: comment.map(Foreign::to_string).unwrap_or_default(),
                used_at: own.iter().filter_map(|it| it.used_at).max(),
                places: places.into_iter().collect(),
                revoked_at: known.map(|it| it.at),
                fingerprint,
                kind,
                wire,
            });
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

    /// Fingerprint, type and the key itself, as far as it is known, of each key that is meant.
    async fn meant(&self, what: What) -> Result<Vec<(String, String, Vec<u8>)>, Problem> {
        let certificate = "a certificate is not revoked by itself: revoke the key that it is for";
        match what {
            What::Key(text) => {
                let key = Offered::read(&text).map_err(Problem::refused)?;
                let name = key
                    .fingerprint
                    .ok_or_else(|| Problem::refused(certificate))?;
                Ok(vec![(name, key.kind, key.wire)])
            }
            What::Fingerprint(text) => {
                let name = Fingerprint::try_from(text).map_err(Problem::refused)?;
                let name = String::from(name);
                if !way::is_known(&self.sources.store, &name).await? {
                    return Err(Problem::missing(format!(
                        "no host has told of a key {name}: give the file with its public key"
                    )));
                }
                Ok(vec![self.known(name).await?])
            }
            What::Person(person) => {
                // What a certificate opens is over with the key that it is for.
                let certified = certificate::still(&self.sources.store, &person, clock::now());
                let mut keys = certified.await?;
                for name in self.policy.now().keys_of(&person) {
                    keys.push(self.known(name.to_owned()).await?);
                }
                if keys.is_empty() {
                    return Err(Problem::missing(format!(
                        "the policy has no keys of a person {} ([[keys.owners]]), and no certificate of \
                         that name still counts; a key is given as SHA256:... or as the file with \
                         its public half",
                        escaped(&person)
                    )));
                }
                Ok(keys)
            }
        }
    }

    async fn known(&self, name: String) -> Result<(String, String, Vec<u8>), Problem> {
        let found = wire::find(&self.sources.store, &name).await?;
        let (kind, wire) = found.unwrap_or_default();
        Ok((name, kind, wire))
    }
}
