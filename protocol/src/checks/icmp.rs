//! `[health.icmp.NAME]`: a host that should answer pings.

use serde::{Deserialize, Serialize};

use super::address::Host;
use super::host::Percent;
use super::pace::{Pace, paced};
use crate::span::Span;

paced! {
    Pace::USUAL;
    /// A host that should answer pings.
    pub struct Config {
        /// Its name or address.
        pub host: Host,
        /// How many packets are sent each time.
        #[serde(default)]
        pub packets: Packets,
        /// It fails when more than so many percent of them are lost.
        #[serde(default = "half")]
        pub loss: Percent,
        /// It fails when the answers take longer than this on average.
        pub round_trip: Option<Span>,
    }
}

fn half() -> Percent {
    Percent::HALF
}

/// How many packets are sent: 1 to 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Packets(u16);

/// A number of packets that is not sent.
#[derive(Debug, thiserror::Error)]
#[error("expected 1 to 20 packets")]
pub struct NotPackets;

impl Packets {
    /// How many.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Default for Packets {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u16> for Packets {
    type Error = NotPackets;

    fn try_from(number: u16) -> Result<Self, NotPackets> {
        if (1..=20).contains(&number) {
            Ok(Self(number))
        } else {
            Err(NotPackets)
        }
    }
}

impl From<Packets> for u16 {
    fn from(packets: Packets) -> Self {
        packets.0
    }
}
