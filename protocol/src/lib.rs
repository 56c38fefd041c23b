//! What agent and collector say to each other: the domain types, and one module that maps them to the wire.

pub mod access;
pub mod admin;
pub mod checks;
pub mod elsewhere;
pub mod handed;
pub mod health;
pub mod host_keys;
pub mod hosts;
pub mod identities;
pub mod instruments;
pub mod keys;
pub mod order;
pub mod peers;
pub mod proof;
pub mod question;
pub mod reach;
pub mod receipt;
pub mod record;
pub mod report;
pub mod restriction;
pub mod span;
pub mod text;
pub mod time;
pub mod wire;
