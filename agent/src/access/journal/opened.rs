//! Who opened the sessions that live: read back from the journal, process by process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use watchward_protocol::access::{AccessEvent, Action, Outcome, Trust};
use watchward_protocol::time::Timestamp;

use super::child::Reading;
use super::place::Place;
use super::reader::Reader;
use super::*;
use crate::witness::{Sees, Witness};

/// What sshd says when it lets somebody in, or has seen one of the keys or codes that it needs, in
/// whatever release; the rest is not even read.
const LOGINS: &str = "--grep=^(Accepted|Partial) ";

impl Journal {
    /// What sshd wrote, as root, under each of these numbers when it let somebody in. It may have been
    /// another process then: whoever asks compares the times.
    pub(in crate::access) async fn opened(
        &self,
        processes: &[u32],
    ) -> Result<Vec<AccessEvent>, String> {
        let reading = timeout(PATIENCE, self.read_opened(processes)).await;
        let read = reading.map_err(|_| "journalctl does not answer".to_owned())?;
        read.map_err(|error| format!("the journal cannot be read: {error:#}"))
    }

    async fn read_opened(&self, processes: &[u32]) -> anyhow::Result<Vec<AccessEvent>> {
        let fixed = ["--quiet", LOGINS, FIELDS, "_UID=0"].map(str::to_owned);
        let of = processes.iter().map(|process| format!("_PID={process}"));
        let all: Vec<String> = fixed.into_iter().chain(of).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut reading = Reading::start(&self.program, &all)?;
        let place = Place {
            cursor: None,
            at: Timestamp::default(),
            open: Vec::new(),
        };
        let found = Arc::new(Found::default());
        let mut desk = Desk::of_scout(HashMap::new(), Witness::new(found.clone()));
        let mut reader = Reader::new(place, vec![Service::Sshd]);
        while let Some(entries) = reading.next().await? {
            reader.take(&entries, &mut desk).await?;
        }
        let found = found.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(found.clone())
    }
}

/// What each process took.
#[derive(Default)]
struct Found(Mutex<Vec<AccessEvent>>);

impl Sees for Found {
    fn see(&self, report: &Report) {
        let Report::Access(event) = report else {
            return;
        };
        let taken = event.action == Action::Authentication && event.outcome != Outcome::Failure;
        if taken && event.pid.is_some() && event.trust == Trust::Server {
            let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            found.push(event.clone());
        }
    }

    fn is_eager(&self) -> bool {
        false
    }

    fn believes_text(&self) -> bool {
        false
    }
}
