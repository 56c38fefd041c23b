//! How often a check runs, how long it may take, and how many failures count.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// How often a check runs, and what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often it runs.
    pub interval: Interval,
    /// How long one run may take.
    pub timeout: Span,
    /// How many failures in a row make it down.
    pub failures: NonZeroU32,
}

impl Pace {
    /// What holds for most kinds, where nothing else is said.
    pub const USUAL: Self = Self {
        interval: Interval(Span::seconds(30)),
        timeout: Span::seconds(5),
        failures: NonZeroU32::new(2).unwrap(),
    };

    /// The same, but so often.
    pub(super) const fn every(self, interval: Span) -> Self {
        let interval = Interval(interval);
        Self { interval, ..self }
    }

    /// The same, but for so long.
    pub(super) const fn within(self, timeout: Span) -> Self {
        Self { timeout, ..self }
    }
}

/// How often a check runs: a span of at least one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct Interval(Span);

/// A span that is too short to check so often.
#[derive(Debug, thiserror::Error)]
#[error("expected an interval of at least \"1s\", found \"{0}\"")]
pub struct TooOften(Span);

impl Interval {
    /// The same as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0.duration()
    }
}

impl TryFrom<Span> for Interval {
    type Error = TooOften;

    fn try_from(span: Span) -> Result<Self, TooOften> {
        if span < Span::seconds(1) {
            return Err(TooOften(span));
        }
        Ok(Self(span))
    }
}

impl From<Interval> for Span {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Defines the table of a kind of check: its own keys, and `interval`, `timeout` and `failures`,
/// which are the [`Pace`] written first unless the table says otherwise.
///
/// A macro, for serde's `flatten` would lose the place of a mistake, and leave these three out of
/// what it says was expected.
macro_rules! paced {
    ($usual:expr; $(#[$about:meta])* pub struct $config:ident {
        $($(#[$says:meta])* pub $key:ident: $type:ty,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $config {
            $($(#[$says])* pub $key: $type,)*
            /// How often it is checked.
            #[serde(default = "usual::interval")]
            pub interval: $crate::checks::Interval,
            /// How long it may take.
            #[serde(default = "usual::timeout")]
            pub timeout: $crate::span::Span,
            /// How many failures in a row make it down.
            #[serde(default = "usual::failures")]
            pub failures: std::num::NonZeroU32,
        }

        impl $config {
            /// How often this check runs, and what counts.
            pub const fn pace(&self) -> $crate::checks::Pace {
                $crate::checks::Pace {
                    interval: self.interval,
                    timeout: self.timeout,
                    failures: self.failures,
                }
            }
        }

        mod usual {
            use super::*;

            const PACE: $crate::checks::Pace = $usual;

            pub(super) const fn interval() -> $crate::checks::Interval {
                PACE.interval
            }

            pub(super) const fn timeout() -> $crate::span::Span {
                PACE.timeout
            }

            pub(super) const fn failures() -> std::num::NonZeroU32 {
                PACE.failures
            }
        }
    };
}
pub(super) use paced;
