//! What the collector orders a host: always the whole of what should hold, never a change to it.

use crate::checks::Ordered;

/// The whole of what should hold on a host, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The checks that it runs beside those of its own configuration.
    Checks(Vec<Ordered>),
}

/// How many checks a host can be ordered to run.
pub const MOST_CHECKS: usize = 256;

/// How many bytes the settings of an ordered check may have.
pub const LONGEST_SETTINGS: usize = 8 * 1024;
