//! The two lanes in one file: numbering, reading, acknowledging.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};
use watchward_daemon::clock;
use watchward_protocol::record::{Epoch, Gap, Lane, PerLane, Record, Report};
use watchward_protocol::time::Timestamp;

use super::numbers::{self, Head, POSITIONS, State, table};
use super::reserve::Reserve;
use super::{Config, Entry, bounds, file, value};

/// How much is given up at least when the disk is full.
const ROOM: u64 = 256 << 10;

/// The spool's file.
#[derive(Debug)]
pub struct Spool {
    config: Config,
    reserve: Reserve,
    database: Mutex<Option<Database>>,
    state: Mutex<State>,
    boot: [u8; 16],
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
        let database =
            numbers::open(&config).with_context(|| format!("cannot open {}", path.display()))?;
        let state =
            numbers::begin(&database).with_context(|| format!("cannot use {}", path.display()))?;
        let reserve = Reserve::new(&config);
        reserve.fill();
        Ok(Self {
            reserve,
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
        self.reserve.give();
        let half = self.state().heads.health.bytes / 2;
        self.change(|tx, state| self.make_room(tx, state, half.max(ROOM)))?;
        self.shrink();
        self.change(|tx, state| self.insert(tx, state, entries, now))?;
        self.reserve.fill();
        Ok(())
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
            Some(excess) => self.make_room(tx, state, excess),
        }
    }

    /// Frees bytes: from health as far as it goes, then from access.
    fn make_room(
        &self,
        tx: &WriteTransaction,
        state: &mut State,
        wanted: u64,
    ) -> Result<(), redb::Error> {
        let shedding = bounds::Shedding { boot: self.boot };
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
                let (seq, stored) = pair?;
                bytes += stored.value().len();
                found.push((seq.value(), stored.value().to_vec()));
                if found.len() >= count || bytes >= BYTES {
                    break;
                }
            }
            Ok(found)
        })?;
        let read = |(seq, bytes): (u64, Vec<u8>)| value::read(lane, seq, &bytes, self.boot);
        let mut records: Vec<Record> = found.into_iter().map(read).collect();
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
    /// last record of a lane (`after`, kept at `known`), and what else it may not have, is numbered
    /// anew from 1.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn renew(&self, differs: Lane, after: u64, known: Timestamp) -> anyhow::Result<()> {
        self.change(|tx, state| {
            state.epoch = Epoch(rand::random());
            for lane in Lane::ALL {
                let head = state.heads.of_mut(lane);
                let mut table = tx.open_table(table(lane))?;
                let mut waiting = Vec::new();
                for pair in table.iter()? {
                    let (seq, stored) = pair?;
                    let lacking = match lane == differs {
                        // What is kept together shares its moment.
                        true => (value::kept_at(stored.value()), seq.value()) > (known, after),
                        false => seq.value() > head.acknowledged,
                    };
                    if lacking {
                        waiting.push(value::read(lane, seq.value(), stored.value(), self.boot));
                    }
                }
                table.retain(|_, _| false)?;
                *head = Head::default();
                for mut record in waiting {
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
            numbers::write(&tx, &state)?;
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

    pub(super) fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> anyhow::Result<T> {
        let guard = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = guard
            .as_ref()
            .context("the spool could not be opened again")?;
        Ok(act(database)?)
    }

    /// Gives what the file no longer needs back to the disk, as far as that goes.
    fn shrink(&self) {
        let mut guard = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let shrunk = guard.as_mut().map(Database::compact);
        drop(guard);
        if let Some(Err(error)) = shrunk {
            tracing::debug!(%error, "cannot shrink the spool");
        }
    }

    fn reopen(&self) -> anyhow::Result<()> {
        let mut guard = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        drop(guard.take());
        *guard = Some(numbers::open(&self.config)?);
        Ok(())
    }
}
