//! What the agent says to the enforcer, the only program on a host that changes its firewall.

pub mod answer;
pub mod client;
pub mod frame;
pub mod gates;
pub mod request;

pub use answer::{Answer, Change, Holding, Limits, Trial, Verdict, Veto};
pub use client::Client;
pub use frame::Malformed;
pub use gates::{Exception, Gate, Gates, Mode, Ports, Protocol};
pub use request::{Ban, Request};

#[cfg(test)]
mod tests;
