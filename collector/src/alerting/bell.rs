//! Wakes whoever delivers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use watchward_daemon::tasks::Stop;

/// Wakes whoever delivers, after a transaction that may have raised something has committed.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it rings.
    pub(super) async fn rung(&self) {
        self.0.notified().await;
    }

    /// For whoever looks every so often: rings where a look brought news, logs why it could not be done
    /// (`what` goes on from "cannot"), and says, when it is time for the next, whether to go on.
    pub async fn after<E: Into<anyhow::Error>>(
        &self,
        what: &str,
        looked: Result<bool, E>,
        (every, stop): (Duration, &Stop),
    ) -> bool {
        match looked.map_err(Into::into) {
            Ok(true) => self.ring(),
            Ok(false) => {}
            Err(error) => tracing::error!(error = format!("{error:#}"), "cannot {what}"),
        }
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(every) => true,
        }
    }
}
