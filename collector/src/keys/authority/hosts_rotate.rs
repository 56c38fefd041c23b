//! Replaces the authority of hosts: clients trust the next one before it signs, and the old one until no
//! host shows a certificate of it.

use std::collections::BTreeMap;

use aws_lc_rs::signature::Ed25519KeyPair;
use serde::Serialize;
use watchward_protocol::host_keys::Vouched;
use watchward_protocol::time::Timestamp;

use super::hosts_step::{self, Lean, Spans, Step};
use super::rotate::One;
use super::step::Stand;
use super::{Authority, Whose, certificate, hosts_alerts, what};
use crate::alerting::Alert;
use crate::intake::Watched;
use crate::keys::Policy;
use crate::keys::revocation::Inventory;
use crate::keys::rows::authority::{self as rows, Kept};
use crate::keys::rows::host_key::{self, Certificate, Seen};
use crate::store::Tx;

/// What people should read, by the incident's key; none: it is over.
pub(in crate::keys) type Told = Vec<(&'static str, Option<Alert>)>;

/// So many steps are taken at a time.
const MOST_STEPS: usize = 8;

/// How the authorities of hosts stand.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    /// Each that clients are to trust.
    authorities: Vec<One>,
    /// When the next one signs, if there is one: clients take its line until then.
    signs_after: Option<Timestamp>,
    /// The hosts that show certificates of an old one.
    waits_for: Vec<String>,
}

impl Authority {
    /// Does what is next, told what hosts lean on; says what people should read, by incident.
    pub(in crate::keys) async fn follow_hosts(
        &self,
        leans: &[Lean],
        policy: &Policy,
        now: Timestamp,
    ) -> anyhow::Result<Told> {
        for _ in 0..MOST_STEPS {
            let live = rows::live(self.store.read(), Whose::Hosts).await?;
            let step = hosts_step::next(&stands(&live), leans, spans(policy), now);
            if matches!(step, Step::Rest | Step::Publish(_) | Step::Wait(_)) {
                return Ok(hosts_alerts::all((&live, &step), policy, now));
            }
            let mut tx = self.store.begin().await?;
            let done = match &step {
                Step::Rest | Step::Publish(_) | Step::Wait(_) => false,
                Step::Make => self.make_for_hosts(&mut tx, "", now).await?,
                Step::Sign(id) => rows::sign(&mut tx, *id, now).await?,
                Step::End(id) => rows::end(&mut tx, *id, now).await?,
            };
            if done {
                tx.commit().await?;
                tracing::info!(?step, "the authority of hosts");
            }
        }
        Ok(Vec::new())
    }

    /// Makes the next one, which the one that signs vouches for; says whether it did, and no other
    /// collector. Beware: what is not committed then was not done.
    async fn make_for_hosts(&self, tx: &mut Tx, by: &str, now: Timestamp) -> anyhow::Result<bool> {
        let signing = self.signing(tx, Whose::Hosts, now).await?;
        if !self.make(tx, Whose::Hosts, (None, by), now).await? {
            return Ok(false);
        }
        let live = rows::live(&mut **tx, Whose::Hosts).await?;
        let mut waits = live.iter().filter(|one| one.signs_at.is_none());
        let (Some(next), None) = (waits.next(), waits.next()) else {
            return Ok(false);
        };
        let secret = self.sealing.unseal(&what(signing.id), &signing.sealed)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&secret, &signing.public)
            .map_err(|_| anyhow::anyhow!("the authority's key is broken"))?;
        let signature = pair.sign(&Vouched::statement(&next.wire()));
        let vouch = (signing.id, signature.as_ref().to_vec());
        rows::vouch(tx, next.id, vouch).await?;
        Ok(true)
    }

    /// Makes the next one, whose turn comes when clients could know it; says whether there was none yet.
    pub(super) async fn rotate_hosts(&self, by: &str, now: Timestamp) -> anyhow::Result<bool> {
        let mut tx = self.store.begin().await?;
        let live = rows::live(&mut *tx, Whose::Hosts).await?;
        if live.iter().any(|one| one.signs_at.is_none()) {
            return Ok(false);
        }
        let made = self.make_for_hosts(&mut tx, by, now).await?;
        if made {
            tx.commit().await?;
        }
        Ok(made)
    }

    /// Replaces all there are at once by one that signs now, and has clients refuse what they signed: for
    /// when somebody else may have a key. Says which are revoked.
    pub(super) async fn replace_hosts(
        &self,
        (by, reason): (&str, &str),
        now: Timestamp,
    ) -> anyhow::Result<Vec<String>> {
        let mut tx = self.store.begin().await?;
        let gone = self
            .succeed(&mut tx, Whose::Hosts, (by, reason), now)
            .await?;
        for fingerprint in &gone {
            host_key::is_of_host(&mut tx, fingerprint).await?;
        }
        tx.commit().await?;
        self.revocations.changed();
        Ok(gone)
    }

    /// How they stand.
    pub(super) async fn standing_of_hosts(
        &self,
        inventory: Inventory,
        now: Timestamp,
    ) -> anyhow::Result<Standing> {
        let policy = self.policy.now();
        let certificates = host_key::certificates(&self.store).await?;
        let seen = host_key::seen(&self.store).await?;
        let hosts = inventory(&self.store).await?;
        let leans = leans(&hosts, &policy, (&certificates, &seen), now);
        let mut until: BTreeMap<i64, Timestamp> = BTreeMap::new();
        for one in certificates.values().flatten() {
            let last = until.entry(one.authority).or_insert(one.until);
            *last = one.until.max(*last);
        }
        let live = rows::live(self.store.read(), Whose::Hosts).await?;
        let step = hosts_step::next(&stands(&live), &leans, spans(&policy), now);
        let signing = rows::signing(&live).map(|one| one.id);
        let one = |kept: &Kept| {
            let counts_until = until.get(&kept.id).copied();
            let due = |since| policy.hosts_authority.due(since);
            One::of(kept, signing == Some(kept.id), counts_until, due)
        };
        Ok(Standing {
            authorities: live.iter().map(one).collect(),
            signs_after: match step {
                Step::Publish(at) => Some(at),
                Step::Rest | Step::Make | Step::Sign(_) | Step::Wait(_) | Step::End(_) => None,
            },
            waits_for: match step {
                Step::Wait(hosts) => hosts,
                Step::Rest | Step::Make | Step::Publish(_) | Step::Sign(_) | Step::End(_) => {
                    Vec::new()
                }
            },
        })
    }

    /// What says of authorities of hosts that the one before trusted them: a client that trusts that one
    /// asks nobody about these.
    pub(super) async fn vouched(&self) -> sqlx::Result<Vec<Vouched>> {
        let ever: BTreeMap<_, _> = rows::ever(&self.store, Whose::Hosts)
            .await?
            .into_iter()
            .collect();
        let all = rows::vouched(&self.store).await?.into_iter();
        let one = |(id, by, signature): (i64, i64, Vec<u8>)| {
            let [key, by] = [ever.get(&id)?, ever.get(&by)?].map(|it| certificate::ed25519(it));
            Some(Vouched::new(&key, &by, &signature))
        };
        Ok(all.filter_map(one).collect())
    }
}

/// On what all hosts lean.
pub(in crate::keys) fn leans(
    hosts: &[Watched],
    policy: &Policy,
    (kept, seen): (&BTreeMap<String, Vec<Certificate>>, &BTreeMap<String, Seen>),
    now: Timestamp,
) -> Vec<Lean> {
    let (none, nothing) = (Vec::new(), Seen::default());
    let of_host = |one: &Watched| {
        let name = &one.host.name;
        let kept = kept.get(name).unwrap_or(&none);
        let is_ordered = policy.hosts.iter().any(|it| it.groups.has(name));
        let seen = seen.get(name).unwrap_or(&nothing);
        hosts_step::leans(name, (kept, is_ordered), seen, now).collect::<Vec<_>>()
    };
    hosts.iter().flat_map(of_host).collect()
}

pub(super) fn spans(policy: &Policy) -> Spans {
    Spans {
        every: policy.hosts_authority.every.0.duration(),
        published: policy.hosts_authority.published(&policy.certificates),
        life: policy
            .hosts
            .iter()
            .map(|it| it.life())
            .max()
            .unwrap_or_default(),
    }
}

fn stands(live: &[Kept]) -> Vec<Stand> {
    let one = |kept: &Kept| Stand {
        id: kept.id,
        made_at: kept.made_at,
        signs_at: kept.signs_at,
        counts_until: None,
    };
    live.iter().map(one).collect()
}
