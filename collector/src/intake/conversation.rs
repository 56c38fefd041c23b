//! One agent's conversation: who it is, where it goes on, and what it tells.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use watchward_daemon::clock;
use watchward_daemon::tasks::{Stop, Tasks};
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Gap, Lane, Record, Report};
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire::v1;

use super::bearer::Bearer;
use super::connection::Shown;
use super::gather::{self, Arrival, Reply};
use super::listen::Accepted;
use super::questions::Questions;
use super::saying::Saying;
use super::{Host, Registry, Wanted, rows};
use crate::store::Store;

/// After this long without a word a connection is dead: agents give a sign of life far more often.
const SILENCE: Duration = Duration::from_secs(120);
/// How long a refusal takes.
const REFUSAL: Duration = Duration::from_secs(1);
/// The largest message.
const FRAME: usize = 2 << 20;
/// How many answers wait for an agent: all that it is ordered after it has connected, and room for
/// what acknowledges, which does not wait.
const ANSWERS: usize = 512;
/// How many records travel together at most.
const BATCH: usize = 512;

/// What every conversation needs.
#[derive(Clone)]
pub(super) struct Talk {
    pub(super) store: Store,
    pub(super) registry: Arc<dyn Registry>,
    pub(super) wanted: Wanted,
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) tasks: Tasks,
    pub(super) questions: Questions,
    pub(super) current: Arc<Mutex<HashMap<HostId, Stop>>>,
}

/// Serves the agents that have connected.
pub(super) async fn serve(accepted: Accepted, talk: Talk, stop: Stop) -> anyhow::Result<()> {
    let service = v1::conversation_server::ConversationServer::new(talk);
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_concurrent_streams(4)
        .add_service(service.max_decoding_message_size(FRAME))
        .serve_with_incoming_shutdown(accepted, stop.cancelled_owned())
        .await
        .context("cannot serve agents")
}

#[tonic::async_trait]
impl v1::conversation_server::Conversation for Talk {
    type ConverseStream = ReceiverStream<Result<v1::FromCollector, Status>>;

    async fn converse(
        &self,
        request: Request<Streaming<v1::FromAgent>>,
    ) -> Result<Response<Self::ConverseStream>, Status> {
        let (bearer, host) = self.admit(&request).await?;
        let shown = request.extensions().get::<Shown>();
        let from = shown.and_then(|shown| shown.from);
        let (reply, outbound) = mpsc::channel(ANSWERS);
        let talk = self.clone();
        self.tasks.start_passing("conversation", async move {
            let began = (from, bearer.expires);
            talk.hold(host, began, request.into_inner(), reply).await;
            Ok(())
        });
        Ok(Response::new(ReceiverStream::new(outbound)))
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::Credentials>, Status> {
        let (_, host) = self.admit(&request).await?;
        let wanted = request.into_inner().request;
        let given = self.registry.renew(&host, &wanted, clock::now()).await;
        let given = given.map_err(|error| unavailable(&error))?;
        let given = given.map_err(|refusal| Status::permission_denied(refusal.to_string()))?;
        tracing::info!(host.id = %host.id, host.name = host.name, "renewed a host's certificate");
        Ok(Response::new(given.into()))
    }
}

impl From<super::Credentials> for v1::Credentials {
    fn from(given: super::Credentials) -> Self {
        let super::Credentials {
            chain,
            authorities,
            renew_at,
        } = given;
        Self {
            chain,
            authorities,
            renew_at: renew_at.as_micros(),
        }
    }
}

fn unavailable(error: &anyhow::Error) -> Status {
    tracing::error!(error = format!("{error:#}"), "cannot answer an agent");
    Status::unavailable("the collector has a problem of its own; try again")
}

impl Talk {
    /// The host that its certificate names, if it may talk to us.
    async fn admit<T>(&self, request: &Request<T>) -> Result<(Bearer, Host), Status> {
        let shown = request.extensions().get::<Shown>();
        let bearer = shown.and_then(|shown| shown.bearer);
        let bearer = bearer.filter(|bearer| bearer.expires > clock::now());
        let bearer =
            bearer.ok_or_else(|| Status::unauthenticated("this is no host's valid certificate"))?;
        let host = self.registry.admit(bearer.id).await;
        if let Some(host) = host.map_err(|error| unavailable(&error))? {
            return Ok((bearer, host));
        }
        tracing::warn!(host.id = %bearer.id, "refused a host that is revoked or unknown");
        // Whoever asks again and again is answered slowly.
        tokio::time::sleep(REFUSAL).await;
        Err(Status::permission_denied("this host is revoked or unknown"))
    }

    /// Listens until either side ends it, the host is revoked, its certificate ends, or the same
    /// host begins another conversation.
    async fn hold(
        self,
        host: Host,
        (from, expires): (Option<IpAddr>, Timestamp),
        mut inbound: Streaming<v1::FromAgent>,
        reply: Reply,
    ) {
        let displaced = Stop::new();
        self.enter(host.id, &displaced);
        let ended = tokio::select! {
            ended = self.listen((&host, from), &mut inbound, &reply) => ended,
            () = displaced.cancelled() => Err(Status::aborted(
                "the same host began another conversation; is its identity used twice?",
            )),
            () = tokio::time::sleep(expires.since(clock::now())) => {
                Err(Status::unauthenticated("the host's certificate has ended"))
            }
        };
        self.leave(host.id, &displaced);
        let (id, name) = (host.id, host.name);
        match ended {
            Ok(()) => tracing::info!(host.id = %id, host.name = name, "an agent has gone"),
            Err(status) => {
                let why = status.message().to_owned();
                tracing::info!(host.id = %id, host.name = name, why, "ended a conversation");
                // An agent that has gone does not hear it.
                let _ = reply.try_send(Err(status));
            }
        }
    }

    /// Takes a host's place from whoever has it.
    fn enter(&self, host: HostId, displaced: &Stop) {
        let mut talks = self.talks();
        if let Some(before) = talks.insert(host, displaced.clone()) {
            before.cancel();
        }
        drop(talks);
        self.measure();
    }

    /// Takes a conversation out, unless another has its place.
    fn leave(&self, host: HostId, ended: &Stop) {
        // Whoever takes the place says so while holding the lock.
        let mut talks = self.talks();
        if !ended.is_cancelled() {
            talks.remove(&host);
            drop(talks);
            self.measure();
        }
    }

    /// Says for monitoring how many agents are connected.
    fn measure(&self) {
        let count = u32::try_from(self.talks().len()).unwrap_or(u32::MAX);
        metrics::gauge!("watchward_agents_connected").set(count);
    }

    /// The conversations that go on, one for each host.
    fn talks(&self) -> MutexGuard<'_, HashMap<HostId, Stop>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(
        &self,
        (host, mut from): (&Host, Option<IpAddr>),
        inbound: &mut Streaming<v1::FromAgent>,
        reply: &Reply,
    ) -> Result<(), Status> {
        let mut revoked = self.registry.revoked();
        let stop = self.tasks.stop();
        let Some(v1::from_agent::Message::Hello(hello)) = next(inbound).await? else {
            return Err(Status::invalid_argument("the first message says hello"));
        };
        let epoch = Epoch(hello.epoch);
        self.resume(host, epoch, reply).await?;
        let mut orders = Saying::new(self.wanted.clone());
        orders.say(host, reply).await?;
        let mut asked = self.questions.attend(&host.name);
        let version: String = hello.version.chars().take(64).collect();
        tracing::info!(host.id = %host.id, host.name, agent.version = version, "connected");
        loop {
            let message = tokio::select! {
                message = next(inbound) => message?,
                _ = revoked.changed() => {
                    match self.registry.admit(host.id).await {
                        Ok(None) => return Err(Status::permission_denied("this host is revoked")),
                        Ok(Some(_)) => continue,
                        Err(error) => return Err(unavailable(&error)),
                    }
                }
                () = orders.changed() => {
                    orders.say(host, reply).await?;
                    continue;
                }
                () = asked.say(reply) => continue,
                () = reply.closed() => return Ok(()),
                () = stop.cancelled() => return Err(Status::unavailable("the collector is ending")),
            };
            let Some(message) = message else {
                return Ok(());
            };
            asked.hear(&message);
            let mut backlog = None;
            let (lane, records) = match message {
                v1::from_agent::Message::Batch(batch) => records(batch)?,
                v1::from_agent::Message::Beat(beat) => {
                    backlog = beat.into();
                    (Lane::Access, Vec::new())
                }
                v1::from_agent::Message::Answer(_) => continue,
                v1::from_agent::Message::Hello(_) => {
                    return Err(Status::invalid_argument("hello was said before"));
                }
            };
            let arrival = Arrival {
                host: host.clone(),
                epoch,
                lane,
                records,
                backlog,
                from: from.take(),
                reply: reply.clone(),
            };
            let taken = self.arrivals.send(arrival).await;
            taken.map_err(|_| Status::unavailable("the collector is ending"))?;
        }
    }

    /// Says where each lane goes on.
    async fn resume(&self, host: &Host, epoch: Epoch, reply: &Reply) -> Result<(), Status> {
        let read = async {
            let mut connection = self.store.read().acquire().await?;
            let mut marks = Vec::new();
            for lane in Lane::ALL {
                let from = rows::high_water(&mut connection, (host.id, lane, epoch)).await?;
                marks.push(gather::resume(lane, from));
            }
            Ok(marks)
        };
        for mark in read
            .await
            .map_err(|error: sqlx::Error| unavailable(&error.into()))?
        {
            let _ = reply
                .send(Ok(v1::FromCollector {
                    message: Some(mark),
                }))
                .await;
        }
        Ok(())
    }
}

/// The next message, or nothing when the agent has ended the conversation.
async fn next(
    inbound: &mut Streaming<v1::FromAgent>,
) -> Result<Option<v1::from_agent::Message>, Status> {
    loop {
        let message = tokio::time::timeout(SILENCE, inbound.message()).await;
        let message = message.map_err(|_| Status::deadline_exceeded("no sign of life"))?;
        // However a connection breaks, the agent is gone.
        let Ok(Some(message)) = message else {
            return Ok(None);
        };
        // A newer agent may say what this version does not know.
        if message.message.is_some() {
            return Ok(message.message);
        }
    }
}

fn records(batch: v1::Batch) -> Result<(Lane, Vec<Record>), Status> {
    let lane = batch.lane();
    let lane = Lane::try_from(lane).map_err(|error| Status::invalid_argument(error.to_string()))?;
    if batch.records.len() > BATCH {
        return Err(Status::invalid_argument("a batch has at most 512 records"));
    }
    Ok((lane, batch.records.into_iter().map(record).collect()))
}

/// A record; one that makes no sense keeps its number and says so, or its host could never go on.
fn record(wire: v1::Record) -> Record {
    let (seq, covers, kept_at) = (wire.seq, wire.covers, Timestamp::from_micros(wire.kept_at));
    Record::try_from(wire).unwrap_or_else(|error| {
        let why = format!("the agent sent a {error}");
        let gap = Gap {
            source: "agent".to_owned(),
            from: None,
            to: kept_at,
            lost: Some(1),
            why,
        };
        Record {
            seq,
            covers,
            kept_at,
            boot: [0; 16],
            report: Report::Gap(gap),
        }
    })
}
