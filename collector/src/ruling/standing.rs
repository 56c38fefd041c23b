//! Which version is in force: the newest that this collector can read.

use std::path::Path;

use anyhow::Context;
use watchward_daemon::config::Invalid;
use watchward_protocol::time::Timestamp;

use super::basis::Basis;
use crate::config::Policy;
use crate::policy::versions::{self, Version};
use crate::store::Store;

/// How many versions are tried before a collector gives up.
const TRIED: usize = 50;

/// What is in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// Which version; none: nobody has brought any, and nothing is ruled.
    pub(super) version: Option<Version>,
    /// What it says.
    pub(super) policy: Policy,
    /// A newer one that cannot be read here, and why.
    pub(super) trouble: Option<(i64, String)>,
}

impl Standing {
    /// The newest version that was looked at.
    pub(super) fn newest(&self) -> i64 {
        let number = self.version.as_ref().map_or(0, |version| version.number);
        let newer = self.trouble.as_ref().map_or(0, |(number, _)| *number);
        number.max(newer)
    }

    /// When it came into force.
    pub(super) fn since(&self) -> Timestamp {
        let at = self.version.as_ref().map(|version| version.at);
        at.unwrap_or_default()
    }
}

/// Looks for the newest version that can be read.
///
/// # Errors
/// The database's; or there are versions, and none can be read: nothing may be ruled then by mistake.
pub(super) async fn find(store: &Store, basis: &Basis) -> anyhow::Result<Standing> {
    let (mut from, mut trouble) = (i64::MAX, None);
    for _ in 0..TRIED {
        let Some(found) = versions::up_to(store, from).await? else {
            break;
        };
        let number = found.version.number;
        match basis.read(&found.text, &named(number)) {
            Ok(policy) => {
                return Ok(Standing {
                    version: Some(found.version),
                    policy,
                    trouble,
                });
            }
            Err(error) => {
                trouble = trouble.or(Some((number, words(&error))));
                from = number - 1;
            }
        }
    }
    match trouble {
        None => Ok(Standing::default()),
        Some((_, why)) => Err(anyhow::anyhow!(why)).context("no version of the policy can be read"),
    }
}

/// What errors call a version.
pub(super) fn named(number: i64) -> Box<Path> {
    Path::new(&format!("version {number} of the policy")).into()
}

pub(super) fn words(error: &Invalid) -> String {
    error.to_string().trim_end().to_owned()
}
