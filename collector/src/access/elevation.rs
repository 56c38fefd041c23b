//! Users who fail again and again to become somebody else, by sudo or su: no address to block, but
//! somebody to ask.

use std::collections::BTreeMap;

use watchward_protocol::access::{AccessEvent, Service};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::{self, Counts, Fresh};
use super::rows::elevation as rows;
use super::rows::standing::{self, Standing};
use super::{Elevation, alerts};
use crate::alerting;
use crate::intake::{Heard, Host};
use crate::store::Tx;

/// Follows failures of sudo and su: one incident for each host and user.
pub(super) async fn follow(
    tx: &mut Tx,
    fresh: &[Fresh<'_>],
    config: &Elevation,
    now: Timestamp,
) -> sqlx::Result<()> {
    for ((_, user), (host, times)) in by_user(fresh) {
        let key = alerts::elevation_key(host, user);
        let found = standing::find(tx, &key).await?;
        let standing = match found {
            Some(mut standing) => {
                standing.count += i64::try_from(times.len()).unwrap_or(i64::MAX);
                Some(standing)
            }
            None => begin(tx, (host, user), &times, config).await?,
        };
        let Some(mut standing) = standing else {
            continue;
        };
        standing.over_at = now + config.quiet.duration();
        standing.ending = format!("No further failure for {}.", config.quiet);
        if standing.count / 2 >= standing.told {
            standing.told = standing.count;
            let seen = rows::witnesses(tx, host.id, user, standing.since).await?;
            let alert = alerts::elevation(host, user, &standing, &seen, config.severity);
            alerting::raise(tx, &alert, now).await?;
        }
        standing::keep(tx, &standing).await?;
    }
    Ok(())
}

type Failures<'a> = BTreeMap<([u8; 16], &'a Foreign), (&'a Host, Vec<Timestamp>)>;

/// When each user of each host failed, in order.
fn by_user<'a>(fresh: &'a [Fresh<'_>]) -> Failures<'a> {
    let mut all = Failures::new();
    for one in fresh {
        let heard: &Heard<AccessEvent> = one.heard;
        let local = matches!(heard.report.service, Service::Sudo | Service::Su);
        let Some(user) = heard.report.user.as_ref().filter(|_| local) else {
            continue;
        };
        if one.counts == Counts::Failure {
            let key = (*heard.host.id.as_bytes(), &user.name);
            let (_, times) = all.entry(key).or_insert((&heard.host, Vec::new()));
            times.push(one.judged_at);
        }
    }
    for (_, times) in all.values_mut() {
        times.sort_unstable();
    }
    all
}

/// The incident that begins with these failures, if they are too many.
async fn begin(
    tx: &mut Tx,
    (host, user): (&Host, &Foreign),
    times: &[Timestamp],
    config: &Elevation,
) -> sqlx::Result<Option<Standing>> {
    let (failures, window) = (usize::from(config.failures.get()), config.window.duration());
    for anchor in judge::anchors(times, window) {
        let around = (anchor - window, anchor + window + window);
        let times = rows::failures(tx, host.id, user, around).await?;
        if let Some((since, _)) = judge::burst(&times, failures, window) {
            let count = times.iter().filter(|time| **time >= since).count();
            return Ok(Some(Standing {
                key: alerts::elevation_key(host, user),
                since,
                count: i64::try_from(count).unwrap_or(i64::MAX),
                told: 0,
                over_at: since,
                ending: String::new(),
            }));
        }
    }
    Ok(None)
}
