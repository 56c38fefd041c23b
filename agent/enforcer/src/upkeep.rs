//! What goes on with time: beginning, trials that end, third hands, addresses that change.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::Mode;

use crate::answer::Change;
use crate::budget::Budget;
use crate::clock;
use crate::gates::Gates;
use crate::guarded::Guarded;
use crate::hand::{Hand, short};
use crate::keep::Kept;
use crate::kernel::{self, Kernel, vouched};
use crate::netlink::elements::Element;
use crate::netlink::routes::Routes;
use crate::netlink::sockets::Sockets;
use crate::protected::Protected;
use crate::service::{say, warn};
use crate::table::{self, Slot};

/// How long the new slot holds while the old one is written.
const WRITING: Duration = Duration::from_secs(60);

/// How often a table may be put back in a minute: two hands could wrestle for ever.
const PUT_BACK_PER_MINUTE: u32 = 30;

impl Hand {
    /// Takes up what the kernel and the disk have.
    pub(crate) fn begin(guard: &Path, state: &Path, agent: Option<u32>) -> io::Result<Self> {
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let kept = Kept::in_folder(state);
        let confirmed = kept.read().unwrap_or_else(|error| {
            warn(format_args!(
                "the gates that were confirmed are lost: {error}"
            ));
            Gates {
                put_back: true,
                ..Gates::default()
            }
        });
        let now = clock::now();
        let mut kernel = Kernel::open()?;
        let mut protected = Protected::new(Routes::open()?);
        for element in kernel.vouched()? {
            protected.vouch(element.address, now + element.left, now);
        }
        let mut hand = Self {
            guarded: Guarded::new(guard.to_owned()),
            agent,
            protected,
            bans: kernel.bans(now)?,
            kernel,
            sockets: Sockets::open()?,
            kept,
            confirmed,
            trial: None,
            whole: false,
            own: Budget::new(),
            others: Budget::new(),
            putting_back: Budget::new(),
            to_cut: false,
            changes: Vec::new(),
        };
        hand.install();
        Ok(hand)
    }

    /// Has the table be what it should, unless the guard file cannot be used.
    fn install(&mut self) {
        if let Some(trouble) = &self.guarded.trouble {
            warn(format_args!("nothing is done: {trouble}"));
            return;
        }
        // In place, so that no ban is lifted for a moment; if it was another program's, anew.
        let looked = self.protected.look(&self.guarded.guard);
        let taken_up = looked.and_then(|()| self.take_up());
        if let Err(error) = taken_up.or_else(|_| self.make()) {
            warn(format_args!("the table is not in the kernel: {error}"));
        }
    }

    /// Takes up a table that may be there, and what it holds.
    fn take_up(&mut self) -> io::Result<()> {
        let never: Vec<_> = self.protected.never().collect();
        let tally = self.tally().unwrap_or_default();
        let base = self.base();
        let flushed = "flush set inet watchward never4\nflush set inet watchward never6\n";
        let filled = table::never(&[], &never);
        self.kernel
            .apply(&[&base, flushed, &filled, &table::trial(None)].concat())?;
        // Through the new slot, as the old must not be written while it holds.
        self.kernel
            .apply(&table::slot(Slot::New, &self.confirmed, &tally))?;
        self.kernel.apply(&table::trial(Some(WRITING)))?;
        self.kernel
            .apply(&table::slot(Slot::Old, &self.confirmed, &tally))?;
        self.kernel.apply(&table::trial(None))?;
        self.whole = true;
        Ok(())
    }

    /// The table without gates.
    pub(crate) fn base(&self) -> String {
        table::base(self.bans.shapes(), &self.guarded.guard.gates.signing_in)
    }

    /// Makes the table anew, whatever is there, and fills it.
    pub(crate) fn make(&mut self) -> io::Result<()> {
        self.whole = false;
        let tally = self.tally().unwrap_or_default();
        let never: Vec<_> = self.protected.never().collect();
        let now = clock::now();
        let trial = self
            .trial
            .as_ref()
            .map(|(gates, until)| (gates, until.saturating_sub(now)));
        let trial = trial.filter(|(_, left)| !left.is_zero());
        let mut text = [table::REMOVE, &self.base()].concat();
        text += &table::never(&[], &never);
        text += &table::slot(Slot::Old, &self.confirmed, &tally);
        if let Some((gates, left)) = trial {
            text += &table::slot(Slot::New, gates, &tally);
            text += &table::trial(Some(left));
        }
        self.kernel.apply(&text)?;
        self.bans.forget(now);
        let vouches = [false, true].map(|ipv6| self.vouches(ipv6, now));
        let bans = self.bans.shapes().iter().map(|shape| kernel::Change {
            set: shape.set(),
            elements: self.bans.of(*shape, now),
        });
        let changes: Vec<kernel::Change> = vouches.into_iter().chain(bans).collect();
        self.kernel.fill(&changes)?;
        self.whole = true;
        Ok(())
    }

    fn vouches(&self, ipv6: bool, now: Duration) -> kernel::Change {
        let all = self.protected.vouched(now);
        let of = all.filter(|(address, _)| address.is_ipv6() == ipv6);
        kernel::Change {
            set: vouched(ipv6).to_owned(),
            elements: of
                .map(|(address, left)| Element { address, left })
                .collect(),
        }
    }

    /// Sees what others have changed, and puts it back.
    pub(crate) fn meddling(&mut self) {
        let what = match self.kernel.meddled() {
            Ok(None) => return,
            Ok(Some(what)) => what,
            Err(error) => format!("what others change cannot be heard: {error}"),
        };
        self.whole = false;
        let put_back = self.put_back();
        let how = if put_back { "put back" } else { "not put back" };
        warn(format_args!("{what}; {how}"));
        let what = short(&what);
        self.changes.push(Change::Meddled { what, put_back });
    }

    fn put_back(&mut self) -> bool {
        let may =
            self.confirmed.put_back && self.putting_back.take(PUT_BACK_PER_MINUTE, clock::now());
        may && self
            .make()
            .map_err(|error| warn(format_args!("it cannot be put back: {error}")))
            .is_ok()
    }

    /// Looks at the guard file.
    pub(crate) fn look_at_guard(&mut self) {
        if !self.guarded.look() {
            return;
        }
        let trouble = self.guarded.trouble.clone().unwrap_or_default();
        match trouble.is_empty() {
            true => say("the guard file was read"),
            false => warn(format_args!("nothing is done: {trouble}")),
        }
        self.changes.push(Change::Guard(short(&trouble)));
        self.look_at_addresses();
        // It may say anew behind which ports people sign in.
        let right = self.whole && self.kernel.apply(&self.base()).is_ok();
        if trouble.is_empty() && !right {
            self.install();
        }
    }

    /// Looks who must not be shut out.
    pub(crate) fn look_at_addresses(&mut self) {
        let before: Vec<_> = self.protected.never().collect();
        if let Err(error) = self.protected.look(&self.guarded.guard) {
            warn(format_args!(
                "this host's own addresses are not known: {error}"
            ));
        }
        let after: Vec<_> = self.protected.never().collect();
        if !self.whole || before == after {
            return;
        }
        if let Err(error) = self.kernel.apply(&table::never(&before, &after)) {
            self.whole = false;
            warn(format_args!(
                "who is never shut out is not in the kernel: {error}"
            ));
        }
    }

    /// Looks whom the agent speaks to.
    pub(crate) fn look_at_peers(&mut self, now: Duration) {
        let (protected, sockets) = (&mut self.protected, &mut self.sockets);
        let found = self.agent.map(|it| protected.find_peers(sockets, it, now));
        if let Some(Err(error)) = found {
            warn(format_args!("the collector is not found: {error}"));
        }
    }

    /// What is due from time to time.
    pub(crate) fn look_around(&mut self) {
        let (protected, sockets) = (&mut self.protected, &mut self.sockets);
        let found = self.agent.map(|it| protected.find_collector(sockets, it));
        if let Some(Err(error)) = found {
            warn(format_args!("the collector is not found: {error}"));
        }
        self.look_at_addresses();
        self.bans.forget(clock::now());
        if !self.whole && self.guarded.trouble.is_none() {
            self.put_back();
        }
    }

    /// When the trial ends, if there is one.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.trial.as_ref().map(|(_, until)| *until)
    }

    /// Forgets a trial that has ended, and says so; the kernel went back by itself.
    pub(crate) fn end_trial(&mut self) {
        let now = clock::now();
        let Some((gates, _)) = self.trial.take_if(|(_, until)| *until <= now) else {
            return;
        };
        warn(format_args!(
            "gates {} were not confirmed",
            gates.generation
        ));
        let generation = gates.generation;
        self.changes.push(Change::RolledBack { generation });
    }
}
