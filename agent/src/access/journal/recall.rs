//! Who came in by key before this start: read back from the journal, and only shown.

use std::collections::HashMap;
use std::convert::Infallible;

use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use super::child::Reading;
use super::place::Place;
use super::reader::Reader;
use super::*;
use crate::witness::Witness;

/// So far it is read back: as long as an address is vouched for, unless people say otherwise.
const BACK: Duration = Duration::from_secs(4 * 3600);
/// What sshd says of those, in whatever release; the rest is not even read.
const LOGINS: &str = "--grep=^Accepted publickey ";

impl Journal {
    /// Shows who came in by key lately, once. What cannot be read back is not known, as before.
    pub(in crate::access) async fn recall(&self, witness: &Witness) -> Infallible {
        let since = clock::now() - BACK;
        if let Err(error) = self.read_back(since, witness).await {
            tracing::info!(%error, "who came in before is not read back from the journal");
        }
        std::future::pending().await
    }

    async fn read_back(&self, since: Timestamp, witness: &Witness) -> anyhow::Result<()> {
        let from = format!("--since=@{}", since.as_micros().div_euclid(1_000_000));
        let machine = std::fs::read_to_string(MACHINE).unwrap_or_default();
        let matches = of_this_machine(matches(&[Service::Sshd]), machine.trim());
        let fixed = ["--quiet", LOGINS, FIELDS, &from];
        let matches = matches.iter().map(String::as_str);
        let all: Vec<&str> = fixed.into_iter().chain(matches).collect();
        let mut reading = Reading::start(&self.program, &all)?;
        let place = Place {
            cursor: None,
            at: since,
            open: Vec::new(),
        };
        let mut reader = Reader::new(place, vec![Service::Sshd]);
        let mut desk = Desk::of_scout(HashMap::new(), witness.clone());
        while let Some(entries) = reading.next().await? {
            reader.take(&entries, &mut desk).await?;
        }
        Ok(())
    }
}
