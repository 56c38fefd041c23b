//! `collector.toml`: a table for each room and each part of the trunk.

use serde::{Deserialize, Serialize};

use crate::{access, alerting, health, hosts, intake, store, web};

/// The whole of the collector's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub store: store::Config,
    /// Where agents connect.
    pub intake: intake::Config,
    /// Where the operator's command connects.
    pub admin: web::Config,
    /// Who is told, and how.
    pub alerting: alerting::Config,
    /// Who may be a host.
    pub hosts: hosts::Config,
    /// When an attempt to get in is an attack.
    pub access: access::Config,
    /// When a check flaps, and how long measurements are kept.
    pub health: health::Config,
}
