//! Where hosts are, as far as that can be believed, and at which ports their sshd listens.

use futures_util::future::BoxFuture;

use super::claims;
use super::rows::{sshd as lines, vantage};
use super::sshd::doors;
use crate::intake::Site;
use crate::store::Store;

/// Every host that said where it is. Of one whose sshd is not known, the usual port.
pub fn sites(store: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Site>>> {
    Box::pin(async move {
        let (known, _) = claims::weigh(vantage::claims(store.read()).await?, |_| false);
        let said = lines::all(store).await?;
        let site = |claim: claims::Claim| {
            let own = said.iter().find(|one| one.host == claim.id);
            let ports = own.map(|one| doors(&one.lines)).unwrap_or_default();
            Site {
                name: claim.name,
                addresses: claim.addresses,
                seen: claim.seen,
                ssh: match ports.is_empty() {
                    true => vec![22],
                    false => ports.into_iter().collect(),
                },
            }
        };
        Ok(known.into_iter().map(site).collect())
    })
}
