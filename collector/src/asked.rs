//! What people write when they ask for something: moments and networks.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

/// A moment as people write it: `2026-11-21T03:04:05Z`, microseconds since 1970, or a span such as
/// `24h`, counted back from now, or from now on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Moment {
    /// This one.
    At(Timestamp),
    /// So long before now.
    Ago(Span),
}

impl Moment {
    /// The moment, if it is now.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(span) => now - span.duration(),
        }
    }

    /// The moment, if it is now and a span counts forward.
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
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
        Span::try_from(text)
            .map(Self::Ago)
            .map_err(|_| "expected a moment such as 2026-11-21T03:04:05Z, or a span such as 24h")
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
