//! What a host is ordered in a conversation: everything at first, then what changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tonic::Status;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::order::{Order, Subject};
use watchward_protocol::wire::v1;

use super::gather::Reply;
use super::{Buckets, Errands, Host, Orders, Owned, Refusing, Said, Shown};

/// After this long an agent that takes no orders is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What should hold on hosts, as it changes.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What each host is ordered of its own.
    pub orders: Live<Orders>,
    /// Who is shut out of all of them.
    pub bans: Live<Buckets>,
    /// What each is to try of others.
    pub errands: Live<Errands>,
    /// What sshd on all of them is told about keys.
    pub refusing: Refusing,
    /// Which keys each is to have of its own.
    pub owned: Live<Owned>,
    /// What sshd on each is to show of itself.
    pub shown: Live<Shown>,
}

/// What should hold, and what of that was said.
pub(super) struct Saying {
    wanted: Wanted,
    said: HashMap<Subject, Order>,
    shut: Option<Arc<Buckets>>,
    /// The generation of what sshd is told; 0: none. Each stands for one text, which may be large.
    refused: u64,
}

impl Saying {
    /// Nothing was said.
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            said: HashMap::new(),
            shut: None,
            refused: 0,
        }
    }

    /// Waits until something else should hold.
    pub(super) async fn changed(&mut self) {
        let Wanted {
            orders,
            bans,
            errands,
            refusing,
            owned,
            shown,
        } = &mut self.wanted;
        tokio::select! {
            () = orders.changed() => {}
            () = bans.changed() => {}
            () = errands.changed() => {}
            () = refusing.refuse.changed() => {}
            () = owned.changed() => {}
            () = shown.changed() => {}
        }
    }

    /// Orders what should hold on a host, as far as it has not been said.
    pub(super) async fn say(&mut self, host: &Host, reply: &Reply) -> Result<(), Status> {
        self.say_refused(host, reply).await?;
        let mut wanted = self.wanted.orders.now().of(host);
        wanted.push(Order::Probes(self.wanted.errands.now().of(host.id)));
        wanted.extend(self.wanted.owned.now().order(&host.name));
        wanted.extend(self.wanted.shown.now().order(&host.name));
        for order in wanted {
            let subject = order.subject();
            if self.said.get(&subject) == Some(&order) {
                continue;
            }
            self.said.insert(subject, order.clone());
            send(order, reply).await?;
        }
        let bans = self.wanted.bans.now();
        for bucket in bans.news(self.shut.as_deref()) {
            send(Order::Bans(bucket.clone()), reply).await?;
        }
        self.shut = Some(bans);
        Ok(())
    }

    /// Before anything else: who comes back must not take a key that was revoked meanwhile for longer
    /// than it has to.
    async fn say_refused(&mut self, host: &Host, reply: &Reply) -> Result<(), Status> {
        let refusing = &self.wanted.refusing;
        let refuse = refusing.refuse.now();
        if self.refused == refuse.generation() {
            return Ok(());
        }
        let Some(order) = refuse.order(&host.name) else {
            return Ok(());
        };
        self.refused = refuse.generation();
        send(order, reply).await?;
        let said = Said {
            host: host.clone(),
            generation: refuse.generation(),
            at: clock::now(),
        };
        // Where too much is to be kept, only the time of this is lost.
        let _ = refusing.told.try_send(said);
        Ok(())
    }
}

async fn send(order: Order, reply: &Reply) -> Result<(), Status> {
    let order = v1::from_collector::Message::Order(order.into());
    let message = v1::FromCollector {
        message: Some(order),
    };
    let taken = tokio::time::timeout(PATIENCE, reply.send(Ok(message))).await;
    // An agent that has gone hears them when it comes again.
    let _ = taken.map_err(|_| Status::deadline_exceeded("the agent takes no orders"))?;
    Ok(())
}
