//! However alerts come, nobody gets more than their budget, everything is counted, and what is
//! critical never waits for what is not.

use proptest::prelude::*;

use super::*;
use crate::alerting::budget::{Held, Page, Purse, Share};

const LIMIT: u16 = 10;
const WINDOW: Duration = Duration::from_secs(600);

fn about(id: i64, key: &str, kind: Kind, severity: Severity) -> Message {
    let mut message = message(Channel::Sms, kind, severity);
    message.id = id;
    message.incident.key = key.to_owned();
    message
}

/// What one person gets as alerts come.
#[derive(Default)]
struct Person {
    pages: Vec<Page>,
    held: [Vec<Timestamp>; 2],
    alone: usize,
    counted: usize,
    critical_alone: Vec<i64>,
}

impl Person {
    fn purse(&self, now: Timestamp) -> Purse {
        let within = self.pages.iter().filter(|page| page.at > now - WINDOW);
        Purse::new(LIMIT, WINDOW, within.cloned().collect())
    }

    fn page(&mut self, message: &Message, is_summary: bool, now: Timestamp) {
        self.pages.push(Page {
            id: message.id,
            at: now,
            share: Share::of(message.kind, message.severity),
            key: message.incident.key.clone(),
            is_summary,
        });
    }

    fn hears(&mut self, message: &Message, now: Timestamp) {
        if self.purse(now).grant(message, now) {
            self.page(message, false, now);
            self.alone += 1;
            if Share::of(message.kind, message.severity) == Share::Critical {
                self.critical_alone.push(message.id);
            }
        } else {
            self.held[Share::of(message.kind, message.severity) as usize].push(now);
        }
    }

    fn waits(&mut self, now: Timestamp) {
        for share in [Share::Critical, Share::Rest] {
            let waiting = self.held[share as usize].clone();
            let Some(since) = waiting.first().copied() else {
                continue;
            };
            let held = Held {
                contact: String::new(),
                share,
                count: 1,
                only_ends: false,
                since,
            };
            if self.purse(now).may_tell(&held, now) {
                let severity = match share {
                    Share::Critical => Severity::Critical,
                    Share::Rest => Severity::Warning,
                };
                self.page(&about(-1, "x", Kind::Summary, severity), true, now);
                self.counted += self.held[share as usize].len();
                self.held[share as usize].clear();
            }
        }
    }
}

fn alert() -> impl Strategy<Value = (u64, usize, usize, bool)> {
    (0..20_u64, 0..3_usize, 0..5_usize, any::<bool>())
}

fn told(alerts: &[(u64, usize, usize, bool)], only_critical: bool) -> (Person, usize) {
    let (mut person, mut now, mut all) = (Person::default(), NIGHT, 0);
    for (number, (pause, severity, kind, ends)) in (0..).zip(alerts) {
        now = now + Duration::from_secs(*pause);
        let severity = [Severity::Info, Severity::Warning, Severity::Critical][*severity];
        let kind_of = if *ends { Kind::Resolved } else { Kind::Opened };
        let message = about(number, &format!("kind.{kind} {number}"), kind_of, severity);
        let critical = Share::of(kind_of, severity) == Share::Critical;
        if critical || !only_critical {
            person.hears(&message, now);
            all += 1;
        }
        person.waits(now);
    }
    for _ in 0..10 {
        now = now + WINDOW;
        person.waits(now);
    }
    (person, all)
}

proptest! {
    #[test]
    fn never_more_than_the_budget_and_nothing_uncounted(
        alerts in proptest::collection::vec(alert(), 0..400),
    ) {
        let (person, all) = told(&alerts, false);
        for page in &person.pages {
            let within = |other: &&Page| other.at <= page.at && other.at > page.at - WINDOW;
            let count = person.pages.iter().filter(within).count();
            prop_assert!(count <= usize::from(LIMIT), "{count}");
        }
        prop_assert_eq!(person.alone + person.counted, all);
    }

    #[test]
    fn what_is_critical_is_told_as_if_there_were_nothing_else(
        alerts in proptest::collection::vec(alert(), 0..400),
    ) {
        let (with_noise, _) = told(&alerts, false);
        let (without, _) = told(&alerts, true);
        prop_assert_eq!(with_noise.critical_alone, without.critical_alone);
    }
}

#[test]
fn another_kind_of_critical_alert_is_told_at_once_in_the_middle_of_many() {
    let mut person = Person::default();
    for number in 0..1_000 {
        let key = format!("hosts.silent {number}");
        person.hears(
            &about(number, &key, Kind::Opened, Severity::Critical),
            NIGHT,
        );
    }
    assert_eq!(person.alone, 3);
    person.hears(
        &about(1_000, "access.login 1", Kind::Opened, Severity::Critical),
        NIGHT,
    );
    assert_eq!(person.critical_alone.last(), Some(&1_000));
}

#[test]
fn thousands_of_networks_of_one_provider_are_one_page() {
    let mut person = Person::default();
    let attack = |number: i64, prefix: &str| {
        let key = format!("access.brute-force {prefix}:{number:x}::/64");
        about(number, &key, Kind::Opened, Severity::Critical)
    };
    for number in 0..2_000 {
        person.hears(&attack(number, "2001:db8:7"), NIGHT);
    }
    assert_eq!(person.alone, 1);
    person.hears(&attack(2_000, "2001:db8:8"), NIGHT);
    assert_eq!(person.alone, 2, "another one's");
}

#[test]
fn what_is_tried_again_takes_no_more_and_an_end_of_a_summary_comes_in_a_summary() {
    let mut purse = Purse::new(LIMIT, WINDOW, Vec::new());
    let one = about(1, "health.down 1", Kind::Opened, Severity::Warning);
    for _ in 0..100 {
        assert!(purse.grant(&one, NIGHT));
    }
    assert!(purse.grant(
        &about(2, "health.down 2", Kind::Opened, Severity::Warning),
        NIGHT
    ));
    let mut end = about(3, "health.down 3", Kind::Resolved, Severity::Warning);
    end.folded = true;
    assert!(!purse.grant(&end, NIGHT));
}
