//! Whoever wants to know that the collector can be reached anew: the conversation ends, and another begins.

use tokio::sync::{mpsc, oneshot};

/// Asks for a new connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Redial(mpsc::Sender<oneshot::Sender<()>>);

/// What is asked for, and who waits.
#[derive(Debug)]
pub struct Wishes {
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    /// They wait for the first word over a connection that is made from now on.
    waiting: Vec<oneshot::Sender<()>>,
}

/// Who asks, and who is asked.
pub fn redial() -> (Redial, Wishes) {
    let (sender, asked) = mpsc::channel(1);
    let waiting = Vec::new();
    (Redial(sender), Wishes { asked, waiting })
}

impl Redial {
    /// Waits until the collector has said something over a connection that was made after this was
    /// asked. False: the program is ending.
    pub async fn proven(&self) -> bool {
        let (sender, proof) = oneshot::channel();
        self.0.send(sender).await.is_ok() && proof.await.is_ok()
    }
}

impl Wishes {
    /// Waits until a new connection is wished for.
    pub(super) async fn wished(&mut self) {
        match self.asked.recv().await {
            Some(waits) => self.waiting.push(waits),
            None => std::future::pending().await,
        }
    }

    /// The collector said something over this connection.
    pub(super) fn prove(&mut self) {
        for waits in self.waiting.drain(..) {
            // Whoever asked may have ended meanwhile.
            let _ = waits.send(());
        }
    }
}
