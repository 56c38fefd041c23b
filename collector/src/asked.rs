//! What people write when they ask for something: moments and networks.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// A moment as people write it: `2026-11-21T03:04:05Z`, microseconds since 1970, a whole day in UTC
/// such as `2026-11-21`, or a span such as `24h`, counted back from now, or from now on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Moment {
    /// This one.
    At(Timestamp),
    /// The day that begins then.
    Day(Timestamp),
    /// So long before now.
    Ago(Span),
}

impl Moment {
    /// The moment, if it is now; of a day its beginning.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) | Self::Day(moment) => moment,
            Self::Ago(span) => now - span.duration(),
        }
    }

    /// The moment, if it is now; of a day its end.
    pub(crate) fn through(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Day(begin) => begin + DAY,
            Self::Ago(span) => now - span.duration(),
        }
    }

    /// The moment, if it is now and a span counts forward; of a day its end.
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Day(begin) => begin + DAY,
            Self::Ago(span) => now + span.duration(),
        }
    }
}

impl TryFrom<String> for Moment {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Ok(micros) = text.parse() {
            return Ok(Self::At(Timestamp::from_micros(micros)));
        }
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(Timestamp::from_micros(moment.as_microsecond())));
        }
        let day = text.parse::<Date>().map(|day| day.to_zoned(TimeZone::UTC));
        if let Ok(Ok(day)) = day {
            let begin = day.timestamp().as_microsecond();
            return Ok(Self::Day(Timestamp::from_micros(begin)));
        }
        Span::try_from(text).map(Self::Ago).map_err(|_| {
            "expected a moment such as 2026-11-21T03:04:05Z, a day such as 2026-11-21, or a span \
             such as 24h"
        })
    }
}

/// An address, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Addresses(pub(crate) IpNet);

impl TryFrom<String> for Addresses {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let address = text.parse().map(|address: IpAddr| IpNet::from(address));
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| "expected an address such as 192.0.2.7, or a network such as 10.0.0.0/8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_whole_a_moment_is_itself_and_a_span_counts_from_now() {
        let noon = Timestamp::from_micros(1_795_608_000_000_000);
        let day = |text: &str| Moment::try_from(text.to_owned()).unwrap();
        let (begin, end) = (noon - DAY / 2, noon + DAY / 2);
        assert_eq!(begin.to_string(), "2026-11-25T00:00:00Z");
        for text in ["2026-11-25", "2026-11-25T00:00:00Z"] {
            assert_eq!(day(text).before(noon), begin, "{text}");
        }
        assert_eq!(day("2026-11-25").after(noon), end);
        assert_eq!(day("2026-11-25").through(noon), end);
        assert_eq!(day("12h").after(noon), end);
        assert_eq!(day("12h").through(noon), begin);
        for wrong in ["2026-11-31", "2026-11", "soon", ""] {
            assert!(Moment::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
