//! The agent on every host: watches access, health and keys, and streams what it sees.

pub mod access;
pub mod hosts;
pub mod spool;
pub mod uplink;
