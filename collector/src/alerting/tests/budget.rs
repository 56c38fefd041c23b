//! However alerts come, who got in is told at once, nobody gets more than their budget and what is
//! said beyond it, everything is counted, and nothing takes from a share that is not its own.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::alerting::budget::{Grant, Held, Page, Purse, Share};
use crate::alerting::kinds;

const LIMIT: u16 = 10;
const WINDOW: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);

const KINDS: [&str; 8] = [
    "access.brute-force",
    "access.login-after-brute-force",
    "restriction.outside",
    "keys.new-trust",
    "keys.unlisted",
    "hosts.silent",
    "health.down",
    "made.up",
];

fn about(id: i64, key: &str, kind: Kind, severity: Severity) -> Message {
    let mut message = message(Channel::Sms, kind, severity);
    message.id = id;
    message.incident.key = key.to_owned();
    message
}

fn share(message: &Message) -> Share {
    Share::of(message.kind, message.severity, &message.incident.key)
}

/// What one person gets as alerts come.
struct Person {
    limit: u16,
    pages: Vec<Page>,
    /// What is held back: the critical, and the rest.
    held: [Vec<(Message, Timestamp, Timestamp)>; 2],
    alone: Vec<Message>,
    counted: usize,
    longest: [Duration; 2],
}

impl Person {
    fn new(limit: u16) -> Self {
        Self {
            limit,
            pages: Vec::new(),
            held: Default::default(),
            alone: Vec::new(),
            counted: 0,
            longest: [Duration::ZERO; 2],
        }
    }

    fn within(&self, now: Timestamp) -> impl Iterator<Item = &Page> {
        let within = move |page: &&Page| page.at > now - WINDOW && page.at <= now;
        self.pages.iter().filter(within)
    }

    fn purse(&self, now: Timestamp) -> Purse {
        Purse::new(self.limit, WINDOW, self.within(now).cloned().collect())
    }

    fn page(&mut self, message: &Message, was_held: bool, now: Timestamp) {
        self.pages.push(Page {
            id: message.id,
            at: now,
            share: share(message),
            key: message.incident.key.clone(),
            kind: message.kind,
            was_held,
        });
    }

    fn hears(&mut self, message: &Message, now: Timestamp) -> Grant {
        let grant = self.purse(now).grant(message, now);
        match grant {
            Grant::Now => {
                self.page(message, false, now);
                self.alone.push(message.clone());
            }
            Grant::Later(_, until) => {
                let part = usize::from(!share(message).is_critical());
                self.held[part].push((message.clone(), now, until));
            }
        }
        grant
    }

    fn waits(&mut self, now: Timestamp) {
        for (part, critical) in [(0, true), (1, false)] {
            let Some((first, since, _)) = self.held[part].first().cloned() else {
                continue;
            };
            let all = self.held[part].iter();
            let held = Held {
                contact: String::new(),
                critical,
                count: 1,
                only_ends: all.clone().all(|(one, ..)| one.kind == Kind::Resolved),
                since,
            };
            if !self.purse(now).may_tell(&held, now) {
                continue;
            }
            for (message, since, until) in std::mem::take(&mut self.held[part]) {
                assert!(
                    now < until + Duration::from_secs(2),
                    "{now} is after {until}"
                );
                self.longest[part] = self.longest[part].max(now.since(since));
                self.counted += 1;
                let _ = message;
            }
            let mut summary = first;
            summary.kind = Kind::Summary;
            if !critical {
                summary.severity = Severity::Warning;
            }
            self.page(&summary, false, now);
        }
    }

    fn critical(&self, of: Share) -> Vec<i64> {
        let mine = self.alone.iter().filter(|message| share(message) == of);
        mine.map(|message| message.id).collect()
    }
}

/// A pause, how severe, of which kind, and whether something ends.
type Event = (u64, usize, usize, bool);

fn event() -> impl Strategy<Value = Event> {
    (0..20_u64, 0..3_usize, 0..KINDS.len(), any::<bool>())
}

fn told(
    limit: u16,
    events: &[Event],
    only: Option<Share>,
    mut judge: impl FnMut(&Person, &Message, Grant, Timestamp),
) -> (Person, usize) {
    let (mut person, mut now, mut all) = (Person::new(limit), NIGHT, 0);
    for (number, (pause, severity, kind, ends)) in (0..).zip(events) {
        for _ in 0..*pause {
            now = now + Duration::from_secs(1);
            person.waits(now);
        }
        let severity = [Severity::Info, Severity::Warning, Severity::Critical][*severity];
        let kind_of = if *ends { Kind::Resolved } else { Kind::Opened };
        let key = format!("{} {number}", KINDS[*kind]);
        let message = about(number, &key, kind_of, severity);
        if only.is_none_or(|only| only == share(&message)) {
            let before = Person {
                pages: person.pages.clone(),
                ..Person::new(limit)
            };
            let grant = person.hears(&message, now);
            judge(&before, &message, grant, now);
            all += 1;
        }
        person.waits(now);
    }
    while person.held.iter().any(|held| !held.is_empty()) {
        now = now + Duration::from_secs(1);
        person.waits(now);
    }
    (person, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_first_of_each_kind_is_sent_at_once(
        limit in 5..40_u16, events in proptest::collection::vec(event(), 0..100),
    ) {
        told(limit, &events, None, |before, message, grant, now| {
            let kind = |key: &str| kinds::kind(key);
            let mut alike = before.within(now).filter(|page| {
                page.share == share(message) && kind(&page.key) == kind(&message.incident.key)
                    && page.kind != Kind::Summary && page.kind != Kind::Resolved
            });
            let is_first = message.kind != Kind::Resolved && alike.next().is_none();
            assert!(!is_first || grant == Grant::Now, "{message:?}");
        });
    }

    #[test]
    fn there_is_an_end_to_it_and_nothing_is_lost(
        limit in 5..40_u16, events in proptest::collection::vec(event(), 0..150),
    ) {
        let (person, all) = told(limit, &events, None, |_, _, _, _| {});
        prop_assert_eq!(person.alone.len() + person.counted, all);
        for page in &person.pages {
            let within: Vec<_> = person.within(page.at).collect();
            let summaries = within.iter().filter(|page| page.kind == Kind::Summary);
            let summaries = summaries.filter(|page| page.share.is_critical()).count();
            prop_assert!(summaries <= 10, "{summaries} critical summaries in ten minutes");
            let kinds: HashSet<_> =
                within.iter().map(|page| (page.share, kinds::kind(&page.key))).collect();
            let most = usize::from(limit) + kinds.len() + summaries;
            prop_assert!(within.len() <= most, "{} of {most}", within.len());
        }
        prop_assert!(person.longest[0] <= MINUTE, "{:?}", person.longest);
        prop_assert!(person.longest[1] <= WINDOW, "{:?}", person.longest);
    }

    #[test]
    fn who_got_in_is_told_as_if_there_were_nothing_else(
        events in proptest::collection::vec(event(), 0..150),
    ) {
        for of in [Share::Security, Share::Critical] {
            let (with_noise, _) = told(LIMIT, &events, None, |_, _, _, _| {});
            let (without, _) = told(LIMIT, &events, Some(of), |_, _, _, _| {});
            prop_assert_eq!(with_noise.critical(of), without.critical(of));
        }
    }

    #[test]
    fn after_a_quiet_window_it_is_as_if_nothing_had_been(
        before in proptest::collection::vec(event(), 0..100),
        after in proptest::collection::vec(event(), 1..30),
    ) {
        let (mut person, _) = told(LIMIT, &before, None, |_, _, _, _| {});
        let mut fresh = Person::new(LIMIT);
        let last = person.pages.iter().map(|page| page.at).max().unwrap_or(NIGHT);
        let mut now = last.max(NIGHT) + WINDOW;
        for (number, (pause, severity, kind, ends)) in (1_000..).zip(&after) {
            now = now + Duration::from_secs(*pause);
            let severity = [Severity::Info, Severity::Warning, Severity::Critical][*severity];
            let kind_of = if *ends { Kind::Resolved } else { Kind::Opened };
            let message = about(number, &format!("{} {number}", KINDS[*kind]), kind_of, severity);
            prop_assert_eq!(person.hears(&message, now), fresh.hears(&message, now));
        }
    }
}

#[test]
fn no_storm_hides_the_login_that_succeeded() {
    let mut person = Person::new(LIMIT);
    let mut number = 0;
    let mut hears = |key: &str, severity| {
        number += 1;
        person.hears(
            &about(number, &format!("{key} {number}"), Kind::Opened, severity),
            NIGHT,
        )
    };
    // A thousand addresses, lines that trust authorities, and everything down: all at once.
    for _ in 0..1_000 {
        hears("access.brute-force", Severity::Critical);
        hears("keys.new-trust", Severity::Critical);
        hears("keys.new", Severity::Critical);
        hears("health.down", Severity::Critical);
        hears("hosts.silent", Severity::Critical);
    }
    assert_eq!(
        hears("access.login-after-brute-force", Severity::Critical),
        Grant::Now
    );
    assert_eq!(hears("restriction.outside", Severity::Critical), Grant::Now);
    let second = hears("access.login-after-brute-force", Severity::Critical);
    let soon = NIGHT + Duration::from_secs(5);
    assert!(
        matches!(second, Grant::Later(_, until) if until == soon),
        "{second:?}"
    );
    assert!(
        person.alone.len() <= usize::from(LIMIT) + 2,
        "{}",
        person.alone.len()
    );
}

#[test]
fn services_that_are_down_leave_who_got_in_its_share() {
    let mut person = Person::new(LIMIT);
    for number in 0..1_000 {
        let key = format!("health.down {number}");
        person.hears(
            &about(number, &key, Kind::Opened, Severity::Critical),
            NIGHT,
        );
    }
    assert_eq!(person.alone.len(), 2);
    for number in 1_000..1_002 {
        let key = format!("restriction.outside {number}");
        let message = about(number, &key, Kind::Opened, Severity::Critical);
        assert_eq!(person.hears(&message, NIGHT), Grant::Now);
    }
}

#[test]
fn thousands_of_networks_of_one_provider_are_one_page() {
    let mut person = Person::new(LIMIT);
    let attack = |number: i64, prefix: &str| {
        let key = format!("access.brute-force {prefix}:{number:x}::/64");
        about(number, &key, Kind::Opened, Severity::Critical)
    };
    for number in 0..2_000 {
        person.hears(&attack(number, "2001:db8:7"), NIGHT);
    }
    assert_eq!(person.alone.len(), 1);
    person.hears(&attack(2_000, "2001:db8:8"), NIGHT);
    assert_eq!(person.alone.len(), 2, "another one's");
}

#[test]
fn what_is_tried_again_takes_no_more_and_an_end_of_a_summary_comes_in_a_summary() {
    let mut purse = Purse::new(LIMIT, WINDOW, Vec::new());
    let one = about(1, "health.down 1", Kind::Opened, Severity::Warning);
    for _ in 0..100 {
        assert_eq!(purse.grant(&one, NIGHT), Grant::Now);
    }
    let two = about(2, "health.down 2", Kind::Opened, Severity::Warning);
    assert_eq!(purse.grant(&two, NIGHT), Grant::Now);
    let mut end = about(3, "health.down 3", Kind::Resolved, Severity::Warning);
    end.folded = true;
    assert!(matches!(
        purse.grant(&end, NIGHT),
        Grant::Later("it began in a summary", _)
    ));
    let summary = about(4, "health.down 4", Kind::Summary, Severity::Warning);
    let later = NIGHT + 2 * WINDOW;
    assert_eq!(
        purse.grant(&summary, later),
        Grant::Now,
        "one that could not be sent before"
    );
}
