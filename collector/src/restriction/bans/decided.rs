//! Bans that hosts decided: kept, joined, made longer and wider, and told of where they may be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::bucket;
use watchward_protocol::time::Timestamp;

use super::alerts;
use super::judge::{self, Cause, Causes, Ours, SEVERAL};
use super::people::is_ours;
use crate::alerting;
use crate::restriction::Config;
use crate::restriction::networks::Networks;
use crate::restriction::rows::ban::{self, New};
use crate::restriction::rows::{held, standing};
use crate::store::Tx;

/// How many bans that hold everywhere one host may have decided: what is beyond holds on it alone,
/// so that no host can have everybody shut out of all others.
const MOST_OF_A_HOST: i64 = 5_000;

/// Keeps what hosts decided, and has it hold everywhere; says whether hosts are to hear of it.
pub(in crate::restriction) async fn absorb(
    tx: &mut Tx,
    mut causes: Causes<'_>,
    (networks, config): (&Networks, &Config),
    now: Timestamp,
) -> sqlx::Result<bool> {
    ban::expire(tx, now).await?;
    let nets: Vec<_> = causes.keys().copied().collect();
    let lifted = ban::lifted(tx, &nets).await?;
    causes.retain(|net, causes| {
        causes.retain(|cause| lifted.get(net).is_none_or(|lifted| cause.at > *lifted));
        !causes.is_empty()
    });
    if causes.is_empty() {
        return Ok(false);
    }
    let known = Known::load(tx, &causes, config, now).await?;
    let ours = Ours {
        networks,
        addresses: &known.ours,
    };
    let judged = causes
        .iter()
        .map(|(net, causes)| known.judge(net, causes, (ours, config), now));
    let judged: Vec<_> = judged.flatten().collect();
    let numbers = ban::begin(tx, &judged).await?;
    decided(tx, &causes, &numbers).await?;
    let mut changed: BTreeSet<u8> = known.changed(&judged).map(|new| bucket(&new.net)).collect();
    changed.extend(customers(tx, &judged, (ours, config), now).await?);
    tell(tx, &judged, ours, now).await?;
    let any = !changed.is_empty();
    ban::turn(tx, changed).await?;
    Ok(any)
}

/// What is known of those whom hosts shut out.
struct Known {
    standing: BTreeMap<IpNet, ban::Standing>,
    before: BTreeMap<IpNet, i64>,
    /// Hosts whose bans hold on them alone, because there are so many.
    beyond: BTreeSet<HostId>,
    /// Addresses of ours, and whose each is.
    ours: BTreeMap<IpAddr, String>,
}

impl Known {
    async fn load(
        tx: &mut Tx,
        causes: &Causes<'_>,
        config: &Config,
        now: Timestamp,
    ) -> sqlx::Result<Self> {
        let nets: Vec<_> = causes.keys().copied().collect();
        let hosts: BTreeSet<_> = causes.values().flatten().map(|one| one.host.id).collect();
        let mut beyond = BTreeSet::new();
        for host in hosts {
            if ban::count_of(tx, host).await? >= MOST_OF_A_HOST {
                beyond.insert(host);
            }
        }
        let homes = held::homes(tx).await?.into_iter();
        let homes = homes.map(|(address, host)| (address, format!("the host {host}")));
        let own = nets.iter().filter(|net| is_ours(net));
        let own = own.map(|net| (net.addr(), "this collector".to_owned()));
        Ok(Self {
            ours: homes.chain(own).collect(),
            standing: ban::standing(tx, &nets).await?,
            before: ban::before(tx, &nets, now - config.ban_again.duration()).await?,
            beyond,
        })
    }

    /// The ban that follows, of the host that decided first.
    fn judge(
        &self,
        net: &IpNet,
        causes: &[Cause<'_>],
        (ours, config): (Ours<'_>, &Config),
        now: Timestamp,
    ) -> Option<New> {
        let (first, last) = (causes.first()?, causes.last()?);
        let before = self.before.get(net).copied().unwrap_or(0);
        let times = match self.standing.get(net) {
            Some(standing) => standing.times,
            None => before + 1,
        };
        let until = |one: &Cause<'_>| {
            let at = one.at.min(now);
            judge::until(at, (times, one.banned.until), config)
        };
        let until = causes.iter().map(until).max()?;
        let beyond = self
            .beyond
            .contains(&first.host.id)
            .then(|| format!("{} has shut out {MOST_OF_A_HOST} others", first.host.name));
        let tries = causes.iter().map(|one| i64::from(one.banned.tries)).sum();
        let accounts = causes
            .iter()
            .map(|one| i64::from(one.banned.accounts))
            .max();
        Some(New {
            net: *net,
            host: Some((first.host.id, first.host.name.clone())),
            author: None,
            reason: judge::reason(last.banned),
            decided_at: first.at.min(now),
            until,
            pinned: false,
            times,
            tries,
            accounts: accounts.unwrap_or(0),
            evidence: judge::evidence(&last.banned.lines),
            unspread: ours.unspread(net).or(beyond),
            holds: until > now,
        })
    }

    /// What of this hosts have not heard.
    fn changed<'a>(&'a self, judged: &'a [New]) -> impl Iterator<Item = &'a New> {
        judged.iter().filter(|new| {
            let news = match self.standing.get(&new.net) {
                Some(standing) => !standing.pinned && new.until > standing.until,
                None => new.holds,
            };
            news && new.unspread.is_none()
        })
    }
}

/// Notes which hosts decided what.
async fn decided(
    tx: &mut Tx,
    causes: &Causes<'_>,
    numbers: &BTreeMap<IpNet, i64>,
) -> sqlx::Result<()> {
    let mut last: BTreeMap<(i64, HostId), &Cause<'_>> = BTreeMap::new();
    for (net, causes) in causes {
        let Some(number) = numbers.get(net) else {
            continue;
        };
        last.extend(causes.iter().map(|one| ((*number, one.host.id), one)));
    }
    let rows = last.into_iter();
    let rows = rows.map(|((ban, host), one)| (ban, host, one.host.name.as_str(), one.at));
    ban::decided(tx, &rows.collect::<Vec<_>>()).await
}

/// Shuts out the whole /56 of which several /64 are; says the buckets that this changed.
async fn customers(
    tx: &mut Tx,
    judged: &[New],
    (ours, config): (Ours<'_>, &Config),
    now: Timestamp,
) -> sqlx::Result<Vec<u8>> {
    let of = |new: &New| Some((judge::customer(&new.net)?, new.clone()));
    let news = judged
        .iter()
        .filter(|new| new.holds && new.unspread.is_none());
    let wide: BTreeMap<IpNet, New> = news.filter_map(of).collect();
    let mut new = Vec::new();
    for (net, of) in wide {
        let count = ban::count_within(tx, &net, of.net.prefix_len()).await?;
        if count < SEVERAL || ours.whose(&net).is_some() {
            continue;
        }
        new.push(New {
            net,
            reason: format!("{count} of its /64 are shut out: {}", of.reason),
            tries: 0,
            ..of
        });
    }
    let nets: Vec<_> = new.iter().map(|new| new.net).collect();
    let before = ban::before(tx, &nets, now - config.ban_again.duration()).await?;
    let standing = ban::standing(tx, &nets).await?;
    new.retain(|new| !standing.contains_key(&new.net));
    for new in &mut new {
        new.times = before.get(&new.net).copied().unwrap_or(0) + 1;
        new.until = judge::until(new.decided_at, (new.times, new.until), config);
    }
    ban::begin(tx, &new).await?;
    Ok(new.iter().map(|new| bucket(&new.net)).collect())
}

/// Tells of bans that hit somebody of ours: they hold on their host alone.
async fn tell(tx: &mut Tx, judged: &[New], ours: Ours<'_>, now: Timestamp) -> sqlx::Result<()> {
    for new in judged.iter().filter(|new| new.holds) {
        let Some((whose, (id, host))) = ours.whose(&new.net).zip(new.host.as_ref()) else {
            continue;
        };
        let alert = alerts::inside(new, (*id, host), &whose);
        alerting::raise(tx, &alert, now).await?;
        let standing = standing::Standing {
            key: alert.key,
            since: alert.since,
            count: 1,
            over_at: new.until,
            ending: "The ban is over.".to_owned(),
        };
        standing::keep(tx, &standing).await?;
    }
    Ok(())
}
