//! What the room does with what it hears: of the enforcer, of its own judge, and of the collector.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use watchward_daemon::clock;
use watchward_enforcer::{Answer, Ban, Change, Request, Verdict};
use watchward_protocol::restriction::{Banned, Drift, News};
use watchward_protocol::time::Timestamp;

use super::enforcer::{Gone, Word};
use super::holding::{self, Asked};
use super::orders;
use super::{Room, Vouched};

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
            Word::Decided(banned, from) => self.decided(banned, from),
            Word::Vouched(address, at) => self.vouch(address, at).await,
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
        self.vouched.values_mut().for_each(|one| one.said = false);
        self.say_vouched().await?;
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
    pub(super) async fn greet(&mut self) -> Result<(), Gone> {
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

    async fn vouch(&mut self, address: IpAddr, at: Timestamp) {
        let (now, span) = (clock::now(), self.config.now().vouch.duration());
        let until = at + span;
        let lately = VOUCHED_LATELY.min(span / 4);
        let known = |one: &Vouched| one.said && until.since(one.until) < lately;
        if until <= now || self.vouched.get(&address).is_some_and(known) {
            return;
        }
        if self.vouched.len() >= MOST_VOUCHED {
            self.vouched.retain(|_, one| one.until > now);
        }
        if self.vouched.len() < MOST_VOUCHED {
            let said = false;
            self.vouched.insert(address, Vouched { until, said });
        }
        if self.hello.is_some() {
            // If it has gone, it is said to the next one.
            let _gone = self.say_vouched().await;
        }
    }

    /// Says to the enforcer who is vouched for, as far as it does not know.
    async fn say_vouched(&mut self) -> Result<(), Gone> {
        let now = clock::now();
        self.vouched.retain(|_, one| one.until > now);
        for (address, one) in self.vouched.iter_mut().filter(|(_, one)| !one.said) {
            let seconds = u32::try_from(one.until.since(now).as_secs()).unwrap_or(u32::MAX);
            let address = *address;
            let answer = self.hand.ask(Request::Vouch { address, seconds }).await?;
            one.said = answer == Answer::Done;
            if !one.said {
                tracing::debug!(%address, ?answer, "nobody can vouch for it now");
            }
        }
        Ok(())
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
                self.holding.again();
            }
        }
        self.look().await;
    }

    /// Asks what holds, and does what is missing.
    pub(super) async fn look(&mut self) {
        self.teller.look();
        self.standing.again();
        if self.hello.is_some() && self.greet().await.is_ok() && self.say_vouched().await.is_ok() {
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
}
