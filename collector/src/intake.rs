//! What comes in from the agents.

use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane, Report};
use watchward_protocol::time::Timestamp;

/// A host as its certificate and the inventory name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Who it is.
    pub id: HostId,
    /// What people call it.
    pub name: String,
}

/// What one host said, with its place in the host's lane.
#[derive(Clone, Debug)]
pub struct Heard<T = Report> {
    /// Who said it.
    pub host: Host,
    /// In which lane.
    pub lane: Lane,
    /// In which life of the host's spool.
    pub epoch: Epoch,
    /// Its number there.
    pub seq: u64,
    /// When the agent kept it, by the host's clock.
    pub kept_at: Timestamp,
    /// The host's boot.
    pub boot: [u8; 16],
    /// What it said.
    pub report: T,
}
