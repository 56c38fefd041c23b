//! A collector that dies between any two steps: everybody is told, and at most one copy more comes
//! of each attempt that nobody can know about.

use super::outside::outside;
use super::*;
use crate::alerting::attempt::Outcome;
use crate::alerting::deliver::Servers;

/// The last thing that happened before the collector died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Raised,
    Written,
    Leased,
    Sent,
    Recorded,
}

/// Lives until `last`, and is gone without a farewell.
async fn live_until(life: &Life, last: Step) {
    if last < Step::Written {
        return;
    }
    let mut outbox = life.outbox().await;
    let servers = Servers::open(&life.config.now());
    wait("nothing becomes due", async || {
        let now = clock::now();
        outbox.prepare(now).await.unwrap();
        if last < Step::Leased {
            return true;
        }
        let mut any = false;
        for channel in Channel::ALL {
            for job in outbox.take(channel, 8, now).await.unwrap() {
                any = true;
                if last < Step::Sent {
                    continue;
                }
                let outcome = servers.attempt(&job).await;
                if last >= Step::Recorded {
                    outbox.record(&job, outcome, now).await.unwrap();
                }
            }
        }
        any || life.is_quiet().await
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_is_stuck_wherever_the_collector_dies() {
    for step in [
        Step::Raised,
        Step::Written,
        Step::Leased,
        Step::Sent,
        Step::Recorded,
    ] {
        for fresh in stores().await {
            let outside = outside();
            let first = Life::begin(&fresh, outside.config.clone()).await;
            first.raise(&brute_force(Severity::Critical)).await;
            live_until(&first, step).await;
            drop(first);
            let second = Life::begin(&fresh, outside.config.clone()).await;
            second.deliver_all().await;
            let which = format!("{step:?} on {:?}", fresh.kind());
            assert_eq!(outside.sms.taken().len(), 1, "SMS, {which}");
            let copies = if step == Step::Sent { 2 } else { 1 };
            assert_eq!(outside.mail.taken().len(), copies, "emails, {which}");
        }
    }
}

#[tokio::test]
async fn twenty_deaths_in_a_row_with_an_end_in_between_lose_nothing() {
    for fresh in stores().await {
        let outside = outside();
        let steps = [Step::Written, Step::Leased, Step::Sent, Step::Recorded];
        for round in 0..20 {
            let life = Life::begin(&fresh, outside.config.clone()).await;
            let mut alert = brute_force(Severity::Critical);
            alert.key = format!("key {}", round / 2);
            if round % 2 == 0 {
                life.raise(&alert).await;
            } else {
                life.resolve(&alert).await;
            }
            live_until(&life, steps[round % 4]).await;
        }
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.deliver_all().await;
        for text in outside.sms.taken() {
            let same = outside
                .sms
                .taken()
                .iter()
                .filter(|one| **one == text)
                .count();
            assert_eq!(same, 1, "twice: {text}");
        }
        let begun = outside
            .sms
            .taken()
            .iter()
            .filter(|one| one.starts_with("CRITICAL"))
            .count();
        let over = outside
            .sms
            .taken()
            .iter()
            .filter(|one| one.starts_with("OVER"))
            .count();
        assert_eq!(
            begun, over,
            "whoever was told that it began was told that it is over"
        );
        let live = life.states().await.into_iter().filter(|(_, _, state)| {
            matches!(state.as_str(), "pending" | "leased" | "unknown" | "failed")
        });
        assert_eq!(live.count(), 0);
    }
}

#[tokio::test]
async fn two_collectors_that_share_a_database_tell_everything_once() {
    for fresh in stores().await {
        if fresh.kind() == crate::store::Kind::Sqlite {
            continue;
        }
        let mut outside = outside();
        outside.config.pace.lease = Span::seconds(60);
        let one = Life::begin(&fresh, outside.config.clone()).await;
        let two = Life::begin(&fresh, outside.config.clone()).await;
        let story = async {
            for number in 0..20 {
                let mut alert = brute_force(Severity::Critical);
                alert.key = format!("key {number}");
                one.raise(&alert).await;
                two.bell.ring();
            }
            one.quiet().await;
        };
        one.deliver(two.deliver(story)).await;
        assert_eq!(
            (outside.mail.taken().len(), outside.sms.taken().len()),
            (20, 20)
        );
    }
}

#[tokio::test]
async fn who_was_taken_over_cannot_write_any_more() {
    for fresh in stores().await {
        let outside = outside();
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Warning)).await;
        let mut slow = life.outbox().await;
        slow.prepare(clock::now()).await.unwrap();
        let job = slow
            .take(Channel::Email, 1, clock::now())
            .await
            .unwrap()
            .remove(0);
        life.deliver_all().await;
        let later = Outcome::Later("the slow one had no luck".to_owned());
        slow.record(&job, later, clock::now()).await.unwrap();
        assert_eq!(life.states().await[0].2, "delivered", "{:?}", fresh.kind());
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_delays_nothing() {
    for fresh in stores().await {
        let outside = outside();
        let life = Life::begin(&fresh, outside.config.clone()).await;
        let wrong = clock::now() + Duration::from_secs(3600);
        life.raise(&brute_force(Severity::Warning)).await;
        let mut outbox = life.outbox().await;
        outbox.prepare(wrong).await.unwrap();
        let job = outbox
            .take(Channel::Email, 1, wrong)
            .await
            .unwrap()
            .remove(0);
        let later = Outcome::Later("the server is down".to_owned());
        outbox.record(&job, later, wrong).await.unwrap();
        life.deliver_all().await;
        assert_eq!(outside.mail.taken().len(), 1);
    }
}
