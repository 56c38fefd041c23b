//! The role that tells sshd: asked one thing after the other, and connected to as often as it must.

use std::path::PathBuf;

use watchward_enforcer::client::Error;
use watchward_enforcer::keys::{Answer, Client, Holding, Request};

/// The role, wherever it listens.
pub(super) struct Role {
    socket: PathBuf,
    client: Option<Client>,
}

impl Role {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            client: None,
        }
    }

    /// Whether it answered what it was asked last.
    pub(super) fn answers(&self) -> bool {
        self.client.is_some()
    }

    /// What it holds.
    pub(super) async fn hello(&mut self) -> Result<Holding, String> {
        // The one before may have gone, and that is seen only now.
        let answer = match self.ask(Request::Hello).await {
            Err(_) => self.ask(Request::Hello).await,
            answered => answered,
        };
        match answer? {
            Answer::Holding(holding) => Ok(holding),
            Answer::Done | Answer::Refused(_) | Answer::Gone | Answer::Processes(_) => {
                Err("it does not say what it holds".to_owned())
            }
        }
    }

    /// Has it do something.
    pub(super) async fn done(&mut self, request: Request) -> Result<(), String> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            Answer::Refused(why) => Err(why),
            Answer::Holding(_) | Answer::Gone | Answer::Processes(_) => {
                Err("it answers something else".to_owned())
            }
        }
    }

    /// Asks. It may take a while, so it has a thread of its own.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Answer, String> {
        let (client, socket) = (self.client.take(), self.socket.clone());
        let asking = move || {
            let mut client = client.map_or_else(|| Client::connect(&socket), Ok)?;
            let answer = client.ask(&request)?;
            Ok::<_, Error>((client, answer))
        };
        let asked = tokio::task::spawn_blocking(asking).await;
        match asked {
            Ok(Ok((client, answer))) => {
                self.client = Some(client);
                Ok(answer)
            }
            Ok(Err(error)) => Err(format!("watchward-enforcer-keys: {error}")),
            Err(_) => Err("it could not be asked".to_owned()),
        }
    }
}
