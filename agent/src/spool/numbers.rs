//! What the spool's file says of itself: its epoch, and where each lane stands.

use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};
use watchward_protocol::record::{Epoch, Lane, PerLane};

use super::{Config, file};

/// How far each source has read.
pub(super) const POSITIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("positions");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The records of a lane.
pub(super) fn table(lane: Lane) -> TableDefinition<'static, u64, &'static [u8]> {
    TableDefinition::new(lane.name())
}

/// The whole of it, held in memory too.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) epoch: Epoch,
    pub(super) heads: PerLane<Head>,
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

/// Opens the file, or makes it.
pub(super) fn open(config: &Config) -> Result<Database, redb::Error> {
    // The default cache is a gigabyte; an agent must stay small.
    Ok(Database::builder()
        .set_cache_size(512 << 10)
        .create(file(&config.directory))?)
}

/// Reads the state of a file, or makes it.
pub(super) fn begin(database: &Database) -> Result<State, redb::Error> {
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
    write(&tx, &state)?;
    tx.commit()?;
    Ok(state)
}

/// Writes the state with whatever else the transaction does.
pub(super) fn write(tx: &WriteTransaction, state: &State) -> Result<(), redb::Error> {
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
