//! Brute force: bursts of failures from one source, from the first to the end, and logins after it.

use std::collections::HashMap;

use watchward_protocol::time::Timestamp;

use super::address::Source;
use super::judge::{self, Counts, Fresh};
use super::rows::attack::{self, Attack};
use super::rows::counted;
use super::{BruteForce, IsShutOut, alerts};
use crate::alerting;
use crate::store::Tx;

/// What attacks are judged by.
pub(super) struct Means<'a> {
    pub(super) config: &'a BruteForce,
    pub(super) shut_out: IsShutOut,
}

/// Follows what has come to what it means: attacks begin, go on, and succeed. Asks in bulk, so that
/// a flood from very many sources stays linear.
pub(super) async fn follow(
    tx: &mut Tx,
    fresh: &[Fresh<'_>],
    by: &Means<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let came = by_source(fresh);
    let sources: Vec<_> = came.iter().map(|(source, _)| *source).collect();
    attack::take_turn(tx, &sources).await?;
    let open = attack::open(tx, &sources).await?;
    let mut changed = Vec::new();
    for (source, came) in &came {
        if let Some(attack) = open.get(source) {
            let attack = go_on(tx, *attack, came, by, now).await?;
            changed.extend(attack);
        }
    }
    let quiet: Vec<_> = came
        .iter()
        .filter(|(source, _)| !open.contains_key(source))
        .collect();
    for (source, since) in bursts(tx, &quiet, by.config).await? {
        changed.push(begin(tx, source, since, by, now).await?);
    }
    // In one order everywhere, so that two collectors never wait for each other.
    changed.sort_unstable_by_key(|attack| attack.source);
    attack::keep(tx, &changed).await
}

/// What one source did, in order of time.
#[derive(Default)]
struct Came {
    failures: Vec<Timestamp>,
    logins: usize,
}

fn by_source(fresh: &[Fresh<'_>]) -> Vec<(Source, Came)> {
    let mut all: HashMap<Source, Came> = HashMap::new();
    for one in fresh {
        let Some(source) = one.source else { continue };
        match one.counts {
            Counts::Failure => all.entry(source).or_default().failures.push(one.judged_at),
            Counts::Login => all.entry(source).or_default().logins += 1,
            Counts::Nothing => {}
        }
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_unstable_by_key(|(source, _)| *source);
    for (_, came) in &mut all {
        came.failures.sort_unstable();
    }
    all
}

/// Sources that failed too often within the window, and since when.
async fn bursts(
    tx: &mut Tx,
    quiet: &[&(Source, Came)],
    config: &BruteForce,
) -> sqlx::Result<Vec<(Source, Timestamp)>> {
    let (failures, window) = (usize::from(config.failures.get()), config.window.duration());
    let mut anchors = Vec::new();
    for (source, came) in quiet {
        let around = judge::anchors(&came.failures, window);
        anchors.extend(around.into_iter().map(|anchor| (*source, anchor)));
    }
    let mut found: Vec<(Source, Timestamp)> = Vec::new();
    for suspect in counted::suspects(tx, &anchors, failures, window).await? {
        if found.last().is_some_and(|(source, _)| *source == suspect.0) {
            continue;
        }
        let times = counted::failures(tx, suspect, failures, window).await?;
        if let Some((since, _)) = judge::burst(&times, failures, window) {
            found.push((suspect.0, since));
        }
    }
    Ok(found)
}

async fn begin(
    tx: &mut Tx,
    source: Source,
    since: Timestamp,
    by: &Means<'_>,
    now: Timestamp,
) -> sqlx::Result<Attack> {
    let (failures, last_at) = counted::count(tx, source, since).await?;
    let attack = Attack {
        source,
        since,
        last_at,
        failures,
        told: failures,
        over_at: now + by.config.quiet.duration(),
    };
    tell(tx, &attack, by, now).await?;
    tell_logins(tx, &attack, now).await?;
    Ok(attack)
}

/// The attack as it stands now; people are told again only when it has doubled.
async fn go_on(
    tx: &mut Tx,
    mut attack: Attack,
    came: &Came,
    by: &Means<'_>,
    now: Timestamp,
) -> sqlx::Result<Option<Attack>> {
    if came.logins > 0 {
        tell_logins(tx, &attack, now).await?;
    }
    let Some(last_at) = came.failures.last() else {
        return Ok(None);
    };
    let more = i64::try_from(came.failures.len()).unwrap_or(i64::MAX);
    attack.failures = attack.failures.saturating_add(more);
    attack.last_at = attack.last_at.max(*last_at);
    attack.over_at = now + by.config.quiet.duration();
    if attack.failures / 2 >= attack.told {
        attack.told = attack.failures;
        tell(tx, &attack, by, now).await?;
    }
    Ok(Some(attack))
}

async fn tell(tx: &mut Tx, attack: &Attack, by: &Means<'_>, now: Timestamp) -> sqlx::Result<()> {
    let seen = counted::witnesses(tx, attack.source, Counts::Failure, attack.since).await?;
    let shut_out = (by.shut_out)(tx, attack.source.net(), now).await?;
    let severity = by.config.severity;
    let mut alert = alerts::brute_force(attack, &seen, severity);
    if let Some(shut_out) = shut_out {
        alert = alerts::shut_out(alert, attack.source, shut_out, now);
    }
    alerting::raise(tx, &alert, now).await
}

/// Tells of logins since the attack began, if there are any.
async fn tell_logins(tx: &mut Tx, attack: &Attack, now: Timestamp) -> sqlx::Result<()> {
    let seen = counted::witnesses(tx, attack.source, Counts::Login, attack.since).await?;
    if seen.is_empty() {
        return Ok(());
    }
    alerting::raise(tx, &alerts::login_after(attack, &seen), now).await
}

/// Ends the attacks that have been quiet for long enough, and says how many.
pub(super) async fn end(tx: &mut Tx, config: &BruteForce, now: Timestamp) -> sqlx::Result<usize> {
    let over = attack::take_over(tx, now).await?;
    for attack in &over {
        let why = alerts::quiet(attack, config);
        for key in [
            alerts::brute_force_key(attack.source),
            alerts::login_after_key(attack.source),
        ] {
            alerting::resolve(tx, &key, &why, now).await?;
        }
    }
    Ok(over.len())
}
