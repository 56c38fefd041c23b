//! Brings what people were told of a host in line with what is so: it looks at what is kept, and
//! does what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use super::alerts::{self, Subject};
use super::inventory::{Inventory, Whose};
use super::judge::{self, About, Fate, Judged, Stray, Trouble};
use super::kept::Kept;
use super::policy::Policy;
use super::rows::told::Told;
use super::rows::{change, host, host_key, managed, stray, told};
use super::{authority, ordered};
use crate::alerting;
use crate::store::Tx;

/// What begins within this time is one incident: a storm is told once. What comes later is told anew,
/// so that nobody can hide behind an incident that is open.
const BATCH: Duration = Duration::from_secs(30);

/// How long after the last login with a key that is listed nowhere its incident ends.
pub(super) const QUIET: Duration = Duration::from_secs(86_400);

/// Keeps what has changed of a host, judges it, and tells people what is new; says how many incidents
/// began, changed or ended.
pub(super) async fn settle(
    tx: &mut Tx,
    inventory: &mut Inventory,
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<usize> {
    let policy = &*policy.of(&inventory.host.name);
    let authorities = authority::trusted(&mut **tx).await?;
    let name = &inventory.host.name;
    let mut lines = managed::of_host(tx, name).await?;
    lines.extend(authority::managed(name, &policy.logins, &authorities));
    lines.sort_unstable();
    lines.dedup();
    let serials = host_key::serials(tx, name).await?;
    ordered::recognise(inventory, &lines, &serials);
    judge::mark(inventory, policy, now);
    host::save(tx, inventory, now).await?;
    let strays = strays(tx, inventory, now).await?;
    let judged = judge::judge(inventory, &strays, policy, now);
    host::wait(tx, inventory.host.id, judged.next).await?;
    tell(tx, inventory, &strays, (&judged, policy), now).await
}

/// The stray logins of a host, after each has met its fate.
async fn strays(tx: &mut Tx, inventory: &Inventory, now: Timestamp) -> sqlx::Result<Vec<Stray>> {
    let mut left = Vec::new();
    for mut one in stray::load(tx, inventory.host.id).await? {
        match judge::fate(&one, inventory, now) {
            Fate::Stay => {}
            Fate::Tell => {
                one.told = true;
                one.due_at = now + QUIET;
                stray::tell(tx, one.id, one.due_at).await?;
            }
            Fate::Listed => {
                credit(tx, inventory, &one, now).await?;
                stray::forget(tx, one.id).await?;
                continue;
            }
            Fate::Forget => {
                stray::forget(tx, one.id).await?;
                continue;
            }
        }
        left.push(one);
    }
    Ok(left)
}

/// Writes logins down at the opening that turned out to have let them in.
async fn credit(
    tx: &mut Tx,
    inventory: &Inventory,
    stray: &Stray,
    now: Timestamp,
) -> sqlx::Result<()> {
    let account = Whose::Account(stray.account.clone());
    let opening = [account, Whose::Host].into_iter().find_map(|whose| {
        let mut all = inventory.of(&whose);
        let fits = |kept: &Kept| kept.opens_with(&stray.fingerprint, stray.first_at);
        all.find(|(_, kept)| fits(kept)).map(|(_, kept)| kept.id)
    });
    let Some(id) = opening else { return Ok(()) };
    let used = stray::Use {
        at: stray.last_at.min(now),
        address: stray.address.as_deref(),
        times: stray.times,
    };
    stray::note_use(tx, id, &used).await
}

/// Tells people what they have not been told, and ends what is over.
async fn tell(
    tx: &mut Tx,
    inventory: &Inventory,
    strays: &[Stray],
    (judged, policy): (&Judged, &Policy),
    now: Timestamp,
) -> sqlx::Result<usize> {
    let host = inventory.host.id;
    let mut told = told::load(tx, host).await?;
    let difference = Difference::between(&told, judged, now);
    if difference.is_none() {
        return Ok(0);
    }
    told::change(tx, host, &difference.begun, &difference.ended).await?;
    change::insert(tx, &worse(&difference.begun), now).await?;
    for one in &difference.ended {
        told.remove(one);
    }
    told.extend(difference.begun);
    let subjects = Subjects::of(inventory, strays);
    for (trouble, batch) in &difference.changed {
        let about = told
            .iter()
            .filter(|((one, _), of)| one == trouble && *of == batch);
        let about: Vec<_> = about
            .filter_map(|((_, about), _)| subjects.find(about))
            .collect();
        let key = alerts::key(*trouble, host, *batch);
        if about.is_empty() {
            alerting::resolve(tx, &key, alerts::over(*trouble), now).await?;
        } else {
            let alert = alerts::alert(&inventory.host, *trouble, &about, policy, now);
            alerting::raise(tx, &alerting::Alert { key, ..alert }, now).await?;
        }
    }
    Ok(difference.changed.len())
}

/// What time or another policy has made of openings, for their history; what hosts tell is noted
/// where it is heard.
fn worse(begun: &Told) -> Vec<(i64, String)> {
    let worse = begun.keys().filter_map(|(trouble, about)| {
        let word = match trouble {
            Trouble::Weak => "weak",
            Trouble::Due => "due soon",
            Trouble::Overdue => "overdue",
            Trouble::New
            | Trouble::NewTrust
            | Trouble::HostKey
            | Trouble::Widened
            | Trouble::Gone
            | Trouble::Unrenewed
            | Trouble::Unlisted
            | Trouble::Unread
            | Trouble::Beyond => return None,
        };
        match about {
            About::Opening(id) => Some((*id, word.to_owned())),
            About::Stray(_) | About::Holder(_) => None,
        }
    });
    worse.collect()
}

/// What people have yet to be told.
struct Difference {
    begun: Told,
    ended: Vec<(Trouble, About)>,
    changed: BTreeSet<(Trouble, i64)>,
}

impl Difference {
    fn between(told: &Told, judged: &Judged, now: Timestamp) -> Self {
        let mut begun = Told::new();
        for (trouble, abouts) in &judged.troubles {
            let batches = told.iter().filter(|((one, _), _)| one == trouble);
            let latest = batches.map(|(_, batch)| *batch).max();
            let recent = (now - BATCH).as_micros();
            let batch = latest.filter(|latest| *latest > recent);
            let batch = batch.unwrap_or(now.as_micros());
            for about in abouts {
                let one = (*trouble, about.clone());
                if !told.contains_key(&one) {
                    begun.insert(one, batch);
                }
            }
        }
        let still = |(trouble, about): &(Trouble, About)| {
            let now = judged.troubles.get(trouble);
            now.is_some_and(|now| now.contains(about))
        };
        let ended: Vec<_> = told.keys().filter(|one| !still(one)).cloned().collect();
        let over = ended.iter().filter_map(|one| told.get_key_value(one));
        let changed = begun.iter().chain(over);
        let changed = changed
            .map(|((trouble, _), batch)| (*trouble, *batch))
            .collect();
        Self {
            begun,
            ended,
            changed,
        }
    }

    fn is_none(&self) -> bool {
        self.changed.is_empty()
    }
}

/// What troubles are about, to be found.
struct Subjects<'a> {
    inventory: &'a Inventory,
    openings: BTreeMap<i64, Subject<'a>>,
    strays: &'a [Stray],
}

impl<'a> Subjects<'a> {
    fn of(inventory: &'a Inventory, strays: &'a [Stray]) -> Self {
        let openings = inventory.openings.iter();
        let openings = openings.map(|((whose, _), kept)| (kept.id, Subject::Opening(whose, kept)));
        Self {
            inventory,
            openings: openings.collect(),
            strays,
        }
    }

    fn find(&self, about: &About) -> Option<Subject<'a>> {
        match about {
            About::Opening(id) => self.openings.get(id).copied(),
            About::Stray(id) => {
                let found = self.strays.iter().find(|stray| stray.id == *id);
                found.map(|stray| {
                    let whose = Whose::Account(stray.account.clone());
                    Subject::Stray(stray, self.inventory.holders.get(&whose))
                })
            }
            About::Holder(name) => {
                let whose = match &name[..] {
                    [] => Whose::Host,
                    name => Whose::Account(name.into()),
                };
                let found = self.inventory.holders.get_key_value(&whose);
                found.map(|(whose, known)| Subject::Holder(whose, known))
            }
        }
    }
}

/// Ends everything that is open about a host.
pub(super) async fn end(tx: &mut Tx, host: HostId, why: &str, now: Timestamp) -> sqlx::Result<()> {
    let told = told::load(tx, host).await?;
    let incidents: BTreeSet<_> = told
        .iter()
        .map(|((trouble, _), batch)| (trouble, batch))
        .collect();
    for (trouble, batch) in incidents {
        alerting::resolve(tx, &alerts::key(*trouble, host, *batch), why, now).await?;
    }
    Ok(())
}
