//! The watchdog: systemd hears that a program works as long as every loop that does the work goes round.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::service;

/// Waits for the loops of a program, and tells of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watchdog(Option<Arc<Kept>>);

#[derive(Debug)]
struct Kept {
    /// How often at most somebody is told.
    every: Duration,
    rounds: Mutex<Rounds>,
    told: Told,
}

/// Which loops went round since somebody was told.
#[derive(Debug)]
struct Rounds {
    gone: Vec<bool>,
    told: Instant,
}

/// Who hears that the program works.
#[derive(Debug)]
enum Told {
    Systemd,
    Test(mpsc::UnboundedSender<()>),
}

impl Watchdog {
    /// The one that the unit asks for with `WatchdogSec=`; one that does nothing where there is
    /// none.
    pub fn of_unit() -> Self {
        // A quarter, for the slowest loop may be a whole turn behind the quickest.
        let kept = |limit: Duration| Kept::new(limit / 4, Told::Systemd);
        Self(sd_notify::watchdog_enabled().map(kept))
    }

    /// One that tells a test, at most so often.
    pub fn of_test(every: Duration) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Some(Kept::new(every, Told::Test(sender)))), receiver)
    }

    /// The pulse of one more loop that the program cannot do without.
    pub fn pulse(&self) -> Pulse {
        let number = self.0.as_ref().map_or(0, |kept| {
            let mut rounds = kept.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            rounds.gone.push(false);
            rounds.gone.len() - 1
        });
        Pulse {
            watchdog: self.clone(),
            number,
        }
    }
}

impl Kept {
    fn new(every: Duration, told: Told) -> Arc<Self> {
        let rounds = Mutex::new(Rounds {
            gone: Vec::new(),
            told: Instant::now(),
        });
        Arc::new(Self {
            every,
            rounds,
            told,
        })
    }

    fn went_round(&self, number: usize) {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gone) = rounds.gone.get_mut(number) {
            *gone = true;
        }
        if rounds.told.elapsed() < self.every || rounds.gone.contains(&false) {
            return;
        }
        rounds.gone.fill(false);
        rounds.told = Instant::now();
        drop(rounds);
        match &self.told {
            Told::Systemd => service::tell(&[NotifyState::Watchdog]),
            // A test that has seen enough.
            Told::Test(test) => test.send(()).unwrap_or_default(),
        }
    }
}

/// Says that one loop goes round. Whoever has it says so at each turn, and has `due` among what it
/// waits for.
#[derive(Debug)]
pub struct Pulse {
    watchdog: Watchdog,
    number: usize,
}

impl Pulse {
    /// The loop goes round.
    pub fn beat(&self) {
        if let Some(kept) = &self.watchdog.0 {
            kept.went_round(self.number);
        }
    }

    /// Waits until the loop should go round, even if it has nothing to do; for ever, where nobody
    /// wants to know.
    pub async fn due(&self) {
        match &self.watchdog.0 {
            Some(kept) => tokio::time::sleep(kept.every).await,
            None => std::future::pending().await,
        }
    }

    /// Waits for something in the middle of a turn that ends by itself, such as an attempt with a
    /// limit: meanwhile the loop counts as going round. Not for the work itself.
    pub async fn waiting<T>(&self, wait: impl Future<Output = T>) -> T {
        tokio::pin!(wait);
        loop {
            self.beat();
            tokio::select! {
                done = &mut wait => return done,
                () = self.due() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(15);

    async fn turn(pulse: &Pulse) {
        pulse.due().await;
        pulse.beat();
    }

    #[tokio::test(start_paused = true)]
    async fn tells_while_every_loop_goes_round() {
        let (watchdog, mut told) = Watchdog::of_test(EVERY);
        let (one, other) = (watchdog.pulse(), watchdog.pulse());
        for _ in 0..3 {
            turn(&one).await;
            assert!(told.try_recv().is_err(), "the other has not gone round");
            other.beat();
            assert!(told.try_recv().is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_stuck_loop_is_not_covered_by_the_others() {
        let (watchdog, mut told) = Watchdog::of_test(EVERY);
        let (one, stuck) = (watchdog.pulse(), watchdog.pulse());
        stuck.beat();
        turn(&one).await;
        assert!(told.try_recv().is_ok());
        for _ in 0..10 {
            turn(&one).await;
        }
        assert!(told.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_loop_does_not_tell_at_every_turn() {
        let (watchdog, mut told) = Watchdog::of_test(EVERY);
        let pulse = watchdog.pulse();
        turn(&pulse).await;
        assert!(told.try_recv().is_ok());
        for _ in 0..1000 {
            pulse.beat();
        }
        assert!(told.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_ends_by_itself_counts() {
        let (watchdog, mut told) = Watchdog::of_test(EVERY);
        let pulse = watchdog.pulse();
        pulse.waiting(tokio::time::sleep(EVERY * 4)).await;
        for _ in 0..3 {
            assert!(told.try_recv().is_ok());
        }
    }
}
