//! Who sees what happened the moment it is understood, before anything of it is kept.

use std::fmt;
use std::sync::Arc;

use watchward_protocol::record::Report;

/// Somebody for whom the disk is too slow.
pub trait Sees: Send + Sync {
    /// Sees it. Whoever calls this has more to do: it must not wait for anything.
    fn see(&self, report: &Report);

    /// Whether it makes a difference how soon.
    fn is_eager(&self) -> bool;

    /// Whether what any local user can write in a server's name matters, too.
    fn believes_text(&self) -> bool;
}

/// Whoever sees, or nobody. Cheap to clone.
#[derive(Clone, Default)]
pub struct Witness(Option<Arc<dyn Sees>>);

impl Witness {
    /// This one.
    pub fn new(sees: Arc<dyn Sees>) -> Self {
        Self(Some(sees))
    }

    /// Shows what happened.
    pub(crate) fn see(&self, reports: &[Report]) {
        if let Some(sees) = &self.0 {
            reports.iter().for_each(|report| sees.see(report));
        }
    }

    /// Whether it makes a difference how soon.
    pub(crate) fn is_eager(&self) -> bool {
        self.0.as_ref().is_some_and(|sees| sees.is_eager())
    }

    /// Whether what any local user can write in a server's name matters, too.
    pub(crate) fn believes_text(&self) -> bool {
        self.0.as_ref().is_some_and(|sees| sees.believes_text())
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Witness").field(&self.0.is_some()).finish()
    }
}
