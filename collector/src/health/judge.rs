//! What follows from what a check found: pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_protocol::health::{HealthReport, Verdict};
use watchward_protocol::time::Timestamp;

use super::Flapping;
use crate::intake::Heard;

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It passed the last time.
    Up,
    /// It failed as often in a row as makes it down.
    Down,
    /// It passes and fails by turns.
    Flapping,
    /// Nobody can say: it cannot be run, has fallen silent, or is too new.
    Unknown,
}

/// What people are told of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is down.
    Down,
    /// It is flapping.
    Flapping,
    /// It cannot be run.
    Unrunnable,
    /// Nothing is heard of it, while its host is heard.
    Mute,
}

/// The incidents that a check has open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Open(u8);

impl Open {
    const ALL: [Trouble; 4] = [
        Trouble::Down,
        Trouble::Flapping,
        Trouble::Unrunnable,
        Trouble::Mute,
    ];

    /// This one alone.
    pub(super) const fn only(trouble: Trouble) -> Self {
        Self(Self::bit(trouble))
    }

    /// As the database has it.
    pub(super) fn from_bits(bits: i64) -> Self {
        Self(u8::try_from(bits).unwrap_or(0))
    }

    /// As the database has it.
    #[expect(
        clippy::as_conversions,
        reason = "`From` cannot be called in a constant"
    )]
    pub(super) const fn bits(self) -> i64 {
        self.0 as i64
    }

    /// Those that are open.
    pub(super) fn all(self) -> impl Iterator<Item = Trouble> {
        Self::ALL.into_iter().filter(move |one| self.has(*one))
    }

    /// Whether this one is.
    pub(super) fn has(self, trouble: Trouble) -> bool {
        self.0 & Self::bit(trouble) != 0
    }

    const fn bit(trouble: Trouble) -> u8 {
        match trouble {
            Trouble::Down => 1,
            Trouble::Flapping => 2,
            Trouble::Unrunnable => 4,
            Trouble::Mute => 8,
        }
    }

    /// What is open after people were told this.
    pub(super) fn follow(&mut self, follow: Follow) {
        match follow {
            Follow::Raise(trouble) => self.0 |= Self::bit(trouble),
            Follow::Resolve(trouble) => self.0 &= !Self::bit(trouble),
        }
    }
}

/// What is known of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// How it stands.
    pub(super) state: State,
    /// Since when.
    pub(super) since: Timestamp,
    /// How often it has failed in a row.
    pub(super) failures: u32,
    /// How often in a row makes it down; zero if nobody has said since it was first heard of.
    pub(super) enough: u32,
    /// How often in a row it could not be run.
    pub(super) unrunnable: u32,
    /// What it found lately.
    pub(super) history: History,
    /// The incidents that it has open.
    pub(super) open: Open,
}

/// The last 21 results, a bit each, the newest lowest; 1 is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct History(u32);

impl History {
    const RESULTS: u32 = 21;

    /// As the database has it.
    pub(super) fn from_bits(bits: i64) -> Self {
        Self(u32::try_from(bits).unwrap_or(0))
    }

    /// As the database has it.
    pub(super) fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// As if it had always been like this.
    fn always(failed: bool) -> Self {
        Self(if failed { (1 << Self::RESULTS) - 1 } else { 0 })
    }

    fn push(&mut self, failed: bool) {
        self.0 = ((self.0 << 1) | u32::from(failed)) & Self::always(true).0;
    }

    /// How much it changes, as Nagios counts it: of 20 possible changes, the newest counts 1.2 and
    /// the oldest 0.8 (Nagios Core, "Detection and Handling of State Flapping").
    fn percent(self) -> u32 {
        let changes = self.0 ^ (self.0 >> 1);
        let last = Self::RESULTS - 2;
        // In 190ths, where 1.2 is 228 and each step back is 4 less.
        let weights = (0..=last)
            .filter(|place| (changes >> place) & 1 == 1)
            .map(|place| 228 - 4 * place);
        weights.sum::<u32>() * 100 / (190 * (last + 1))
    }
}

/// Something to tell people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// An incident begins.
    Raise(Trouble),
    /// An incident is over.
    Resolve(Trouble),
}

/// What a report makes of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// How it stood; `None` for a new one.
    pub(super) before: Option<State>,
    /// What is known now.
    pub(super) check: Check,
    /// What to tell people, in this order.
    pub(super) follows: Vec<Follow>,
}

/// For how long a host must have been heard without a word of a check that was due.
const SLACK: Duration = Duration::from_secs(60);

/// A host that was heard so lately is heard.
const LATELY: Duration = Duration::from_secs(120);

/// What is to be done about a check that is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// Nothing yet; and when it is, if that is known.
    Wait(Option<Timestamp>),
    /// People are told.
    Tell,
    /// It is not run any more.
    Forget,
}

/// Judges a check that is overdue since `due_at`, by when its host was heard last and whether the
/// host's agent says that it runs it.
///
/// A host that is away is not heard either, and one that has just come back has much to tell: so its
/// signs of life must go on from after the due time to `mute_at`, without a word of the check.
pub(super) fn late(
    (due_at, mute_at): (Timestamp, Option<Timestamp>),
    seen_at: Timestamp,
    runs: bool,
    now: Timestamp,
) -> Late {
    if seen_at <= due_at || now.since(seen_at) > LATELY {
        return Late::Wait(None);
    }
    match mute_at {
        None => Late::Wait(Some(now + SLACK)),
        Some(mute_at) if seen_at < mute_at => Late::Wait(Some(mute_at)),
        Some(_) if runs => Late::Tell,
        Some(_) => Late::Forget,
    }
}

/// Judges one report by what was known before.
pub(super) fn judge(
    known: Option<&Check>,
    heard: &Heard<HealthReport>,
    flapping: &Flapping,
    now: Timestamp,
) -> Change {
    let report = &heard.report;
    let at = report.at.min(now);
    let mut check = known.cloned().unwrap_or(Check {
        state: State::Unknown,
        since: at,
        failures: 0,
        enough: 0,
        unrunnable: 0,
        history: History::always(report.verdict == Verdict::Failed),
        open: Open::default(),
    });
    check.count(report.verdict);
    let enough = report.failures.max(1);
    check.enough = enough;
    let state = check.next(report.verdict, enough, flapping);
    if check.state != state {
        check.state = state;
        check.since = at;
    }
    let follows = check.follows(report.verdict, enough);
    for follow in &follows {
        check.open.follow(*follow);
    }
    Change {
        before: known.map(|known| known.state),
        check,
        follows,
    }
}

impl Check {
    /// Whether it fails, and not so often yet that it is down: nobody can say how it stands.
    pub(super) fn is_failing(&self) -> bool {
        let counted = self.state == State::Unknown && self.unrunnable == 0;
        counted && (1..self.enough).contains(&self.failures)
    }

    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.failures = 0,
            Verdict::Failed => self.failures = self.failures.saturating_add(1),
            // It says nothing about what is checked: neither for it, nor against it.
            Verdict::Unknown => {
                self.unrunnable = self.unrunnable.saturating_add(1);
                return;
            }
        }
        self.unrunnable = 0;
        self.history.push(verdict == Verdict::Failed);
    }

    fn next(&self, verdict: Verdict, enough: u32, flapping: &Flapping) -> State {
        let percent = self.history.percent();
        match verdict {
            Verdict::Unknown if self.unrunnable >= enough => State::Unknown,
            Verdict::Unknown => self.state,
            _ if percent >= u32::from(flapping.high) => State::Flapping,
            _ if self.state == State::Flapping && percent >= u32::from(flapping.low) => self.state,
            Verdict::Passed => State::Up,
            Verdict::Failed if self.failures >= enough => State::Down,
            Verdict::Failed => self.state,
        }
    }

    /// What to tell people, so that what is open is what is true now. What cannot be run ends
    /// nothing: it may still be down.
    fn follows(&self, verdict: Verdict, enough: u32) -> Vec<Follow> {
        let wanted = match self.state {
            State::Up => None,
            State::Down => Some(Trouble::Down),
            State::Flapping => Some(Trouble::Flapping),
            State::Unknown if self.unrunnable >= enough => Some(Trouble::Unrunnable),
            State::Unknown => None,
        };
        let decided = self.state != State::Unknown && verdict != Verdict::Unknown;
        let over = |one: &Trouble| *one == Trouble::Mute || decided && Some(*one) != wanted;
        let over = self.open.all().filter(over);
        let mut follows: Vec<_> = over.map(Follow::Resolve).collect();
        if let Some(trouble) = wanted.filter(|trouble| !self.open.has(*trouble)) {
            follows.push(Follow::Raise(trouble));
        }
        follows
    }
}
