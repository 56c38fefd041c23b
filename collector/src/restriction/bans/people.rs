//! What people do about bans: they decide some, lift them, and say how long they last.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::IpNet;
use watchward_protocol::restriction::bucket;
use watchward_protocol::time::Timestamp;

use super::judge;
use super::wish::{self, Lifting, NewBan, Unfit};
use crate::policy::networks::{Networks, canonical};
use crate::restriction::rows::ban::{self, Row};
use crate::restriction::rows::bans;
use crate::store::Store;

/// Shuts somebody out of all hosts; says whom.
///
/// # Errors
/// The database's; inside, why there can be no such ban.
pub(super) async fn add(
    store: &Store,
    new: NewBan,
    (author, networks): (&str, &Networks),
    now: Timestamp,
) -> sqlx::Result<Result<IpNet, Unfit>> {
    let new = match new.fit(networks, is_ours, now) {
        Ok(new) => new,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let net = new.net;
    let mut tx = store.begin().await?;
    ban::expire(&mut tx, now).await?;
    if let Some(known) = ban::standing(&mut tx, &[net]).await?.get(&net) {
        let until = known.until;
        let why = format!("{net} is shut out already, until {until}: pin that ban for another end");
        return Ok(Err(Unfit(why)));
    }
    let times = ban::before(&mut tx, &[net], Timestamp::from_micros(0)).await?;
    let row = Row {
        net,
        host: None,
        author: Some(author.to_owned()),
        reason: new.reason,
        decided_at: now,
        until: new.until,
        pinned: true,
        times: times.get(&net).copied().unwrap_or(0) + 1,
        evidence: Vec::new(),
        unspread: None,
        holds: true,
    };
    ban::begin(&mut tx, &[row]).await?;
    ban::turn(&mut tx, [bucket(&net)]).await?;
    tx.commit().await?;
    tracing::info!(ban.net = %net, author, until = %new.until, "shut somebody out");
    Ok(Ok(net))
}

/// Ends every ban that meets a network, also what hosts hold of it by themselves; says which those
/// were.
///
/// # Errors
/// The database's; inside, why that cannot be.
pub(super) async fn lift(
    store: &Store,
    wish: Lifting,
    author: &str,
    now: Timestamp,
) -> sqlx::Result<Result<Vec<IpNet>, Unfit>> {
    let typed = wish.net;
    let wish = match wish.fit() {
        Ok(wish) => wish,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let (whom, reason) = (wish.net, &*wish.reason);
    let mut tx = store.begin().await?;
    let ended = bans::end(&mut tx, &whom, (author, reason), now).await?;
    if let Err(unfit) = wish.may_end(&ended) {
        tx.rollback().await?;
        return Ok(Err(unfit));
    }
    let mut told = ended.clone();
    // A host may hold what the collector has not heard of yet.
    told.extend([whom, canonical(typed)]);
    told.extend(judge::customer(&whom));
    told.sort_unstable();
    told.dedup();
    bans::lift(&mut tx, &told, now).await?;
    ban::turn(&mut tx, told.iter().map(bucket)).await?;
    tx.commit().await?;
    let bans = ended.len();
    tracing::info!(ban.net = %whom, author, reason, bans, "lifted bans");
    Ok(Ok(ended))
}

/// Has the ban of a network end at a moment, whatever its source does until then.
///
/// # Errors
/// The database's; inside, why that cannot be.
pub(super) async fn pin(
    store: &Store,
    whom: IpNet,
    (author, until): (&str, Timestamp),
    now: Timestamp,
) -> sqlx::Result<Result<IpNet, Unfit>> {
    let wish = wish::whole(whom).and_then(|whom| wish::end(until, now).map(|()| whom));
    let whom = match wish {
        Ok(whom) => whom,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let mut tx = store.begin().await?;
    if !bans::pin(&mut tx, &whom, (until, author), now).await? {
        let why = format!("no ban of {whom} holds; `watchward ban add` makes one");
        return Ok(Err(Unfit(why)));
    }
    ban::turn(&mut tx, [bucket(&whom)]).await?;
    tx.commit().await?;
    tracing::info!(ban.net = %whom, author, %until, "pinned a ban");
    Ok(Ok(whom))
}

/// Whether an address of this machine is in a network: the kernel is asked from where it would
/// speak to it. Nothing is sent.
pub(super) fn is_ours(net: &IpNet) -> bool {
    let any = match net {
        IpNet::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpNet::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let from = |to: IpAddr| {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(SocketAddr::new(to, 9))?;
        socket.local_addr()
    };
    let first = net.hosts().next().unwrap_or(net.addr());
    from(first).is_ok_and(|from| net.contains(&from.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_knows_its_own_addresses() {
        assert!(is_ours(&"127.0.0.1/32".parse().unwrap()));
        assert!(!is_ours(&"203.0.113.7/32".parse().unwrap()));
    }
}
