//! What the room tells monitoring: open incidents, the outbox, and what became of messages.

use metrics::{counter, gauge};
use watchward_protocol::time::Timestamp;

use super::message::Channel;
use super::{Severity, rows};
use crate::store::Store;

/// Measures what is in the database, for monitoring.
///
/// # Errors
/// The database's.
pub async fn measure(store: &Store, now: Timestamp) -> sqlx::Result<()> {
    let open = rows::open_by_severity(store).await?;
    for severity in Severity::ALL {
        let count = open.iter().find(|(rank, _)| *rank == severity.rank());
        let count = count.map_or(0, |(_, count)| *count);
        gauge!("watchward_incidents_open", "severity" => severity.name()).set(count as f64);
    }
    let waiting = rows::waiting(store, now).await?;
    for channel in Channel::ALL {
        let found = waiting.iter().find(|one| one.channel == channel.name());
        let (count, oldest) = found.map_or((0, None), |one| (one.count, one.oldest));
        let age = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        gauge!("watchward_outbox_messages", "channel" => channel.name()).set(count as f64);
        gauge!("watchward_outbox_oldest_seconds", "channel" => channel.name()).set(age);
    }
    Ok(())
}

/// Counts an attempt that came to an end.
pub(super) fn ended(channel: Channel, result: &'static str) {
    counter!("watchward_deliveries_total", "channel" => channel.name(), "result" => result)
        .increment(1);
}
