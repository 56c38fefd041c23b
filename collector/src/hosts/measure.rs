//! What the room tells monitoring: hosts by state, and when the collector's certificates end.

use std::time::Duration;

use metrics::gauge;
use watchward_protocol::time::Timestamp;

use super::{Hosts, rows};

/// Says when a certificate ends: the authority's, or the collector's own.
pub(super) fn expiry(certificate: &'static str, at: Timestamp) {
    let seconds = Duration::from_micros(at.as_micros().unsigned_abs()).as_secs_f64();
    gauge!("watchward_certificate_expiry_timestamp_seconds", "certificate" => certificate)
        .set(seconds);
}

impl Hosts {
    /// Measures what is in the database, for monitoring.
    ///
    /// # Errors
    /// The database's.
    pub async fn measure(&self) -> sqlx::Result<()> {
        for (state, count) in rows::states(&self.store).await? {
            gauge!("watchward_hosts", "state" => state).set(count as f64);
        }
        Ok(())
    }

    /// When a collector last wrote that it is there, which it does every few seconds.
    ///
    /// # Errors
    /// The database's.
    pub async fn written(&self) -> sqlx::Result<Option<Timestamp>> {
        rows::collector_seen(self.store.read()).await
    }
}
