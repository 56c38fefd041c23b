//! What people did about keys: said of some that they are right, revoked others and took them back.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use crate::people::deed::{Deed, Kind, Wanted};
use crate::store::Store;

/// How the history of a key says that somebody accepted it.
const ACCEPTED: &str = "accepted by ";

/// What people did, the newest first.
///
/// # Errors
/// The database's.
pub async fn deeds(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Deed>> {
    let mut all = accepted(store, wanted).await?;
    all.extend(super::certificate::deeds(store, wanted).await?);
    for (what, text) in [
        ("revoked", REVOKED),
        ("reinstated", REINSTATED),
        ("given up", GIVEN_UP),
        ("wanted replaced", WISHED),
        ("replaced", ROTATED),
    ] {
        for row in wanted.rows(store, text).await? {
            all.push(Deed {
                at: Timestamp::from_micros(row.try_get("at")?),
                who: row.try_get("who")?,
                address: None,
                kind: Kind::Key,
                what: what.to_owned(),
                whom: row.try_get("fingerprint")?,
                detail: row.try_get("detail")?,
            });
        }
    }
    Ok(all)
}

const REVOKED: &str = "SELECT at, author AS who, fingerprint, reason AS detail FROM keys_revoked \
     WHERE at >= $1 AND at < $2 AND $3 IN ('', REPLACE(author, ' (as root)', '')) ORDER BY at DESC LIMIT $4";

const GIVEN_UP: &str = "SELECT at, author AS who, 'what another database had revoked' AS fingerprint, \
     reason AS detail FROM keys_given_up \
     WHERE at >= $1 AND at < $2 AND $3 IN ('', REPLACE(author, ' (as root)', '')) ORDER BY at DESC LIMIT $4";

const WISHED: &str = "SELECT at, author AS who, name AS fingerprint, '' AS detail FROM keys_rotation_wish \
     WHERE at >= $1 AND at < $2 AND $3 IN ('', REPLACE(author, ' (as root)', '')) ORDER BY at DESC LIMIT $4";

const ROTATED: &str = "SELECT made_at AS at, author AS who, \
     CASE WHEN of_hosts = 1 THEN 'the authority of hosts' ELSE 'the authority of certificates' END AS fingerprint, \
     CASE WHEN signs_at = made_at THEN 'at once' \
     WHEN of_hosts = 1 THEN 'as soon as clients could know the next one' ELSE 'as soon as every host trusts the next one' END AS detail \
     FROM keys_authority WHERE author <> '' AND made_at >= $1 AND made_at < $2 \
     AND $3 IN ('', REPLACE(author, ' (as root)', '')) ORDER BY made_at DESC LIMIT $4";

const REINSTATED: &str = "SELECT ended_at AS at, ended_by AS who, fingerprint, reason AS detail \
     FROM keys_revoked WHERE ended_at >= $1 AND ended_at < $2 \
     AND $3 IN ('', REPLACE(ended_by, ' (as root)', '')) ORDER BY ended_at DESC LIMIT $4";

async fn accepted(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Deed>> {
    let rows = sqlx::query(
        "SELECT c.at, c.what, o.fingerprint, o.host_name FROM keys_change c \
         JOIN keys_opening o ON o.id = c.opening \
         WHERE REPLACE(c.what, ' (as root)', '') LIKE $1 AND c.at >= $2 AND c.at < $3 ORDER BY c.id DESC LIMIT $4",
    )
    .bind(match wanted.who.as_str() {
        "" => format!("{ACCEPTED}%"),
        who => format!("{ACCEPTED}{who}"),
    })
    .bind(wanted.since.as_micros())
    .bind(wanted.before.as_micros())
    .bind(wanted.limit)
    .fetch_all(store.read())
    .await?;
    let mut all = Vec::new();
    for row in rows {
        let what: String = row.try_get("what")?;
        let fingerprint: Option<String> = row.try_get("fingerprint")?;
        all.push(Deed {
            at: Timestamp::from_micros(row.try_get("at")?),
            who: what.strip_prefix(ACCEPTED).unwrap_or_default().to_owned(),
            address: None,
            kind: Kind::Key,
            what: "accepted".to_owned(),
            whom: fingerprint.unwrap_or_else(|| "what opens an account".to_owned()),
            detail: row.try_get("host_name")?,
        });
    }
    Ok(all)
}
