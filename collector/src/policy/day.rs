//! A day as the policy has it: until when an exception holds. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_protocol::time::Timestamp;

/// A day in UTC, such as `2027-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Timestamp);

impl Day {
    /// When it is over.
    pub fn end(self) -> Timestamp {
        self.0 + Duration::from_secs(86_400)
    }
}

impl TryFrom<String> for Day {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected a day such as \"2027-01-31\"";
        let date = jiff::civil::Date::from_str(&text).map_err(|_| EXPECTED)?;
        let start = date
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|_| EXPECTED)?;
        let micros = start.timestamp().as_microsecond();
        Ok(Self(Timestamp::from_micros(micros)))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.0.to_string();
        f.write_str(moment.split('T').next().unwrap_or(&moment))
    }
}
