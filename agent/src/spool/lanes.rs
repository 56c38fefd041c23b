//! The two lanes in one file: numbering, reading, acknowledging.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use watchward_daemon::clock;
use watchward_protocol::record::{Epoch, Gap, Lane, PerLane, Record, Report};
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire;

use super::{Config, Entry, bounds, file};

const POSITIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("positions");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

fn table(lane: Lane) -> TableDefinition<'static, u64, &'static [u8]> {
    TableDefinition::new(lane.name())
}

/// The spool's file.
#[derive(Debug)]
pub struct Spool {
    config: Config,
    database: Mutex<Option<Database>>,
    state: Mutex<State>,
    boot: [u8; 16],
}

/// What the file says of itself, held in memory too.
#[derive(Clone, Copy, Debug)]
struct State {
    epoch: Epoch,
    heads: PerLane<Head>,
}

/// Where a lane stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    /// The last number given.
    pub(super) last: u64,
    /// The last number that the collector has.
    pub(super) acknowledged: u64,
    /// How many bytes its records have.
    pub(super) bytes: u64,
}

impl Spool {
    /// Opens the spool in its folder, or makes one there.
    ///
    /// # Errors
    /// The folder cannot be written, or another agent uses it.
    pub fn open(config: Config) -> anyhow::Result<Self> {
        let path = file(&config.directory);
        std::fs::create_dir_all(&config.directory)
            .with_context(|| format!("cannot make {}", config.directory.display()))?;
        let database = open(&config).with_context(|| format!("cannot open {}", path.display()))?;
        let state = begin(&database).with_context(|| format!("cannot use {}", path.display()))?;
        Ok(Self {
            config,
            database: Mutex::new(Some(database)),
            state: Mutex::new(state),
            boot: clock::boot(),
        })
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which life of the spool the numbers belong to.
    pub fn epoch(&self) -> Epoch {
        self.state().epoch
    }

    /// The last number of each lane.
    pub fn last(&self) -> PerLane<u64> {
        let heads = self.state().heads;
        PerLane {
            access: heads.access.last,
            health: heads.health.last,
        }
    }

    /// How far each source had read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn positions(&self) -> anyhow::Result<HashMap<String, Vec<u8>>> {
        self.with(|database| {
            let mut positions = HashMap::new();
            for pair in database.begin_read()?.open_table(POSITIONS)?.iter()? {
                let (source, bytes) = pair?;
                positions.insert(source.value().to_owned(), bytes.value().to_vec());
            }
            Ok(positions)
        })
    }

    /// Numbers what sources have seen and makes it durable, with how far they have read.
    ///
    /// # Errors
    /// There is no room even after all that may go has gone, or the disk fails; nothing is kept.
    pub fn append(&self, entries: &[Entry], now: Timestamp) -> anyhow::Result<()> {
        let Err(error) = self.change(|tx, state| self.insert(tx, state, entries, now)) else {
            return Ok(());
        };
        tracing::warn!(error = format!("{error:#}"), "making room in the spool");
        self.change(|tx, state| {
            let half = state.heads.health.bytes / 2;
            self.make_room(tx, state, half.max(1 << 20), now)
        })
        .and_then(|()| self.change(|tx, state| self.insert(tx, state, entries, now)))
    }

    fn insert(
        &self,
        tx: &WriteTransaction,
        state: &mut State,
        entries: &[Entry],
        now: Timestamp,
    ) -> Result<(), redb::Error> {
        for lane in Lane::ALL {
            let head = state.heads.of_mut(lane);
            let mut table = tx.open_table(table(lane))?;
            let reports = entries.iter().flat_map(|entry| &entry.reports);
            for report in reports.filter(|report| report.lane() == lane) {
                head.last += 1;
                let record = Record {
                    seq: head.last,
                    covers: 0,
                    kept_at: now,
                    boot: self.boot,
                    report: report.clone(),
                };
                let bytes = value::bytes(now, record);
                head.bytes += bytes.len() as u64;
                table.insert(head.last, bytes.as_slice())?;
            }
            bounds::retire(&mut table, head, &self.config, now)?;
        }
        let mut positions = tx.open_table(POSITIONS)?;
        for position in entries.iter().filter_map(|entry| entry.position.as_ref()) {
            positions.insert(position.source.as_str(), position.bytes.as_slice())?;
        }
        let total: u64 = state.heads.access.bytes + state.heads.health.bytes;
        match total.checked_sub(self.config.limit.bytes()) {
            None | Some(0) => Ok(()),
            Some(excess) => self.make_room(tx, state, excess, now),
        }
    }

    /// Frees bytes: from health as far as it goes, then from access.
    fn make_room(
        &self,
        tx: &WriteTransaction,
        state: &mut State,
        wanted: u64,
        now: Timestamp,
    ) -> Result<(), redb::Error> {
        let shedding = bounds::Shedding {
            boot: self.boot,
            now,
        };
        let mut freed = 0;
        for lane in [Lane::Health, Lane::Access] {
            let head = state.heads.of_mut(lane);
            let mut table = tx.open_table(table(lane))?;
            let left = wanted.saturating_sub(freed);
            freed += shedding.from(lane, &mut table, head, left)?;
        }
        Ok(())
    }

    /// Reads records of a lane after a number: at most `count`, and about 256 KiB.
    ///
    /// Where records are gone that the collector does not have, the first one says so.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, lane: Lane, after: u64, count: usize) -> anyhow::Result<Vec<Record>> {
        const BYTES: usize = 256 << 10;
        let found = self.with(|database| {
            let read = database.begin_read()?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            for pair in read.open_table(table(lane))?.range(after + 1..)? {
                let (_, stored) = pair?;
                bytes += stored.value().len();
                found.push(stored.value().to_vec());
                if found.len() >= count || bytes >= BYTES {
                    break;
                }
            }
            Ok(found)
        })?;
        let mut records = Vec::with_capacity(found.len() + 1);
        for bytes in found {
            records.push(wire::decode(value::record(&bytes)).context("the spool is damaged")?);
        }
        let reached = match records.first() {
            Some(first) => first.seq - first.covers - 1,
            None => *self.last().of(lane),
        };
        if reached > after {
            records.insert(0, self.gone(lane, after, reached));
        }
        Ok(records)
    }

    /// Stands for records that were there once and that the collector asks for again.
    fn gone(&self, lane: Lane, after: u64, through: u64) -> Record {
        let now = clock::now();
        let gap = Gap {
            source: format!("spool of {}", lane.name()),
            from: None,
            to: now,
            lost: Some(through - after),
            why: "the collector asks for records that this host no longer keeps".to_owned(),
        };
        Record {
            seq: through,
            covers: through - after - 1,
            kept_at: now,
            boot: self.boot,
            report: Report::Gap(gap),
        }
    }

    /// Notes that the collector has everything through a number. Not made durable by itself: after
    /// a crash the collector says it again.
    pub fn acknowledge(&self, lane: Lane, through: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let head = state.heads.of_mut(lane);
        head.acknowledged = head.acknowledged.max(through.min(head.last));
    }

    /// Whether a number that the collector has is one that this file gave, for a record kept at
    /// that time. If not, the file is an older copy.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn agrees(&self, lane: Lane, seq: u64, kept_at: Timestamp) -> anyhow::Result<bool> {
        let own = self.with(|database| {
            let read = database.begin_read()?;
            let found = read.open_table(table(lane))?.get(seq)?;
            Ok(found.map(|stored| value::kept_at(stored.value())))
        })?;
        Ok(seq <= *self.last().of(lane) && own.is_none_or(|own| own == kept_at))
    }

    /// Begins another epoch, because the file is an older copy. What was kept since the collector's
    /// last record of a lane, and what else it may not have, is numbered anew from 1.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn renew(&self, differs: Lane, known: Timestamp) -> anyhow::Result<()> {
        self.change(|tx, state| {
            state.epoch = Epoch(rand::random());
            for lane in Lane::ALL {
                let head = state.heads.of_mut(lane);
                let mut table = tx.open_table(table(lane))?;
                let mut waiting = Vec::new();
                for pair in table.iter()? {
                    let (seq, stored) = pair?;
                    let lacking = match lane == differs {
                        true => value::kept_at(stored.value()) > known,
                        false => seq.value() > head.acknowledged,
                    };
                    if lacking {
                        waiting.push(stored.value().to_vec());
                    }
                }
                table.retain(|_, _| false)?;
                *head = Head::default();
                for bytes in waiting {
                    let Ok(mut record) = wire::decode(value::record(&bytes)) else {
                        continue;
                    };
                    head.last += 1;
                    (record.seq, record.covers) = (head.last, 0);
                    let bytes = value::bytes(record.kept_at, record);
                    head.bytes += bytes.len() as u64;
                    table.insert(head.last, bytes.as_slice())?;
                }
            }
            Ok(())
        })
    }

    /// Changes file and memory together, durably, or neither.
    fn change(
        &self,
        act: impl FnOnce(&WriteTransaction, &mut State) -> Result<(), redb::Error>,
    ) -> anyhow::Result<()> {
        let done = self.with(|database| {
            let mut state = self.state();
            let tx = database.begin_write()?;
            act(&tx, &mut state)?;
            write_state(&tx, &state)?;
            tx.commit()?;
            self.adopt(state);
            Ok(())
        });
        if done.is_err() {
            // After a failed write redb refuses everything until the file is opened again.
            self.reopen()
                .context("cannot open the spool again after a failed write")?;
        }
        done
    }

    /// Takes a state over; what was acknowledged meanwhile stays acknowledged.
    fn adopt(&self, mut state: State) {
        let mut kept = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for lane in Lane::ALL {
            let known = kept.heads.of(lane).acknowledged;
            let head = state.heads.of_mut(lane);
            if state.epoch == kept.epoch {
                head.acknowledged = head.acknowledged.max(known.min(head.last));
            }
        }
        *kept = state;
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&Database) -> Result<T, redb::Error>) -> anyhow::Result<T> {
        let guard = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = guard
            .as_ref()
            .context("the spool could not be opened again")?;
        Ok(act(database)?)
    }

    fn reopen(&self) -> anyhow::Result<()> {
        let mut guard = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        drop(guard.take());
        *guard = Some(open(&self.config)?);
        Ok(())
    }
}

fn open(config: &Config) -> Result<Database, redb::Error> {
    // The default cache is a gigabyte; an agent must stay small.
    Ok(Database::builder()
        .set_cache_size(512 << 10)
        .create(file(&config.directory))?)
}

/// Reads the state of a file, or makes it.
fn begin(database: &Database) -> Result<State, redb::Error> {
    let tx = database.begin_write()?;
    let mut state = State {
        epoch: Epoch(0),
        heads: PerLane::default(),
    };
    {
        tx.open_table(POSITIONS)?;
        let numbers = tx.open_table(NUMBERS)?;
        let number = |key: &str| Ok::<_, redb::Error>(numbers.get(key)?.map(|found| found.value()));
        state.epoch = Epoch(number("epoch")?.unwrap_or_else(rand::random));
        for lane in Lane::ALL {
            let head = state.heads.of_mut(lane);
            let [last, acknowledged, bytes] = keys(lane);
            head.last = number(last)?.unwrap_or(0);
            head.acknowledged = number(acknowledged)?.unwrap_or(0);
            head.bytes = number(bytes)?.unwrap_or(0);
            tx.open_table(table(lane))?;
        }
    }
    write_state(&tx, &state)?;
    tx.commit()?;
    Ok(state)
}

fn write_state(tx: &WriteTransaction, state: &State) -> Result<(), redb::Error> {
    let mut numbers = tx.open_table(NUMBERS)?;
    numbers.insert("epoch", state.epoch.0)?;
    for lane in Lane::ALL {
        let head = *state.heads.of(lane);
        let values = [head.last, head.acknowledged, head.bytes];
        for (key, value) in keys(lane).into_iter().zip(values) {
            numbers.insert(key, value)?;
        }
    }
    Ok(())
}

fn keys(lane: Lane) -> [&'static str; 3] {
    match lane {
        Lane::Access => ["access.last", "access.acknowledged", "access.bytes"],
        Lane::Health => ["health.last", "health.acknowledged", "health.bytes"],
    }
}

/// How a record stands in the file: when it was kept, then the record as it travels.
pub(super) mod value {
    use watchward_protocol::record::Record;
    use watchward_protocol::time::Timestamp;
    use watchward_protocol::wire;

    pub(in crate::spool) fn bytes(now: Timestamp, record: Record) -> Vec<u8> {
        let mut bytes = now.as_micros().to_le_bytes().to_vec();
        bytes.extend(wire::encode(record));
        bytes
    }

    pub(in crate::spool) fn kept_at(bytes: &[u8]) -> Timestamp {
        let first = bytes.first_chunk().copied().unwrap_or_default();
        Timestamp::from_micros(i64::from_le_bytes(first))
    }

    pub(in crate::spool) fn record(bytes: &[u8]) -> &[u8] {
        bytes.get(8..).unwrap_or_default()
    }
}
