//! Where a source hands in what it read: kept with its position, and what it watches said once.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::record::Report;

use super::haste::Haste;
use crate::findings::Findings;
use crate::own::Own;
use crate::spool::{Ended, Entry, Keeper, Position};
use crate::witness::Witness;

/// What the sources of this room share.
#[derive(Debug)]
pub(super) struct Desk {
    /// How far each source has read.
    positions: HashMap<String, Vec<u8>>,
    /// Nothing is kept at a desk that only shows.
    keeper: Option<Keeper>,
    findings: Option<Findings>,
    witness: Witness,
    haste: Haste,
    own: Own,
    said: HashMap<String, (FindingState, String)>,
}

impl Desk {
    pub(super) fn new(
        positions: HashMap<String, Vec<u8>>,
        keeper: Keeper,
        findings: Findings,
    ) -> Self {
        Self {
            positions,
            keeper: Some(keeper),
            findings: Some(findings),
            witness: Witness::default(),
            haste: Haste::default(),
            own: Own::default(),
            said: HashMap::new(),
        }
    }

    /// Lines about these connections are nobody's tries.
    pub(super) fn knowing(self, own: Own) -> Self {
        Self { own, ..self }
    }

    /// Where what was read is only shown, and nothing kept: it is never behind for the disk.
    pub(super) fn of_scout(positions: HashMap<String, Vec<u8>>, witness: Witness) -> Self {
        Self {
            positions,
            keeper: None,
            findings: None,
            witness,
            haste: Haste::default(),
            own: Own::default(),
            said: HashMap::new(),
        }
    }

    /// The agent's own connections.
    pub(super) fn own(&self) -> Own {
        self.own.clone()
    }

    /// Whether nothing is kept here. Then each line is for itself: in a text log, whose lines anybody
    /// can forge, nothing is gained by what others say of the same process.
    pub(super) fn only_shows(&self) -> bool {
        self.keeper.is_none()
    }

    /// How far all sources have read.
    pub(super) fn positions(&self) -> &HashMap<String, Vec<u8>> {
        &self.positions
    }

    /// From now on, shows what is handed in before it is kept.
    pub(super) fn show_to(&mut self, witness: Witness) {
        self.witness = witness;
    }

    /// Lets lines gather for so long before the next look; hardly at all while somebody waits for
    /// what happens.
    pub(super) async fn gather(&mut self, otherwise: Duration) {
        let pause = match self.witness.is_eager() {
            true => self.haste.after_look(Instant::now()).min(otherwise),
            false => otherwise,
        };
        // The shortest sleep lasts until the timer's next millisecond.
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }

    /// How far a source has read.
    pub(super) fn position(&self, source: &str) -> Option<&[u8]> {
        self.positions.get(source).map(Vec::as_slice)
    }

    /// Hands in what a source read, and how far it is then.
    pub(super) async fn keep(
        &mut self,
        mut reports: Vec<Report>,
        source: &str,
        position: Vec<u8>,
    ) -> Result<(), Ended> {
        for report in &mut reports {
            if let Report::Access(event) = report {
                self.own.mark(event);
            }
        }
        self.witness.see(&reports);
        let entry = Entry {
            reports,
            position: Some(Position {
                source: source.to_owned(),
                bytes: position.clone(),
            }),
        };
        match &self.keeper {
            Some(keeper) => keeper.keep(entry).await?,
            None => tokio::task::yield_now().await,
        }
        self.positions.insert(source.to_owned(), position);
        Ok(())
    }

    /// Says that nothing of what was watched is watched any more: the configuration has changed.
    pub(super) fn clear(&mut self) {
        let subjects: Vec<String> = self.said.keys().cloned().collect();
        for subject in subjects {
            let detail = "the configuration does not name it any more";
            self.say(&subject, FindingState::Absent, detail);
        }
    }

    /// Says what is watched, if that is news.
    pub(super) fn say(&mut self, subject: &str, state: FindingState, detail: &str) {
        let Some(findings) = &self.findings else {
            return;
        };
        let now = (state, detail.to_owned());
        if self.said.get(subject) == Some(&now) {
            return;
        }
        self.said.insert(subject.to_owned(), now);
        // Nobody listens any more when the program is ending.
        let _ = findings.send(Finding {
            subject: subject.to_owned(),
            state,
            detail: detail.to_owned(),
        });
    }
}
