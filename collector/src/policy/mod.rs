//! `policy.toml`: what should hold, by groups of hosts. This part of the trunk knows the groups,
//! the networks and no room.
//!
//! A room that rules by groups brings a type for its own table, which `config::Policy` sums beside
//! [`Groups`]. Each list `groups = [...]` in it is a [`Members`]; a key that is a group is a
//! `Spanned<Name>`. What the room knows only once the groups are known it does in
//!
//! ```ignore
//! pub fn join(&mut self, groups: &policy::Groups) -> Result<(), Misplaced> {
//!     for rule in &mut self.rules {
//!         rule.groups.join(groups)?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! which `config::Policy::join` calls; an error is shown with line and caret. From then on
//! `rule.groups.has(&host.name)` says in next to no time whether the rule is for a host. `lib.rs`
//! hands the room its table as a `Live` value, which follows reloads.

mod day;
mod groups;
mod members;
pub mod networks;
mod origins;
mod pattern;
mod signature;
pub mod versions;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use day::Day;
pub use groups::{Groups, Name};
pub use members::{HostSet, Members};
pub use networks::Networks;
pub use origins::Origins;
pub use pattern::Pattern;
pub use signature::{NAMESPACE, NotSigners, Signers, Untrusted};

/// The table `[policy]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file that says what should hold: each change of it comes into force as a version. While
    /// there is no version, nothing is ruled.
    pub file: PathBuf,
    /// Who may sign policies, as ssh-keygen(1) describes it under ALLOWED SIGNERS. If it is named, a
    /// policy that none of them has signed does not come into force.
    pub signers: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: PathBuf::from("/etc/watchward/policy.toml"),
            signers: None,
        }
    }
}
