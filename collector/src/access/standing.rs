//! Lines that nobody recognises, and gaps: incidents that stand until nothing more has come for a
//! while.

use std::collections::BTreeMap;

use watchward_protocol::access::UNRECOGNISED;
use watchward_protocol::record::Gap;
use watchward_protocol::time::Timestamp;

use super::judge::Fresh;
use super::rows::standing::{self, Standing};
use super::{Config, alerts};
use crate::alerting;
use crate::intake::Heard;
use crate::store::Tx;

/// Follows lines that nobody recognises: one incident for each host.
pub(super) async fn unrecognised(
    tx: &mut Tx,
    fresh: &[Fresh<'_>],
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut hosts = BTreeMap::new();
    for one in fresh {
        if one.heard.report.form == UNRECOGNISED {
            let host = &one.heard.host;
            let (_, since, count) = hosts.entry(host.id).or_insert((host, one.judged_at, 0));
            *since = one.judged_at.min(*since);
            *count += 1;
        }
    }
    for (host, since, count) in hosts.into_values() {
        let mut standing = find(tx, alerts::unrecognised_key(host), since).await?;
        standing.count += count;
        standing.over_at = now + config.settle.duration();
        standing.ending = format!("No further such line for {}.", config.settle);
        if standing.count / 2 >= standing.told {
            standing.told = standing.count;
            alerting::raise(tx, &alerts::unrecognised(host, &standing), now).await?;
        }
        standing::keep(tx, &standing).await?;
    }
    Ok(())
}

/// Follows a gap: one incident for each host and source.
pub(super) async fn gap(
    tx: &mut Tx,
    heard: &Heard<Gap>,
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    let since = heard.report.from.unwrap_or(heard.report.to).min(now);
    let mut standing = find(tx, alerts::gap_key(heard), since).await?;
    standing.count += 1;
    standing.over_at = now + config.settle.duration();
    standing.ending = format!("No further gap for {}.", config.settle);
    alerting::raise(tx, &alerts::gap(heard, &standing), now).await?;
    standing::keep(tx, &standing).await
}

async fn find(tx: &mut Tx, key: String, since: Timestamp) -> sqlx::Result<Standing> {
    let found = standing::find(tx, &key).await?;
    Ok(found.unwrap_or(Standing {
        key,
        since,
        count: 0,
        told: 0,
        over_at: since,
        ending: String::new(),
    }))
}

/// Ends those that nothing has been added to for long enough, and says how many.
pub(super) async fn end(tx: &mut Tx, now: Timestamp) -> sqlx::Result<usize> {
    let over = standing::take_over(tx, now).await?;
    for (key, ending) in &over {
        alerting::resolve(tx, key, ending, now).await?;
    }
    Ok(over.len())
}
