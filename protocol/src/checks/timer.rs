//! `[health.timer.NAME]`: a timer of systemd that should have run, and well.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pace::{Pace, paced};
use super::systemd::Unit;
use crate::span::Span;

paced! {
    Pace::USUAL.every(Span::minutes(1));
    /// A timer that should have run, and well.
    pub struct Config {
        /// The timer: `backup.timer`.
        pub unit: Timer,
        /// It fails when it last ran longer ago.
        pub max_age: Option<Span>,
    }
}

/// The name of a timer, with `.timer` at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timer(Unit);

/// A text that is no name of a timer.
#[derive(Debug, thiserror::Error)]
#[error("expected a timer of systemd, such as \"backup.timer\"")]
pub struct NotATimer;

impl Timer {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for Timer {
    type Error = NotATimer;

    fn try_from(text: String) -> Result<Self, NotATimer> {
        let unit = Unit::try_from(text).map_err(|_| NotATimer)?;
        if unit.as_str().ends_with(".timer") {
            Ok(Self(unit))
        } else {
            Err(NotATimer)
        }
    }
}

impl From<Timer> for String {
    fn from(timer: Timer) -> Self {
        timer.0.into()
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
