//! From entries of the journal to reports, each once, with the place that was reached.

use watchward_daemon::clock;
use watchward_protocol::access::Service;
use watchward_protocol::record::{Gap, Report};

use super::entry::Entry;
use super::place::Place;
use super::{SOURCE, suppressed};
use crate::access::desk::Desk;
use crate::access::understand::{Understand, Written};
use crate::spool::Ended;

/// So many reports are handed in together: what waits for the disk must stay small.
const PIECE: usize = 256;

/// Reads on from a place.
#[derive(Debug)]
pub(super) struct Reader {
    /// Entries up to here were read before this start.
    before: Place,
    reached: Place,
    boot: u128,
    services: Vec<Service>,
    server: Understand,
    /// What others say in a server's name must not change what is known of its connections.
    others: Understand,
}

impl Reader {
    pub(super) fn new(place: Place, services: Vec<Service>) -> Self {
        let mut server = Understand::new();
        server.resume(&place.open);
        Self {
            services,
            before: place.clone(),
            reached: place,
            boot: u128::from_be_bytes(clock::boot()),
            server,
            others: Understand::new(),
        }
    }

    /// Hands in what these entries mean, in pieces.
    pub(super) async fn take(&mut self, entries: &[Entry], desk: &mut Desk) -> Result<(), Ended> {
        self.server.begin();
        self.others.begin();
        let mut reports = Vec::new();
        for entry in entries {
            if self.before.is_behind(entry, self.boot) {
                continue;
            }
            self.entry(entry, &mut reports);
            if reports.len() >= PIECE {
                self.keep(std::mem::take(&mut reports), desk).await?;
            }
        }
        self.keep(reports, desk).await
    }

    /// Hands in what was read, with the place.
    pub(super) async fn keep(
        &mut self,
        mut reports: Vec<Report>,
        desk: &mut Desk,
    ) -> Result<(), Ended> {
        let folded = [&mut self.server, &mut self.others].map(|one| one.gap(SOURCE));
        reports.extend(folded.into_iter().flatten().map(Report::Gap));
        self.reached.open = self.server.kept();
        let place = serde_json::to_vec(&self.reached).unwrap_or_default();
        if reports.is_empty() && desk.position(SOURCE) == Some(&place) {
            return Ok(());
        }
        desk.keep(reports, SOURCE, place).await
    }

    fn entry(&mut self, entry: &Entry, reports: &mut Vec<Report>) {
        self.reached = Place::behind(entry);
        let Some(message) = &entry.message else {
            reports.push(Report::Gap(Gap {
                source: SOURCE.to_owned(),
                from: Some(entry.at),
                to: entry.at,
                lost: Some(1),
                why: "a message was too long to be read".to_owned(),
            }));
            return;
        };
        // One that calls itself so, and is another.
        if !self.services.contains(&entry.service) {
            return;
        }
        if entry.suppressed {
            reports.extend(suppressed::gap(message, entry.at).map(Report::Gap));
            return;
        }
        // The program of a process that ended at once may not be known, but its user always is.
        let understand = if entry.by_root {
            &mut self.server
        } else {
            &mut self.others
        };
        let events = understand.line(&Written {
            service: entry.service,
            at: entry.at,
            pid: entry.pid,
            boot: entry.boot,
            trust: entry.trust,
            message,
        });
        reports.extend(events.into_iter().map(Report::Access));
    }
}
