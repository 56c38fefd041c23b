//! Bans that hosts decided: kept, joined, made longer and wider, and told of where they may be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::bucket;
use watchward_protocol::time::Timestamp;

use super::alerts;
use super::judge::{self, Cause, Causes, Ours, Owner, SEVERAL, Share};
use super::people::is_ours;
use super::wish;
use crate::alerting::{self, Alert};
use crate::policy::networks::Networks;
use crate::restriction::Config;
use crate::restriction::claims::{self, Claim};
use crate::restriction::rows::ban::{self, Row};
use crate::restriction::rows::{standing, vantage};
use crate::store::Tx;

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
    let known = Known::load(tx, &causes, (networks, config), now).await?;
    let ours = Ours {
        networks,
        addresses: &known.ours,
        attacked: &known.attacked,
    };
    let mut shares = shares(tx, &causes).await?;
    let judged = causes.iter().filter_map(|(net, causes)| {
        let by = (ours, config);
        known.judge((net, causes), by, &mut shares, now)
    });
    let judged: Vec<_> = judged.collect();
    let numbers = ban::begin(tx, &judged).await?;
    decided(tx, &causes, &numbers).await?;
    let mut changed: BTreeSet<u8> = known.changed(&judged).map(|new| bucket(&new.net)).collect();
    changed.extend(customers(tx, &judged, (ours, config), now).await?);
    tell(tx, &judged, ours, now).await?;
    let any = !changed.is_empty();
    ban::turn(tx, changed).await?;
    Ok(any)
}

/// What hosts said of an attack within this time is held against whoever says to be there.
const LATELY: Duration = Duration::from_secs(86_400);

/// The addresses of a host, and whether they are more than its word.
fn homes(claim: &Claim) -> impl Iterator<Item = (IpAddr, Owner)> {
    claim.addresses.iter().map(|own| {
        let claimed = (!claim.is_seen(*own)).then(|| (claim.id, claim.name.clone()));
        let whose = format!("the host {}", claim.name);
        (*own, Owner { whose, claimed })
    })
}

/// What is known of those whom hosts shut out.
struct Known {
    standing: BTreeMap<IpNet, ban::Standing>,
    before: BTreeMap<IpNet, i64>,
    /// Addresses of ours, and whose each is.
    ours: BTreeMap<IpAddr, Owner>,
    attacked: BTreeMap<IpNet, BTreeSet<HostId>>,
}

impl Known {
    async fn load(
        tx: &mut Tx,
        causes: &Causes<'_>,
        (networks, config): (&Networks, &Config),
        now: Timestamp,
    ) -> sqlx::Result<Self> {
        let nets: Vec<_> = causes.keys().copied().collect();
        let is_named = |own: IpAddr| judge::inside(&own.into(), networks).is_some();
        let (claims, _) = claims::weigh(vantage::claims(&mut **tx).await?, is_named);
        let mut ours: BTreeMap<_, _> = claims.iter().flat_map(homes).collect();
        for net in nets.iter().filter(|net| is_ours(net)) {
            let whose = "this collector".to_owned();
            ours.insert(
                net.addr(),
                Owner {
                    whose,
                    claimed: None,
                },
            );
        }
        let met = |net: &&IpNet| ours.range(net.network()..=net.broadcast()).next().is_some();
        let met: Vec<_> = nets.iter().filter(met).copied().collect();
        let mut attacked = ban::attacked(tx, &met, now - LATELY).await?;
        for net in met {
            let causes = causes.get(&net).into_iter().flatten();
            let lately = causes.filter(|one| now.since(one.at) < LATELY);
            let hosts = lately.map(|one| one.host.id);
            attacked.entry(net).or_default().extend(hosts);
        }
        Ok(Self {
            ours,
            attacked,
            standing: ban::standing(tx, &nets).await?,
            before: ban::before(tx, &nets, now - config.ban_again.duration()).await?,
        })
    }

    /// Whether it is shut out everywhere already.
    fn is_spread(&self, net: &IpNet) -> bool {
        self.standing.get(net).is_some_and(|known| known.spread)
    }

    /// The ban that follows: everywhere on the word of the first host that may say so, or on the first
    /// host alone.
    fn judge(
        &self,
        (net, causes): (&IpNet, &[Cause<'_>]),
        (ours, config): (Ours<'_>, &Config),
        shares: &mut Shares,
        now: Timestamp,
    ) -> Option<Row> {
        let (first, last) = (causes.first()?, causes.last()?);
        let before = self.before.get(net).copied().unwrap_or(0);
        let times = match self.standing.get(net) {
            Some(standing) => standing.times,
            None => before + 1,
        };
        let everywhere = |one: &Cause<'_>| judge::until(one.at.min(now), times, config, now);
        let everywhere = causes.iter().map(everywhere).max()?;
        let (mut host, mut unspread) = (first.host, ours.unspread(net));
        if unspread.is_none() && everywhere > now && !self.is_spread(net) {
            match causes.iter().find(|one| takes(shares, one, net)) {
                Some(payer) => host = payer.host,
                None => unspread = Some(format!("{} decided too many that hold", host.name)),
            }
        }
        let until = match unspread {
            None => everywhere,
            Some(_) => {
                let own = causes.iter().map(|one| one.banned.until).max()?;
                own.min(now + wish::LONGEST)
            }
        };
        let holds = until > now;
        Some(Row {
            net: *net,
            host: Some((host.id, host.name.clone())),
            author: None,
            reason: judge::reason(last.banned),
            decided_at: first.at.min(now),
            until,
            pinned: false,
            // What was over before it was heard of held nowhere but on its host.
            times: if holds { times } else { before },
            evidence: judge::evidence(&last.banned.lines),
            unspread,
            holds,
        })
    }

    /// What of this hosts have not heard.
    fn changed<'a>(&'a self, judged: &'a [Row]) -> impl Iterator<Item = &'a Row> {
        judged.iter().filter(|new| {
            let news = match self.standing.get(&new.net) {
                Some(standing) if standing.spread => !standing.pinned && new.until > standing.until,
                Some(_) => true,
                None => new.holds,
            };
            news && new.unspread.is_none()
        })
    }
}

/// How much each host has others shut out.
type Shares = BTreeMap<HostId, Share>;

async fn shares(tx: &mut Tx, causes: &Causes<'_>) -> sqlx::Result<Shares> {
    let hosts: BTreeSet<_> = causes.values().flatten().map(|one| one.host.id).collect();
    let mut shares = Shares::new();
    for host in hosts {
        let share = Share::of(ban::count_of(tx, host).await?);
        shares.insert(host, share);
    }
    Ok(shares)
}

/// Whether a host may have one more shut out; if so, that is counted.
fn takes(shares: &mut Shares, one: &Cause<'_>, net: &IpNet) -> bool {
    let share = shares.entry(one.host.id).or_default();
    share.take(bucket(net))
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
    judged: &[Row],
    (ours, config): (Ours<'_>, &Config),
    now: Timestamp,
) -> sqlx::Result<Vec<u8>> {
    let of = |new: &Row| Some((judge::customer(&new.net)?, new.clone()));
    let news = judged
        .iter()
        .filter(|new| new.holds && new.unspread.is_none());
    let wide: BTreeMap<IpNet, Row> = news.filter_map(of).collect();
    let mut new = Vec::new();
    for (net, of) in wide {
        let count = ban::count_within(tx, &net, of.net.prefix_len()).await?;
        if count < SEVERAL || ours.whose(&net).is_some() {
            continue;
        }
        new.push(Row {
            net,
            reason: format!("{count} of its /64 are shut out: {}", of.reason),
            ..of
        });
    }
    let nets: Vec<_> = new.iter().map(|new| new.net).collect();
    let before = ban::before(tx, &nets, now - config.ban_again.duration()).await?;
    let standing = ban::standing(tx, &nets).await?;
    new.retain(|new| !standing.contains_key(&new.net));
    for new in &mut new {
        new.times = before.get(&new.net).copied().unwrap_or(0) + 1;
        new.until = judge::until(new.decided_at, new.times, config, now);
    }
    ban::begin(tx, &new).await?;
    Ok(new.iter().map(|new| bucket(&new.net)).collect())
}

/// Tells of bans that hit somebody of ours: they hold on their host alone.
async fn tell(tx: &mut Tx, judged: &[Row], ours: Ours<'_>, now: Timestamp) -> sqlx::Result<()> {
    for new in judged.iter().filter(|new| new.holds) {
        for (host, attacked) in ours.outweighed(&new.net) {
            let alert = claims::outweighed(host, (new.net, attacked, new.until), now);
            stand(tx, alert, new.until, now).await?;
        }
        let Some((whose, (id, host))) = ours.whose(&new.net).zip(new.host.as_ref()) else {
            continue;
        };
        let alert = alerts::inside(new, (*id, host), &whose);
        stand(tx, alert, new.until, now).await?;
    }
    Ok(())
}

/// Tells of a ban, until it is over.
async fn stand(tx: &mut Tx, alert: Alert, until: Timestamp, now: Timestamp) -> sqlx::Result<()> {
    alerting::raise(tx, &alert, now).await?;
    let standing = standing::Standing {
        key: alert.key,
        since: alert.since,
        count: 1,
        over_at: until,
        ending: "The ban is over.".to_owned(),
    };
    standing::keep(tx, &standing).await
}
