//! How hosts stand with a revoked peer. What holds it against what they said is pure.

use std::collections::BTreeMap;

use watchward_protocol::receipt::{self, Stand};
use watchward_protocol::time::Timestamp;

use crate::keys::rows::peer::{self as rows, Away, Kept, Said};
use crate::store::Store;

/// Why a host that does not tell of all its peers is not known to have taken this one away.
const MORE: &str = "nobody knows, for the host has more peers than it tells of";

/// What is known of one peer on all hosts.
#[derive(Debug, Default)]
pub(in crate::keys) struct Tunnels {
    said: BTreeMap<String, Said>,
    stand: Vec<Kept>,
    away: Vec<Away>,
}

/// Where a peer stands: hosts and interfaces.
pub(in crate::keys) async fn places(
    store: &Store,
    peer: &str,
) -> sqlx::Result<Vec<(String, String)>> {
    let mut stand = rows::all(store).await?;
    stand.retain(|one| one.peer == peer);
    Ok(stand
        .into_iter()
        .map(|one| (one.name, one.interface))
        .collect())
}

/// What is known of a peer.
pub(in crate::keys) async fn of_peer(store: &Store, peer: &str) -> sqlx::Result<Tunnels> {
    let mut stand = rows::all(store).await?;
    stand.retain(|one| one.peer == peer);
    Ok(Tunnels {
        said: rows::said(store).await?,
        stand,
        away: rows::away(store, peer).await?,
    })
}

impl Tunnels {
    /// How a host stands with what was revoked with this generation, and why it does not hold it.
    pub(in crate::keys) fn stand(
        &self,
        host: &str,
        (generation, silent): (u64, bool),
    ) -> (Stand, String) {
        let unheard = |otherwise| if silent { Stand::Pending } else { otherwise };
        let Some(said) = self.said.get(host) else {
            return (unheard(Stand::Waiting), String::new());
        };
        let mut standing = self.stand.iter().filter(|one| one.name == host);
        let kept = standing.clone().find_map(|one| one.kept.clone());
        if let Some(why) = kept.or_else(|| said.trouble.clone()) {
            return (unheard(Stand::Refused), why);
        }
        if standing.next().is_some() || said.generation < Some(generation) {
            return (unheard(Stand::Waiting), String::new());
        }
        // It may be among those that were left out, unless it is known to have gone.
        let is_away = self.away.iter().any(|one| one.name == host);
        if said.omitted > 0 && !is_away {
            return (unheard(Stand::Refused), MORE.to_owned());
        }
        (Stand::Held, String::new())
    }

    /// What a host did about it, for a receipt.
    pub(in crate::keys) fn tunnel(&self, host: &str) -> Option<receipt::Tunnel> {
        let said = self.said.get(host)?;
        let standing = self.stand.iter().filter(|one| one.name == host);
        let away = self.away.iter().filter(|one| one.name == host);
        Some(receipt::Tunnel {
            looked_at: said.at.into(),
            standing: standing.map(|one| one.interface.clone()).collect(),
            taken: away.map(taken).collect(),
        })
    }

    /// What a host said last, and with which generation.
    pub(in crate::keys) fn said(&self, host: &str) -> Option<(Timestamp, u64)> {
        let said = self.said.get(host)?;
        said.generation.map(|generation| (said.at, generation))
    }
}

fn taken(one: &Away) -> receipt::Taken {
    receipt::Taken {
        interface: one.interface.clone(),
        first_at: one.first_at.into(),
        last_at: one.last_at.into(),
        times: usize::try_from(one.times).unwrap_or(usize::MAX),
    }
}
