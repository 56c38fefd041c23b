//! Has hosts be ordered what they are to hold, whenever that differs from what they were ordered last.

use std::collections::BTreeMap;

use watchward_protocol::instruments::Managed;
use watchward_protocol::time::Timestamp;

use super::{Stands, managed};
use crate::intake::Watched;
use crate::keys::policy::Policy;
use crate::keys::rows::managed as rows;
use crate::keys::rows::revoked;
use crate::store::Store;

/// What was ordered last, and as which generation.
#[derive(Debug, Default)]
pub(in crate::keys) struct Renewal(Option<(u64, BTreeMap<String, Vec<Managed>>)>);

impl Renewal {
    /// Orders what hosts are to hold, if they were ordered something else; says whether they were.
    pub(in crate::keys) async fn renew(
        &mut self,
        store: &Store,
        (hosts, policy, stands): (&[Watched], &Policy, &Stands),
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let lines = hosts.iter().map(|one| {
            let name = &one.host.name;
            (name.clone(), managed(name, policy, stands, now))
        });
        let wanted: BTreeMap<_, _> = lines.filter(|(_, lines)| !lines.is_empty()).collect();
        let generation = revoked::generation(store).await?;
        if self
            .0
            .as_ref()
            .is_some_and(|known| known.0 == generation && known.1 == wanted)
        {
            return Ok(false);
        }
        let mut before: BTreeMap<String, Vec<Managed>> = BTreeMap::new();
        for one in rows::all(store).await? {
            before.entry(one.host).or_default().push(one.line);
        }
        if before == wanted {
            self.0 = Some((generation, wanted));
            return Ok(false);
        }
        let mut tx = store.begin().await?;
        let generation = revoked::next(&mut tx, now).await?;
        rows::replace(&mut tx, &wanted, generation).await?;
        tx.commit().await?;
        self.0 = Some((generation, wanted));
        Ok(true)
    }
}
