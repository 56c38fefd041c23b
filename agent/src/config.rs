//! `agent.toml`: a table for each room and each part of the trunk.

use serde::{Deserialize, Serialize};

use crate::{access, health, hosts, spool, uplink};

/// The whole of the agent's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the collector is.
    pub uplink: uplink::Config,
    /// What is kept while the collector is away.
    pub spool: spool::Config,
    /// Who this host is.
    pub hosts: hosts::Config,
    /// Which logs say who gets in.
    pub access: access::Config,
    /// What is checked on this host.
    pub health: health::Config,
}
