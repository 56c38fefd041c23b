//! One connection's life: what the collector lacks is sent, lane by lane, access first.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_daemon::watchdog::Pulse;
use watchward_protocol::record::{Lane, PerLane};
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire::v1;

use super::orders::Orders;
use super::questions::{Answerers, Questions};
use super::{Config, Credentials, Renewal, Standing, Wishes};
use crate::spool::{Grown, Spool};

/// How many records of a lane are on their way at most.
const IN_FLIGHT: u64 = 2048;
/// How many travel together.
const BATCH: usize = 256;

/// The largest message: an order may be.
const FRAME: usize = 4 << 20;

/// A conversation that lasted so long stood, though there was nothing to keep.
const LASTED: Duration = Duration::from_secs(30);

/// Who takes part on this side.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) spool: &'a Spool,
    pub(super) standing: &'a Standing,
    pub(super) orders: &'a Orders,
    pub(super) answerers: &'a Answerers,
    pub(super) stop: &'a Stop,
    pub(super) pulse: &'a Pulse,
}

/// Why a conversation ended, and whether it stood before: something was kept there, or it lasted.
/// One that breaks as soon as it begins will most likely break again.
pub(super) struct Broken {
    pub(super) error: anyhow::Error,
    pub(super) stood: bool,
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            stood: false,
        }
    }
}

/// Holds a conversation until it breaks, the agent's standing changes, a new one is wished for, or the
/// program stops.
pub(super) async fn hold(
    line: Channel,
    config: &Config,
    sides: Sides<'_>,
    grown: &mut Grown,
    (renewals, wishes): &mut (mpsc::Receiver<Renewal>, Wishes),
) -> Result<(), Broken> {
    let mut client =
        v1::conversation_client::ConversationClient::new(line).max_decoding_message_size(FRAME);
    let (outbound, receiver) = mpsc::channel(2);
    let hello = v1::Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: sides.spool.epoch().0,
    };
    say(&outbound, v1::from_agent::Message::Hello(hello)).await?;
    let converse = client.converse(ReceiverStream::new(receiver));
    let inbound = sides.pulse.waiting(converse).await;
    let mut inbound = inbound
        .context("the collector refuses to talk")?
        .into_inner();
    let (mut progress, mut questions) = (Progress::default(), Questions::new(sides.answerers));
    let (began, mut heard, mut kept) = (Instant::now(), false, false);
    let (mut beat, mut beat_is_due) = (tokio::time::interval(config.beat.duration()), false);
    loop {
        sides.pulse.beat();
        let broken = |error| Broken {
            error,
            stood: kept || began.elapsed() >= LASTED,
        };
        tokio::select! {
            message = inbound.message() => {
                let message = message.context("the conversation broke").map_err(broken)?;
                let Some(message) = message else {
                    return Err(broken(anyhow::anyhow!("the collector ended the conversation")));
                };
                // A newer collector may say what this version does not know.
                let Some(message) = message.message else { continue };
                if !std::mem::replace(&mut heard, true) {
                    tracing::info!("connected");
                }
                kept |= matches!(message, v1::from_collector::Message::Ack(_));
                questions.hear(&message);
                progress.hear(message, sides)?;
                wishes.prove();
            }
            // Once nothing can be said, there may still be something to hear, and then the end.
            Ok(room) = outbound.reserve(), if questions.are_ready() || beat_is_due || progress.wants_to_send(sides.spool) => {
                let first = questions.take();
                let next = progress.message(first, &mut beat_is_due, sides.spool);
                if let Some(message) = next.map_err(broken)? {
                    room.send(wrap(message));
                }
            }
            Some(renewal) = renewals.recv() => {
                sides.pulse.waiting(renew(&mut client, renewal, config)).await;
            }
            () = questions.answered() => {}
            // Before the next batch, however many wait: it says how many do.
            _ = beat.tick() => beat_is_due = true,
            _ = grown.changed() => {}
            () = sides.pulse.due() => {}
            () = sides.standing.changed.notified() => return Ok(()),
            () = wishes.wished() => return Ok(()),
            () = sides.stop.cancelled() => break,
        }
    }
    finish(progress, sides, outbound, inbound).await
}

fn wrap(message: v1::from_agent::Message) -> v1::FromAgent {
    v1::FromAgent {
        message: Some(message),
    }
}

async fn say(
    outbound: &mpsc::Sender<v1::FromAgent>,
    message: v1::from_agent::Message,
) -> anyhow::Result<()> {
    outbound
        .send(wrap(message))
        .await
        .context("the conversation broke")
}

async fn renew(
    client: &mut v1::conversation_client::ConversationClient<Channel>,
    renewal: Renewal,
    config: &Config,
) {
    let request = v1::RenewRequest {
        request: renewal.request,
    };
    let answer = tokio::time::timeout(config.timeout.duration(), client.renew(request)).await;
    let answer = match answer {
        Ok(Ok(answer)) => Ok(answer.into_inner().into()),
        Ok(Err(refusal)) => Err(anyhow::anyhow!(
            "the collector refuses: {}",
            refusal.message()
        )),
        Err(_) => Err(anyhow::anyhow!("no answer in time")),
    };
    // Whoever asked may have ended meanwhile.
    let _ = renewal.answer.send(answer);
}

impl From<v1::Credentials> for Credentials {
    fn from(wire: v1::Credentials) -> Self {
        Self {
            chain: wire.chain,
            authorities: wire.authorities,
            renew_at: Timestamp::from_micros(wire.renew_at),
        }
    }
}

/// Before the program ends, sends what is there and hears that it is kept, for two seconds at most.
async fn finish(
    mut progress: Progress,
    sides: Sides<'_>,
    outbound: mpsc::Sender<v1::FromAgent>,
    mut inbound: tonic::Streaming<v1::FromCollector>,
) -> Result<(), Broken> {
    let last = async {
        while progress.wants_more(sides.spool) {
            while progress.wants_to_send(sides.spool) {
                let Some(batch) = progress.next(sides.spool)? else {
                    break;
                };
                say(&outbound, v1::from_agent::Message::Batch(batch)).await?;
            }
            let Some(message) = inbound.message().await? else {
                break;
            };
            if let Some(message) = message.message {
                progress.hear(message, sides)?;
            }
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(Duration::from_secs(2), last).await {
        Ok(done) => Ok(done?),
        Err(_) => Ok(()),
    }
}

/// How far each lane has come in this conversation.
#[derive(Debug, Default)]
struct Progress(PerLane<Sent>);

#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// The last number on its way; unknown until the collector says where to go on.
    through: Option<u64>,
    /// The last number that is kept there.
    acknowledged: u64,
}

impl Progress {
    fn hear(
        &mut self,
        message: v1::from_collector::Message,
        sides: Sides<'_>,
    ) -> anyhow::Result<()> {
        let spool = sides.spool;
        match message {
            v1::from_collector::Message::Order(order) => sides.orders.hear(order),
            // Who asks is heard before.
            v1::from_collector::Message::Ask(_) => {}
            v1::from_collector::Message::Resume(resume) => {
                let lane = Lane::try_from(resume.lane())?;
                let kept_at = Timestamp::from_micros(resume.kept_at);
                if !spool.agrees(lane, resume.after, kept_at)? {
                    spool.renew(lane, resume.after, kept_at)?;
                    anyhow::bail!("the collector knows more than this spool: it is an older copy");
                }
                spool.acknowledge(lane, resume.after);
                let sent = self.0.of_mut(lane);
                *sent = Sent {
                    through: Some(resume.after),
                    acknowledged: resume.after,
                };
            }
            v1::from_collector::Message::Ack(ack) => {
                let lane = Lane::try_from(ack.lane())?;
                spool.acknowledge(lane, ack.through);
                let sent = self.0.of_mut(lane);
                sent.acknowledged = sent.acknowledged.max(ack.through);
            }
        }
        Ok(())
    }

    /// What is said next: an answer, a sign of life, or some of what the collector lacks.
    fn message(
        &mut self,
        answer: Option<v1::Answer>,
        beat_is_due: &mut bool,
        spool: &Spool,
    ) -> anyhow::Result<Option<v1::from_agent::Message>> {
        if let Some(answer) = answer {
            return Ok(Some(v1::from_agent::Message::Answer(answer)));
        }
        if std::mem::take(beat_is_due) {
            let backlog = spool.backlog(clock::now())?;
            return Ok(Some(v1::from_agent::Message::Beat(backlog.into())));
        }
        let batch = self.next(spool)?;
        Ok(batch.map(v1::from_agent::Message::Batch))
    }

    fn wants_to_send(&self, spool: &Spool) -> bool {
        Lane::ALL
            .into_iter()
            .any(|lane| self.due(lane, spool).is_some())
    }

    /// Whether there is anything that the collector does not have.
    fn wants_more(&self, spool: &Spool) -> bool {
        let lacks = |lane| self.0.of(lane).acknowledged < *spool.last().of(lane);
        Lane::ALL.into_iter().any(lacks)
    }

    /// After which number to go on in a lane, if it may.
    fn due(&self, lane: Lane, spool: &Spool) -> Option<u64> {
        let sent = self.0.of(lane);
        let through = sent.through?;
        let room = through.saturating_sub(sent.acknowledged) < IN_FLIGHT;
        (room && through < *spool.last().of(lane)).then_some(through)
    }

    fn next(&mut self, spool: &Spool) -> anyhow::Result<Option<v1::Batch>> {
        for lane in Lane::ALL {
            let Some(after) = self.due(lane, spool) else {
                continue;
            };
            let records = spool.read(lane, after, BATCH)?;
            let Some(last) = records.last() else { continue };
            self.0.of_mut(lane).through = Some(last.seq);
            let records = records.into_iter().map(Into::into).collect();
            return Ok(Some(v1::Batch {
                lane: v1::Lane::from(lane).into(),
                records,
            }));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
