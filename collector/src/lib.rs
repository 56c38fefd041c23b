//! The centre: keeps what agents tell, judges it, and tells people.

pub mod access;
pub mod alerting;
pub mod hosts;
pub mod intake;
pub mod store;
pub mod web;
