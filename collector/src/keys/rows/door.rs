//! What is known of a host's doors: its keys, whose line a key has, and what else opens.

use std::collections::BTreeMap;

use sqlx::Row;
use watchward_protocol::keys::Means;
use watchward_protocol::proof::{CONTROLS, HOST_KEYS};
use watchward_protocol::text::Foreign;

use super::{MEANS, maybe_stamp};
use crate::keys::proof::Controls;
use crate::store::Store;
use crate::store::value::variant;

/// What is known.
#[derive(Debug, Default)]
pub(in crate::keys) struct Known {
    /// By which keys its sshd proves itself, as on the wire.
    pub(in crate::keys) host_keys: Vec<Vec<u8>>,
    /// Other keys that should open each account.
    pub(in crate::keys) controls: Controls,
    /// For each of the keys the accounts in whose files it stands or stood, each with the addresses from
    /// which alone it counts there; empty: from everywhere.
    pub(in crate::keys) stands: Vec<BTreeMap<Foreign, String>>,
}

/// How many lines of one host are looked through.
const MOST: i64 = 20_000;

/// Of a host, about the keys with these fingerprints.
pub(in crate::keys) async fn known(
    store: &Store,
    host: &str,
    fingerprints: &[Option<&str>],
) -> sqlx::Result<Known> {
    let rows = sqlx::query(
        "SELECT o.holder, o.means, o.options, o.fingerprint, o.gone_at, o.condition, w.wire, \
         (SELECT COUNT(*) FROM keys_revoked r \
          WHERE r.fingerprint = o.fingerprint AND r.ended_at IS NULL) AS revoked \
         FROM keys_opening o LEFT JOIN keys_wire w ON w.fingerprint = o.fingerprint \
         WHERE o.host_name = $1 AND o.means IN (0, 4) ORDER BY o.holder, o.id LIMIT $2",
    )
    .bind(host.to_owned())
    .bind(MOST)
    .fetch_all(store.read())
    .await?;
    let mut known = Known {
        stands: vec![BTreeMap::new(); fingerprints.len()],
        ..Known::default()
    };
    for row in &rows {
        let account = Foreign::from(row.try_get::<Vec<u8>, _>("holder")?);
        let options: Vec<u8> = row.try_get("options")?;
        let its: Option<String> = row.try_get("fingerprint")?;
        let wire: Vec<u8> = row.try_get::<Option<_>, _>("wire")?.unwrap_or_default();
        let is_gone = maybe_stamp(row, "gone_at")?.is_some();
        let is_key = variant(&MEANS, row.try_get("means")?)? == Means::AuthorizedKey;
        let mut asked = fingerprints.iter().zip(&mut known.stands);
        let asked = asked.find(|(one, _)| is_key && one.is_some() && **one == its.as_deref());
        if let Some((_, stands)) = asked {
            stands.entry(account).or_insert_with(|| from(&options));
            continue;
        }
        let is_plain =
            options.is_empty() && row.try_get::<Option<String>, _>("condition")?.is_none();
        let is_revoked = row.try_get::<i64, _>("revoked")? > 0;
        if is_gone || wire.is_empty() {
            continue;
        }
        match is_key {
            true if is_plain && !is_revoked => {
                let controls = known.controls.entry(account).or_default();
                if controls.len() < CONTROLS {
                    controls.push(wire);
                }
            }
            false if known.host_keys.len() < HOST_KEYS => known.host_keys.push(wire),
            true | false => {}
        }
    }
    Ok(known)
}

/// The addresses that a line is limited to, as it says them.
fn from(options: &[u8]) -> String {
    let text = Foreign::from(options).to_string();
    let begun = text.split_once("from=\"").map(|(_, rest)| rest);
    let inner = begun.and_then(|rest| rest.split_once('"'));
    inner.map(|(inner, _)| inner.to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_line_are_found() {
        assert_eq!(
            from(b"restrict,from=\"10.0.0.0/8,!10.1.1.1\",pty"),
            "10.0.0.0/8,!10.1.1.1"
        );
        assert_eq!(from(b"restrict"), "");
        assert_eq!(from(b"from=\"10.0.0.0/8"), "");
    }
}
