//! Where a source hands in what it read: kept with its position, and what it watches said once.

use std::collections::HashMap;

use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::record::Report;

use crate::findings::Findings;
use crate::spool::{Ended, Entry, Keeper, Position};

/// What the sources of this room share.
#[derive(Debug)]
pub(super) struct Desk {
    /// How far each source has read.
    positions: HashMap<String, Vec<u8>>,
    keeper: Keeper,
    findings: Findings,
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
            keeper,
            findings,
            said: HashMap::new(),
        }
    }

    /// How far a source has read.
    pub(super) fn position(&self, source: &str) -> Option<&[u8]> {
        self.positions.get(source).map(Vec::as_slice)
    }

    /// Hands in what a source read, and how far it is then.
    pub(super) async fn keep(
        &mut self,
        reports: Vec<Report>,
        source: &str,
        position: Vec<u8>,
    ) -> Result<(), Ended> {
        let entry = Entry {
            reports,
            position: Some(Position {
                source: source.to_owned(),
                bytes: position.clone(),
            }),
        };
        self.keeper.keep(entry).await?;
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
        let now = (state, detail.to_owned());
        if self.said.get(subject) == Some(&now) {
            return;
        }
        self.said.insert(subject.to_owned(), now);
        // Nobody listens any more when the program is ending.
        let _ = self.findings.send(Finding {
            subject: subject.to_owned(),
            state,
            detail: detail.to_owned(),
        });
    }
}
