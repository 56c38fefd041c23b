//! What people did about bans: shut somebody out, let somebody in again.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::net::net;
use crate::people::deed::{Deed, Kind, Wanted};
use crate::store::Store;

/// What people did, the newest first.
///
/// # Errors
/// The database's.
pub async fn deeds(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Deed>> {
    let mut all = Vec::new();
    for (what, text) in [("banned", BANNED), ("lifted the ban of", LIFTED)] {
        for row in wanted.rows(store, text).await? {
            let detail: Option<String> = row.try_get("detail")?;
            all.push(Deed {
                at: Timestamp::from_micros(row.try_get("at")?),
                who: row.try_get("who")?,
                address: None,
                kind: Kind::Ban,
                what: what.to_owned(),
                whom: net(&row)?.to_string(),
                detail: detail.unwrap_or_default(),
            });
        }
    }
    Ok(all)
}

const BANNED: &str = "SELECT decided_at AS at, author AS who, net, prefix, reason AS detail \
     FROM restriction_ban WHERE author IS NOT NULL AND decided_at >= $1 AND decided_at < $2 \
     AND $3 IN ('', REPLACE(author, ' (as root)', '')) ORDER BY decided_at DESC LIMIT $4";

const LIFTED: &str = "SELECT ended_at AS at, ended_by AS who, net, prefix, ended_why AS detail \
     FROM restriction_ban WHERE ended_by IS NOT NULL AND ended_at >= $1 AND ended_at < $2 \
     AND $3 IN ('', REPLACE(ended_by, ' (as root)', '')) ORDER BY ended_at DESC LIMIT $4";
