//! What any program of Watchward needs to run: tasks and their end, configuration, secrets, the
//! clock, logging, and its identity in TLS.

pub mod clock;
pub mod config;
pub mod customer;
mod journal;
pub mod logging;
pub mod place;
pub mod secret;
pub mod service;
pub mod shares;
pub mod tasks;
pub mod tls;
pub mod watchdog;
