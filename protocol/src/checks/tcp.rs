//! `[health.tcp.NAME]`: an address that should accept a TCP connection.

use super::address::Address;
use super::pace::{Pace, paced};

paced! {
    Pace::USUAL;
    /// An address that should accept a connection.
    pub struct Config {
        /// Host and port: `127.0.0.1:5432`, `[::1]:22`, `db.example.org:5432`.
        pub address: Address,
    }
}
