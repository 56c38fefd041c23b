//! What people did about incidents: took them on, silenced them.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use crate::people::deed::{Deed, Kind, Wanted};
use crate::store::Store;

/// What people did, the newest first.
///
/// # Errors
/// The database's.
pub async fn deeds(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Deed>> {
    let mut all = Vec::new();
    for (kind, what, text) in [
        (Kind::Incident, "acknowledged", ACKNOWLEDGED),
        (Kind::Silence, "silenced", SILENCED),
        (Kind::Silence, "ended a silence", ENDED),
    ] {
        for row in wanted.rows(store, text).await? {
            let said = |column| row.try_get::<Option<String>, _>(column);
            all.push(Deed {
                at: Timestamp::from_micros(row.try_get("at")?),
                who: row.try_get("who")?,
                address: None,
                kind,
                what: what.to_owned(),
                whom: said("whom")?.unwrap_or_default(),
                detail: said("detail")?.unwrap_or_default(),
            });
        }
    }
    Ok(all)
}

const ACKNOWLEDGED: &str = "SELECT acked_at AS at, acked_by AS who, code AS whom, \
     ack_note AS detail FROM alerting_incident \
     WHERE acked_at >= $1 AND acked_at < $2 AND $3 IN ('', REPLACE(acked_by, ' (as root)', '')) \
     ORDER BY acked_at DESC LIMIT $4";

const SILENCED: &str = "SELECT created_at AS at, author AS who, \
     COALESCE(host, host_group, room, key) AS whom, reason AS detail FROM alerting_silence \
     WHERE created_at >= $1 AND created_at < $2 AND $3 IN ('', REPLACE(author, ' (as root)', '')) \
     ORDER BY created_at DESC LIMIT $4";

const ENDED: &str = "SELECT ended_at AS at, ended_by AS who, \
     COALESCE(host, host_group, room, key) AS whom, reason AS detail FROM alerting_silence \
     WHERE ended_by IS NOT NULL AND ended_at >= $1 AND ended_at < $2 \
     AND $3 IN ('', REPLACE(ended_by, ' (as root)', '')) ORDER BY ended_at DESC LIMIT $4";
