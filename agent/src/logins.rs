//! Who opened which session: asked of whoever reads the logs.

use tokio::sync::{mpsc, oneshot};
use watchward_protocol::access::AccessEvent;

/// A question: what sshd wrote of each of these processes when it let somebody in, if it did.
#[derive(Debug)]
pub struct Asked {
    /// The processes that watch over sessions.
    pub processes: Vec<u32>,
    /// Where the answer goes: of each process all that it took, for a login may need several keys.
    pub answer: oneshot::Sender<Result<Vec<AccessEvent>, String>>,
}

/// Where it is asked.
pub type Logins = mpsc::Sender<Asked>;
