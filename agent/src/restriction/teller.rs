//! What is told of restrictions: to the collector when it changes, and as a finding.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use watchward_enforcer as said;
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::record::Report;
use watchward_protocol::restriction::{Holding, News, Restriction, Vetoed};
use watchward_protocol::time::Timestamp;

use super::addresses;
use super::gates::Standing;
use crate::findings::Findings;
use crate::spool::{Ended, Entry, Keeper};

/// What it is called in what the agent found.
const SUBJECT: &str = "restriction: enforcer";
/// How often what only counts is told.
const COUNTS: Duration = Duration::from_secs(300);
/// How many reports are handed in together.
const PIECE: usize = 256;

/// Tells, without waiting for the spool.
#[derive(Debug)]
pub(super) struct Teller {
    reports: mpsc::UnboundedSender<Restriction>,
    findings: Findings,
    said: Option<Finding>,
    addresses: Vec<IpAddr>,
    told: Option<(Holding, Timestamp)>,
}

impl Teller {
    /// One who tells, and what is to be handed in.
    pub(super) fn new(findings: Findings) -> (Self, mpsc::UnboundedReceiver<Restriction>) {
        let (reports, told) = mpsc::unbounded_channel();
        let teller = Self {
            reports,
            findings,
            said: None,
            addresses: addresses::own(),
            told: None,
        };
        (teller, told)
    }

    /// Tells news.
    pub(super) fn tell(&self, news: News, at: Timestamp) {
        // Nobody listens any more when the program is ending.
        let _ = self.reports.send(Restriction { at, news });
    }

    /// Looks at what may have changed of the host itself.
    pub(super) fn look(&mut self) {
        self.addresses = addresses::own();
    }

    /// Where others of the room tell what they see.
    pub(super) fn reports(&self) -> mpsc::UnboundedSender<Restriction> {
        self.reports.clone()
    }

    /// Tells what is held, if that is news.
    pub(super) fn holding(
        &mut self,
        held: Option<&said::Holding>,
        standing: &Standing,
        (bans, vetoed): (u32, Vec<Vetoed>),
        now: Timestamp,
    ) {
        let trouble = held.map(|held| held.trouble.clone());
        let holding = Holding {
            enforcer: held.map(|held| held.version.clone()),
            trouble: trouble.unwrap_or_default(),
            addresses: self.addresses.clone(),
            phase: standing.phase,
            generation: standing.generation,
            why: standing.why.clone(),
            gates: standing.held.clone(),
            bans,
            vetoed,
        };
        if let Some((told, at)) = &self.told {
            let due = now.since(*at) >= COUNTS;
            if *told == holding || !due && uncounted(told) == uncounted(&holding) {
                return;
            }
        }
        self.tell(News::Holding(holding.clone()), now);
        self.told = Some((holding, now));
    }

    /// Says that the enforcer is there.
    pub(super) fn enforcer(&mut self, held: &said::Holding) {
        let (state, detail) = if !held.trouble.is_empty() {
            (FindingState::Failing, held.trouble.clone())
        } else if !held.whole {
            let detail = "its table is not in the kernel as it should be";
            (FindingState::Failing, detail.to_owned())
        } else {
            let detail = "watchward-enforcer holds gates and bans";
            (FindingState::Watched, detail.to_owned())
        };
        self.say(state, detail);
    }

    /// Says that there is none.
    pub(super) fn nobody(&mut self, why: &str, nobody: bool) {
        if nobody {
            let detail = "no watchward-enforcer runs here: nobody new is shut out. Where one ran, its \
                gates hold on, and bans until they end";
            self.say(FindingState::Absent, detail.to_owned());
        } else {
            let detail = format!("{why}; what the kernel holds stays, and nothing new is shut out");
            self.say(FindingState::Failing, detail);
        }
    }

    fn say(&mut self, state: FindingState, detail: String) {
        let finding = Finding {
            subject: SUBJECT.to_owned(),
            state,
            detail,
        };
        if self.said.as_ref() != Some(&finding) {
            self.said = Some(finding.clone());
            // Nobody listens any more when the program is ending.
            let _ = self.findings.send(finding);
        }
    }
}

/// Without what only counts, but for whether it counted any.
fn uncounted(holding: &Holding) -> Holding {
    let mut holding = holding.clone();
    holding.bans = holding.bans.min(1);
    for gate in &mut holding.gates {
        gate.turned_away = gate.turned_away.min(1);
        gate.from.clear();
    }
    holding
}

/// Hands in what is told, for as long as anything is.
pub(super) async fn keep(
    mut told: mpsc::UnboundedReceiver<Restriction>,
    keeper: Keeper,
) -> Result<(), Ended> {
    let mut piece = Vec::new();
    while told.recv_many(&mut piece, PIECE).await > 0 {
        let reports = piece.drain(..).map(Report::Restriction);
        let entry = Entry {
            reports: reports.collect(),
            position: None,
        };
        keeper.keep(entry).await?;
    }
    Ok(())
}
