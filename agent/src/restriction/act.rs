//! What the room does with what it hears: of the enforcer, of its own judge, and of the collector.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use watchward_daemon::clock;
use watchward_enforcer::{Answer, Ban, Change, Request, Verdict};
use watchward_protocol::restriction::{Banned, Drift, News};
use watchward_protocol::time::Timestamp;

use super::Room;
use super::ban;
use super::enforcer::{Gone, Word};
use super::gates::Step;
use super::holding::{self, Asked};
use super::orders;

/// How many decided bans wait to be told at most.
const MOST_AWAITED: usize = 65_536;
/// How many addresses are vouched for at most.
const MOST_VOUCHED: usize = 4096;
/// Who was vouched for so lately is not again.
const VOUCHED_LATELY: Duration = Duration::from_secs(60);

impl Room {
    pub(super) async fn hear(&mut self, word: Word) {
        match word {
            Word::Here => self.begin().await,
            Word::Gone(why, nobody) => self.end(&why, nobody),
            Word::Decided(ban::Verdict::Ban(banned, from)) => self.decided(banned, from),
            Word::Decided(ban::Verdict::Vouch(address)) => self.vouch(address).await,
            Word::Judged(bans, verdicts) => self.judged(&bans, &verdicts),
            Word::Changed(change) => self.change(change).await,
        }
    }

    /// The enforcer has come: it may hold less than it should, or more.
    async fn begin(&mut self) {
        self.gone = None;
        self.watcher.arm(true);
        // If it has gone again, that is heard next.
        let _heard = self.bring().await;
        self.hold_gates().await;
    }

    async fn bring(&mut self) -> Result<(), Gone> {
        self.greet().await?;
        let longest = self
            .hello
            .as_ref()
            .map_or(u32::MAX, |held| held.limits.longest_ban);
        self.holding.forget(Duration::from_secs(longest.into()));
        let now = clock::now();
        self.vouched.retain(|_, until| *until > now);
        let vouched: Vec<_> = self
            .vouched
            .iter()
            .map(|(at, until)| (*at, *until))
            .collect();
        for (address, until) in vouched {
            self.say_vouched(address, until).await?;
        }
        let mut after = None;
        loop {
            let answer = self.hand.ask(Request::Held { after }).await?;
            let Answer::Held(held) = answer else { break };
            held.iter().for_each(|ban| self.holding.found(ban, now));
            let Some(last) = held.last() else { break };
            after = Some(last.net);
        }
        self.reconcile_all();
        Ok(())
    }

    /// Asks what is held.
    async fn greet(&mut self) -> Result<(), Gone> {
        if let Answer::Holding(held) = self.hand.ask(Request::Hello).await? {
            self.teller.enforcer(&held);
            self.hello = Some(held);
        }
        Ok(())
    }

    fn end(&mut self, why: &str, nobody: bool) {
        self.gone.get_or_insert_with(Instant::now);
        self.hello = None;
        self.proof = None;
        self.standing.nobody();
        self.holding.forget(Duration::MAX);
        self.teller.nobody(why, nobody);
        self.glance();
    }

    fn decided(&mut self, banned: Banned, from: IpAddr) {
        if self.awaited.len() < MOST_AWAITED {
            self.awaited.insert(banned.net, (banned, from));
        }
    }

    fn judged(&mut self, bans: &[Ban], verdicts: &[Verdict]) {
        let now = clock::now();
        let mut narrower = Vec::new();
        for (ban, verdict) in bans.iter().zip(verdicts) {
            let awaited = self.awaited.remove(&ban.net);
            match (verdict, awaited) {
                (Verdict::Done, Some((banned, _))) => {
                    tracing::info!(net = %banned.net, tries = banned.tries, "shut out");
                    self.teller.tell(News::Banned(banned), now);
                }
                (Verdict::Vetoed(why), Some((banned, from))) => {
                    tracing::info!(net = %banned.net, %why, "not shut out");
                    let for_somebody = orders::is_for_somebody(*why);
                    let narrow = || self.watcher.judge().narrow(&ban.net, from, now);
                    if let Some(net) = for_somebody.then(narrow).flatten() {
                        narrower.push(holding::ban(net, banned.until, now));
                        self.awaited.insert(net, (Banned { net, ..banned }, from));
                        continue;
                    }
                }
                (Verdict::Done | Verdict::Vetoed(_), None) => {}
            }
            self.holding.judged(ban, *verdict, now);
        }
        self.hand.ban(&narrower);
    }

    async fn vouch(&mut self, address: IpAddr) {
        let (now, span) = (clock::now(), self.config.now().vouch.duration());
        let until = now + span;
        let known = self.vouched.get(&address);
        let lately = span.saturating_sub(VOUCHED_LATELY.min(span / 4));
        if known.is_some_and(|known| known.since(now) > lately) {
            return;
        }
        if self.vouched.len() >= MOST_VOUCHED {
            self.vouched.retain(|_, until| *until > now);
        }
        // What is remembered is said again to the next enforcer.
        if let Ok(true) = self.say_vouched(address, until).await
            && self.vouched.len() < MOST_VOUCHED
        {
            self.vouched.insert(address, until);
        }
    }

    /// Whether the enforcer does so.
    async fn say_vouched(&mut self, address: IpAddr, until: Timestamp) -> Result<bool, Gone> {
        let left = until.since(clock::now()).as_secs();
        let seconds = u32::try_from(left).unwrap_or(u32::MAX);
        let answer = self.hand.ask(Request::Vouch { address, seconds }).await?;
        if let Answer::Refused(why) = &answer {
            tracing::debug!(%address, why, "the enforcer lets nobody vouch for it");
        }
        Ok(matches!(answer, Answer::Done))
    }

    async fn change(&mut self, change: Change) {
        match change {
            Change::Meddled { what, put_back } => {
                tracing::warn!(what, put_back, "a third hand changed the firewall");
                let drift = Drift { what, put_back };
                self.teller.tell(News::Drift(drift), clock::now());
            }
            Change::RolledBack { generation } => {
                tracing::warn!(
                    generation,
                    "gates were not confirmed: those before hold again"
                );
            }
            Change::Guard(trouble) => {
                tracing::warn!(trouble, "the guard file of this host has changed");
            }
        }
        self.look().await;
    }

    /// Asks what holds, and does what is missing.
    pub(super) async fn look(&mut self) {
        self.teller.look();
        if self.hello.is_some() && self.greet().await.is_ok() {
            self.reconcile_all();
            self.hold_gates().await;
        }
    }

    /// Takes what was ordered of bans.
    pub(super) fn order_bans(&mut self) {
        let mut all = Asked::default();
        for number in self.ordered_anew() {
            self.reconcile(number, &mut all);
        }
        self.ask(all);
    }

    /// The buckets that are others than before. What was lifted in them is lifted here too.
    fn ordered_anew(&mut self) -> Vec<u8> {
        let ordered = self.ordered.bans.borrow_and_update().clone();
        let mut anew = Vec::new();
        for (number, bans) in &ordered {
            if self.holding.order(bans) {
                let mut judge = self.watcher.judge();
                bans.lifted.iter().for_each(|lifted| judge.lift(lifted));
                anew.push(*number);
            }
        }
        anew
    }

    fn reconcile_all(&mut self) {
        self.ordered_anew();
        let mut all = Asked::default();
        for number in 0..=u8::MAX {
            self.reconcile(number, &mut all);
        }
        let now = clock::now();
        let judge = self.watcher.judge();
        all.bans.extend(self.holding.own(judge.standing(now), now));
        drop(judge);
        self.ask(all);
    }

    fn reconcile(&mut self, number: u8, all: &mut Asked) {
        let (now, judge) = (clock::now(), self.watcher.judge());
        let asked = self
            .holding
            .reconcile(number, &|net| judge.stands(net, now), now);
        all.bans.extend(asked.bans);
        all.unbans.extend(asked.unbans);
    }

    /// Asks for it, if there is anybody to ask; else it is asked when somebody has come.
    fn ask(&self, asked: Asked) {
        if self.hello.is_some() {
            self.hand.unban(&asked.unbans);
            self.hand.ban(&asked.bans);
        }
    }

    /// Does what is to be done next for the gates that were ordered.
    pub(super) async fn hold_gates(&mut self) {
        let ordered = self.ordered.gates.borrow_and_update().clone();
        // Back, a trial, and the proof: no more than that can follow from another.
        for _ in 0..4 {
            let Some(held) = &self.hello else { return };
            let done = match self.standing.next(ordered.as_deref(), held) {
                Step::Rest => break,
                Step::Back => self.hand.ask(Request::Back).await.map(drop),
                Step::Prove => {
                    let redial = self.redial.clone();
                    self.proof = Some(Box::pin(async move { redial.proven().await }));
                    break;
                }
                Step::Try(gates) => self.try_out(gates).await,
            };
            if done.is_err() || self.greet().await.is_err() {
                return;
            }
        }
        self.glance();
    }

    async fn try_out(&mut self, gates: watchward_enforcer::Gates) -> Result<(), Gone> {
        let generation = gates.generation;
        if let Err(error) = gates.encode() {
            self.standing.refuse(&gates, error.to_string());
            return Ok(());
        }
        let longest = self
            .hello
            .as_ref()
            .map_or(0, |held| held.limits.longest_trial);
        let wanted = self.config.now().trial.duration().as_secs();
        let seconds = u32::try_from(wanted)
            .unwrap_or(u32::MAX)
            .min(longest.max(1));
        let request = Request::Try {
            gates: gates.clone(),
            seconds,
        };
        match self.hand.ask(request).await? {
            Answer::Done => tracing::info!(generation, seconds, "gates are on trial"),
            Answer::Refused(why) => {
                tracing::warn!(generation, why, "the enforcer does not take the gates");
                self.standing.refuse(&gates, why);
            }
            Answer::Holding(_)
            | Answer::Verdicts(_)
            | Answer::Held(_)
            | Answer::Ruleset(..)
            | Answer::Changed(_) => return Err(Gone),
        }
        Ok(())
    }

    /// The collector was reached over a new connection: nobody is locked out of what matters most.
    pub(super) async fn confirm(&mut self, proven: bool) {
        let trial = self.hello.as_ref().and_then(|held| held.trial);
        let Some(trial) = trial.filter(|_| proven) else {
            return;
        };
        let generation = trial.generation;
        let answer = self.hand.ask(Request::Confirm { generation }).await;
        if let Ok(Answer::Refused(why)) = answer {
            tracing::warn!(generation, why, "the gates could not be confirmed");
        }
        if self.greet().await.is_ok() {
            self.hold_gates().await;
        }
    }
}
