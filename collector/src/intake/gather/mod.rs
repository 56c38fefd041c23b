//! Group commit: what many hosts sent within a few milliseconds becomes one transaction.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::Status;
use watchward_daemon::clock;
use watchward_daemon::watchdog::Pulse;
use watchward_protocol::access::AccessEvent;
use watchward_protocol::health::HealthReport;
use watchward_protocol::hosts::{Doctor, HostId};
use watchward_protocol::keys::Keys;
use watchward_protocol::peers::Peers;
use watchward_protocol::record::{Backlog, Epoch, Gap, Lane, Record, Report};
use watchward_protocol::restriction::Restriction;
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire::v1;
use watchward_protocol::{identities, instruments};

use super::rows::{self, HighWater};
use super::{Behind, Heard, Host, Rooms, Told};
use crate::store::{Store, Tx};

/// How long the first waits for others.
const WINDOW: Duration = Duration::from_millis(3);
/// How many records one transaction takes.
const AT_ONCE: usize = 8192;

/// Where a host's answers go.
pub(super) type Reply = mpsc::Sender<Result<v1::FromCollector, Status>>;

/// What one host sent; nothing but a sign of life when there are no records.
pub(super) struct Arrival {
    pub(super) host: Host,
    pub(super) epoch: Epoch,
    pub(super) lane: Lane,
    pub(super) records: Vec<Record>,
    /// What waits on the host, if it has just said so.
    pub(super) backlog: Option<Backlog>,
    /// From where its conversation comes, if this is the first of it.
    pub(super) from: Option<IpAddr>,
    pub(super) reply: Reply,
}

/// Commits what arrives until every conversation has ended, and says since when it does.
pub(super) async fn run(
    store: Store,
    rooms: Arc<dyn Rooms>,
    mut arrived: mpsc::Receiver<Arrival>,
    (pulse, commits): (Pulse, watch::Sender<Option<Timestamp>>),
) -> anyhow::Result<()> {
    loop {
        pulse.beat();
        let first = tokio::select! {
            first = arrived.recv() => first,
            () = pulse.due() => continue,
        };
        let Some(first) = first else { return Ok(()) };
        let mut group = vec![first];
        let (until, mut records) = (Instant::now() + WINDOW, 0);
        while records < AT_ONCE {
            let Ok(Some(next)) = tokio::time::timeout_at(until, arrived.recv()).await else {
                break;
            };
            records += next.records.len();
            group.push(next);
        }
        commits.send_replace(Some(clock::now()));
        commit(&store, &*rooms, group, &pulse).await;
        commits.send_replace(None);
    }
}

/// Commits a group; if that fails, each by itself, so that one host's trouble is only its own.
async fn commit(store: &Store, rooms: &dyn Rooms, group: Vec<Arrival>, pulse: &Pulse) {
    pulse.beat();
    let Err(error) = attempt(store, rooms, &group).await else {
        return;
    };
    if group.len() > 1 {
        for arrival in group {
            Box::pin(commit(store, rooms, vec![arrival], pulse)).await;
        }
        return;
    }
    for arrival in group {
        let (id, name) = (arrival.host.id, arrival.host.name);
        let error = format!("{error:#}");
        tracing::error!(host.id = %id, host.name = name, error, "cannot keep what a host told");
        let status = Status::unavailable("the collector cannot keep this now; try again");
        let _ = arrival.reply.try_send(Err(status));
    }
}

async fn attempt(store: &Store, rooms: &dyn Rooms, group: &[Arrival]) -> anyhow::Result<()> {
    let (now, begun) = (clock::now(), Instant::now());
    let mut tx = store.begin().await?;
    let gone = rooms.alive(&mut tx, &hosts(group), now).await?;
    let mut marks = Marks::default();
    let mut kinds = Kinds::default();
    let goes = |arrival: &&Arrival| !gone.contains(&arrival.host.id);
    for arrival in group.iter().filter(goes) {
        kinds.behind(arrival);
        kinds
            .from
            .extend(arrival.from.map(|from| (arrival.host.id, from)));
        let mark = marks.of(&mut tx, arrival).await?;
        for record in &arrival.records {
            if mark.takes(record) {
                kinds.sort(arrival, record.clone());
            }
        }
    }
    for told in kinds.told() {
        rooms.absorb(&mut tx, told, now).await?;
    }
    marks.advance(&mut tx, now).await?;
    tx.commit().await?;
    measure(group, begun.elapsed(), now);
    rooms.committed();
    for arrival in group {
        let answer = match goes(&arrival) {
            true if arrival.records.is_empty() => continue,
            true => Ok(marks.answer(arrival)),
            false => Err(Status::permission_denied("this host is revoked")),
        };
        // When the answers pile up the next one says the same and more.
        let _ = arrival.reply.try_send(answer);
    }
    Ok(())
}

/// Who is in the group, each once.
fn hosts(group: &[Arrival]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for arrival in group {
        if !hosts.contains(&arrival.host) {
            hosts.push(arrival.host.clone());
        }
    }
    hosts
}

/// Counts what was committed, for monitoring.
fn measure(group: &[Arrival], took: Duration, now: Timestamp) {
    for arrival in group {
        let count = u64::try_from(arrival.records.len()).unwrap_or(u64::MAX);
        metrics::counter!("watchward_records_total", "lane" => arrival.lane.name())
            .increment(count);
    }
    metrics::histogram!("watchward_commit_seconds").record(took.as_secs_f64());
    let seconds = Duration::from_micros(now.as_micros().unsigned_abs()).as_secs_f64();
    metrics::gauge!("watchward_last_commit_timestamp_seconds").set(seconds);
}

/// High-water marks as this group moves them.
#[derive(Default)]
struct Marks(HashMap<(HostId, Lane, Epoch), Mark>);

struct Mark {
    was: HighWater,
    is: HighWater,
    hole: bool,
}

impl Mark {
    /// Whether a record is the next one. A repeat is not, and after a hole none is. Another record
    /// under the last number is a hole too: its host is a copy, and has to hear where it stands.
    fn takes(&mut self, record: &Record) -> bool {
        self.hole |= record.seq == self.is.seq && record.kept_at != self.is.kept_at;
        if record.seq <= self.is.seq || self.hole {
            return false;
        }
        self.hole = record.seq - record.covers.min(record.seq) > self.is.seq + 1;
        if !self.hole {
            self.is = HighWater {
                seq: record.seq,
                kept_at: record.kept_at,
            };
        }
        !self.hole
    }
}

impl Marks {
    async fn of(&mut self, tx: &mut Tx, arrival: &Arrival) -> sqlx::Result<&mut Mark> {
        use std::collections::hash_map::Entry;
        match self.0.entry((arrival.host.id, arrival.lane, arrival.epoch)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let was = rows::high_water(tx, *unknown.key()).await?;
                Ok(unknown.insert(Mark {
                    was,
                    is: was,
                    hole: false,
                }))
            }
        }
    }

    async fn advance(&self, tx: &mut Tx, now: Timestamp) -> anyhow::Result<()> {
        for (key, mark) in self.0.iter().filter(|(_, mark)| mark.is != mark.was) {
            let moved = rows::advance(tx, *key, (mark.was, mark.is), now).await?;
            ensure!(moved, "another collector hears the same host");
        }
        Ok(())
    }

    /// What a host hears: that it is kept, or from where to send again.
    fn answer(&self, arrival: &Arrival) -> v1::FromCollector {
        let mark = self.0.get(&(arrival.host.id, arrival.lane, arrival.epoch));
        let message = mark.map(|mark| match mark.hole {
            true => resume(arrival.lane, mark.is),
            false => ack(arrival.lane, mark.is),
        });
        v1::FromCollector { message }
    }
}

/// Says from where a lane goes on.
pub(super) fn resume(lane: Lane, from: HighWater) -> v1::from_collector::Message {
    v1::from_collector::Message::Resume(v1::Resume {
        lane: v1::Lane::from(lane).into(),
        after: from.seq,
        kept_at: from.kept_at.as_micros(),
    })
}

fn ack(lane: Lane, to: HighWater) -> v1::from_collector::Message {
    let (lane, through) = (v1::Lane::from(lane).into(), to.seq);
    v1::from_collector::Message::Ack(v1::Ack { lane, through })
}

/// What came, kind by kind.
#[derive(Default)]
struct Kinds {
    behind: Vec<Behind>,
    from: Vec<(HostId, IpAddr)>,
    access: Vec<Heard<AccessEvent>>,
    health: Vec<Heard<HealthReport>>,
    gaps: Vec<Heard<Gap>>,
    doctors: Vec<Heard<Doctor>>,
    keys: Vec<Heard<Keys>>,
    restriction: Vec<Heard<Restriction>>,
    instruments: Vec<Heard<instruments::Told>>,
    identities: Vec<Heard<identities::Holding>>,
    peers: Vec<Heard<Peers>>,
}

impl Kinds {
    /// In the order in which rooms hear it.
    fn told(&self) -> [Told<'_>; 11] {
        [
            Told::Behind(&self.behind),
            Told::From(&self.from),
            Told::Doctors(&self.doctors),
            Told::Gaps(&self.gaps),
            Told::Keys(&self.keys),
            Told::Restriction(&self.restriction),
            Told::Instruments(&self.instruments),
            Told::Identities(&self.identities),
            Told::Peers(&self.peers),
            Told::Access(&self.access),
            Told::Health(&self.health),
        ]
    }

    /// Beware: of one host only the last counts.
    fn behind(&mut self, arrival: &Arrival) {
        let Some(backlog) = arrival.backlog else {
            return;
        };
        self.behind.retain(|known| known.host != arrival.host);
        self.behind.push(Behind {
            host: arrival.host.clone(),
            epoch: arrival.epoch,
            backlog,
        });
    }

    fn sort(&mut self, arrival: &Arrival, record: Record) {
        let Record {
            seq,
            kept_at,
            boot,
            report,
            covers: _,
        } = record;
        let (host, lane, epoch) = (arrival.host.clone(), arrival.lane, arrival.epoch);
        macro_rules! heard {
            ($report:expr) => {
                Heard {
                    host,
                    lane,
                    epoch,
                    seq,
                    kept_at,
                    boot,
                    report: $report,
                }
            };
        }
        match report {
            Report::Access(event) => self.access.push(heard!(event)),
            Report::Health(health) => self.health.push(heard!(health)),
            Report::Gap(gap) => self.gaps.push(heard!(gap)),
            Report::Doctor(doctor) => self.doctors.push(heard!(doctor)),
            Report::Keys(keys) => self.keys.push(heard!(keys)),
            Report::Restriction(told) => self.restriction.push(heard!(told)),
            Report::Instruments(told) => self.instruments.push(heard!(told)),
            Report::Identities(held) => self.identities.push(heard!(held)),
            Report::Peers(told) => self.peers.push(heard!(told)),
        }
    }
}

#[cfg(test)]
mod tests;
