//! The hand: does what is asked, as far as the guard and the addresses to protect let it.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::answer::{Answer, Change, Holding, LARGEST_PART, Trial, Verdict, Veto};
use crate::bans::{Bans, Shape, element};
use crate::budget::Budget;
use crate::gates::Gates;
use crate::guard::MOST_BANS as MOST_EVER;
use crate::guarded::Guarded;
use crate::keep::Kept;
use crate::kernel::{self, Kernel};
use crate::netlink::sockets::Sockets;
use crate::protected::Protected;
use crate::request::{Ban, MOST_BANS, Request};
use crate::service::{say, warn};
use crate::table::{self, Slot};
use crate::{clock, judge, peers};

/// Whoever acts. What it does with time is in `upkeep`.
pub(crate) struct Hand {
    pub(crate) guarded: Guarded,
    /// The agent's user.
    pub(crate) agent: Option<u32>,
    pub(crate) protected: Protected,
    pub(crate) kernel: Kernel,
    pub(crate) sockets: Sockets,
    pub(crate) kept: Kept,
    pub(crate) bans: Bans,
    pub(crate) confirmed: Gates,
    pub(crate) trial: Option<(Gates, Duration)>,
    /// Whether the table is in the kernel as it should be.
    pub(crate) whole: bool,
    /// How many bans may come still: of this host's own, and of others.
    pub(crate) own: Budget,
    pub(crate) others: Budget,
    pub(crate) putting_back: Budget,
    /// Whether somebody was banned whose connections still stand.
    pub(crate) to_cut: bool,
    /// What everybody is to hear.
    pub(crate) changes: Vec<Change>,
}

impl Hand {
    /// Does what is asked.
    pub(crate) fn answer(&mut self, request: Request) -> Vec<Answer> {
        self.look_at_guard();
        let now = clock::now();
        if let Some(trouble) = self.guarded.trouble.clone() {
            return vec![self.refuse(&request, &trouble)];
        }
        let answer = match request {
            Request::Hello => Answer::Holding(self.holding("", now)),
            Request::Ban(bans) => Answer::Verdicts(self.ban(&bans, now)),
            Request::Unban(nets) => done(self.unban(&nets)),
            Request::Held { after } => Answer::Held(self.held(after, now)),
            Request::Vouch { address, seconds } => done(self.vouch(address, seconds, now)),
            Request::Try { gates, seconds } => done(self.attempt(gates, seconds)),
            Request::Confirm { generation } => done(self.confirm(generation, now)),
            Request::Back => done(self.back()),
            Request::Turned => match self.turned() {
                Ok(turned) => Answer::Turned(turned),
                Err(error) => Answer::Refused(unable(error)),
            },
            Request::Ruleset => return in_parts(self.kernel.ruleset().map_err(unable)),
            Request::Peers => return in_parts(peers::standing()),
            Request::Expel(keys) => match self.expel(&keys) {
                Ok(expelled) => Answer::Expelled(expelled),
                Err(why) => Answer::Refused(short(&why)),
            },
        };
        vec![answer]
    }

    /// While the guard file cannot be used, nothing is done; what is held can still be seen.
    fn refuse(&mut self, request: &Request, trouble: &str) -> Answer {
        let now = clock::now();
        match request {
            Request::Hello => Answer::Holding(self.holding(trouble, now)),
            Request::Held { after } => Answer::Held(self.held(*after, now)),
            Request::Ban(bans) => Answer::Verdicts(vec![Verdict::Vetoed(Veto::Unable); bans.len()]),
            Request::Unban(_)
            | Request::Vouch { .. }
            | Request::Try { .. }
            | Request::Confirm { .. }
            | Request::Back
            | Request::Turned
            | Request::Peers
            | Request::Expel(_)
            | Request::Ruleset => Answer::Refused(short(trouble)),
        }
    }

    fn holding(&mut self, trouble: &str, now: Duration) -> Holding {
        self.bans.forget(now);
        let trial = self.trial.as_ref().map(|(gates, until)| Trial {
            generation: gates.generation,
            digest: gates.digest(),
            seconds: seconds(until.saturating_sub(now)),
        });
        Holding {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: self.confirmed.generation,
            digest: self.confirmed.digest(),
            trial,
            bans: u32::try_from(self.bans.count()).unwrap_or(u32::MAX),
            whole: self.whole,
            trouble: short(trouble),
            limits: self.guarded.guard.limits(),
        }
    }

    fn ban(&mut self, bans: &[Ban], now: Duration) -> Vec<Verdict> {
        self.look_at_peers(now);
        let (mut granted, mut fresh) = (Vec::new(), Vec::new());
        let verdicts = bans.iter().map(|ban| {
            if let Some(veto) = self.veto(ban, fresh.len(), now) {
                return Verdict::Vetoed(veto);
            }
            let longest = self.guarded.guard.bans.longest.seconds();
            let left = Duration::from_secs(ban.seconds.clamp(1, longest).into());
            match self.bans.has(&ban.net) {
                true => granted.push((ban.net, left)),
                false => fresh.push((ban.net, left)),
            }
            Verdict::Done
        });
        let verdicts: Vec<Verdict> = verdicts.collect();
        // What comes twice in one request is in the kernel by then.
        let put = self
            .put(&fresh, true)
            .and_then(|()| self.put(&granted, false));
        if let Err(error) = put {
            warn(format_args!("bans are not in the kernel: {error}"));
            return vec![Verdict::Vetoed(Veto::Unable); bans.len()];
        }
        for (net, left) in fresh.into_iter().chain(granted) {
            self.bans.put(net, now + left);
            self.to_cut = true;
        }
        verdicts
    }

    fn veto(&mut self, ban: &Ban, more: usize, now: Duration) -> Option<Veto> {
        let (net, guard) = (&ban.net, &self.guarded.guard);
        if !guard.narrow_enough(net) {
            return Some(Veto::TooWide);
        }
        if let Some(veto) = self.protected.veto(net, now) {
            return Some(veto);
        }
        if self.bans.has(net) {
            return None;
        }
        let most = guard.bans.most.min(MOST_EVER);
        let reserved = if ban.own { 0 } else { most / RESERVED };
        let most = usize::try_from(most - reserved).unwrap_or_default();
        if self.bans.count() + more >= most {
            self.bans.make_room(now);
        }
        if self.bans.count() + more >= most {
            return Some(Veto::Full);
        }
        let budget = if ban.own {
            &mut self.own
        } else {
            &mut self.others
        };
        let taken = budget.take(guard.bans.per_minute, now);
        (!taken).then_some(Veto::OverBudget)
    }

    fn put(&mut self, bans: &[(IpNet, Duration)], fresh: bool) -> io::Result<()> {
        let mut unknown = false;
        for (net, _) in bans {
            unknown |= self.bans.learn(Shape::of(net));
        }
        if unknown {
            self.kernel.apply(&self.base())?;
        }
        let changes = by_set(bans);
        match self.kernel.put(&changes, fresh) {
            // One has just ended, or the table has gone and its notice has not come yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.meddling();
                self.kernel.put(&changes, fresh)
            }
            put => put,
        }
    }

    fn unban(&mut self, nets: &[IpNet]) -> Result<(), String> {
        let gone = nets.iter().filter(|net| self.bans.has(net));
        let gone: Vec<_> = gone.map(|net| (*net, Duration::from_secs(1))).collect();
        for nets in gone.chunks(MOST_BANS) {
            let taken = self.kernel.take(&by_set(nets));
            taken.map_err(|error| error.to_string())?;
            for (net, _) in nets {
                self.bans.take(net);
            }
        }
        Ok(())
    }

    fn held(&self, after: Option<IpNet>, now: Duration) -> Vec<Ban> {
        let held = self.bans.after(after, now, MOST_BANS);
        let ban = |(net, left)| Ban {
            net,
            seconds: seconds(left),
            own: false,
        };
        held.map(ban).collect()
    }

    fn vouch(&mut self, address: IpAddr, seconds: u32, now: Duration) -> Result<(), String> {
        let longest = self.guarded.guard.bans.longest_vouch.seconds();
        let left = Duration::from_secs(seconds.clamp(1, longest).into());
        if let Some(gone) = self.protected.vouch(address, now + left, now) {
            // If it cannot be taken out, it has just ended, or does so by itself.
            let _gone = self.kernel.take(&[kernel::vouch(gone, left)]);
        }
        let put = self.kernel.put(&[kernel::vouch(address, left)], false);
        put.map_err(|error| error.to_string())
    }

    fn attempt(&mut self, gates: Gates, seconds: u32) -> Result<(), String> {
        let now = clock::now();
        let vouched: Vec<IpAddr> = self.protected.vouched(now).map(|(it, _)| it).collect();
        judge::judge(
            &gates,
            &self.confirmed,
            &self.guarded.guard,
            &vouched,
            clock::shown(),
        )?;
        if gates == self.confirmed {
            return self.back();
        }
        let longest = self.guarded.guard.gates.longest_trial.seconds();
        if seconds == 0 || seconds > longest {
            return Err(format!(
                "gates may be tried for {longest} seconds at the most"
            ));
        }
        self.back()?;
        if !self.whole {
            self.make().map_err(unable)?;
        }
        let left = Duration::from_secs(seconds.into());
        let tally = self.tally().unwrap_or_default();
        let new = table::slot(Slot::New, &gates, &tally);
        let written = self.kernel.apply(&new);
        let begun = written.and_then(|()| self.kernel.apply(&table::trial(Some(left))));
        begun.map_err(unable)?;
        say(format_args!(
            "gates {} are on trial for {seconds} s",
            gates.generation
        ));
        self.trial = Some((gates, clock::now() + left));
        Ok(())
    }

    /// On the disk first: whenever this ends, either those gates hold that are there, or those that
    /// held before do until they are.
    fn confirm(&mut self, generation: u64, now: Duration) -> Result<(), String> {
        if self.trial.is_none() && self.confirmed.generation == generation {
            return Ok(());
        }
        let tally = self.tally().unwrap_or_default();
        let right = |(gates, until): &mut (Gates, Duration)| {
            gates.generation == generation && *until > now + WRITTEN
        };
        let Some((gates, _)) = self.trial.take_if(right) else {
            return Err("no such gates are on trial".to_owned());
        };
        self.kept.write(&gates).map_err(unable)?;
        self.confirmed = gates;
        let old = table::slot(Slot::Old, &self.confirmed, &tally);
        let written = self.kernel.apply(&old);
        let ended = written.and_then(|()| self.kernel.apply(&table::trial(None)));
        self.whole &= ended.is_ok();
        ended.map_err(unable)?;
        say(format_args!("gates {generation} are confirmed"));
        Ok(())
    }

    fn back(&mut self) -> Result<(), String> {
        match self.trial.take() {
            Some(_) => self.kernel.apply(&table::trial(None)).map_err(unable),
            None => Ok(()),
        }
    }

    /// Ends the connections of those who are shut out.
    pub(crate) fn cut_banned(&mut self) {
        let now = clock::now();
        let (bans, protected) = (&self.bans, &self.protected);
        let banned =
            |peer: IpAddr| bans.hold(peer, now) && protected.veto(&peer.into(), now).is_none();
        let found = self.sockets.find(|it| banned(it.peer));
        self.to_cut = false;
        let ended = found.and_then(|found| found.iter().try_for_each(|it| self.sockets.end(it)));
        if let Err(error) = ended {
            warn(format_args!(
                "connections of banned addresses stand, and nothing comes through them: {error}"
            ));
        }
    }
}

/// One of so many bans is for this host's own alone: those of others never keep out of the kernel
/// who attacks here.
const RESERVED: u32 = 16;

/// How much of a trial must be left to confirm it: the old slot is written meanwhile.
const WRITTEN: Duration = Duration::from_secs(1);

/// How much of a text is told, in bytes.
const LARGEST_TOLD: usize = 16 * 1024 * 1024;

/// Bans as changes of the sets that they belong to.
pub(crate) fn by_set(bans: &[(IpNet, Duration)]) -> Vec<kernel::Change> {
    let mut shapes: Vec<Shape> = bans.iter().map(|(net, _)| Shape::of(net)).collect();
    shapes.sort_unstable();
    shapes.dedup();
    let change = |shape: Shape| {
        let of = bans.iter().filter(|(net, _)| Shape::of(net) == shape);
        kernel::Change {
            set: shape.set(),
            elements: of.map(|(net, left)| element(net, *left)).collect(),
        }
    };
    shapes.into_iter().map(change).collect()
}

/// A text as answers.
fn in_parts(text: Result<String, String>) -> Vec<Answer> {
    let text = match text {
        Ok(text) if text.len() <= LARGEST_TOLD => text,
        Ok(_) => return vec![Answer::Refused("there is too much of it".to_owned())],
        Err(why) => return vec![Answer::Refused(short(&why))],
    };
    let parts: Vec<&[u8]> = text.as_bytes().chunks(LARGEST_PART).collect();
    let last = parts.len().saturating_sub(1);
    let part = |(at, part): (usize, &[u8])| Answer::Text(part.to_vec(), at == last);
    match parts.is_empty() {
        true => vec![Answer::Text(Vec::new(), true)],
        false => parts.into_iter().enumerate().map(part).collect(),
    }
}

fn done(what: Result<(), String>) -> Answer {
    match what {
        Ok(()) => Answer::Done,
        Err(why) => Answer::Refused(short(&why)),
    }
}

fn unable(error: io::Error) -> String {
    format!("it cannot be done: {error}")
}

/// Half a second is still a second.
fn seconds(left: Duration) -> u32 {
    u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// As much of a text as a frame has room for.
pub(crate) fn short(text: &str) -> String {
    let end = text.floor_char_boundary(crate::frame::LONGEST_TEXT);
    text.get(..end).unwrap_or_default().to_owned()
}
