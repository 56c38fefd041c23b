//! Which step comes when, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::super::step::{Observed, Seen, Spans, Stand, Step, next};
use watchward_protocol::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);
const SPANS: Spans = Spans {
    every: Duration::from_secs(365 * 86_400),
    overlap: Duration::from_secs(7 * 86_400),
    slack: Duration::from_secs(600),
};

fn at(days: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + days * 86_400_000_000)
}

fn stand(id: i64, made: i64, signs: Option<i64>, until: Option<i64>) -> Stand {
    Stand {
        id,
        made_at: at(made),
        signs_at: signs.map(at),
        counts_until: until.map(at),
    }
}

fn observed(signing: &[&str], next: &[&str], silent: &[&str]) -> Observed {
    let seen = |hosts: &[&str]| {
        let one = |host: &&str| Seen {
            host: (*host).to_owned(),
            holder: b"deploy".to_vec(),
        };
        hosts.iter().map(one).collect()
    };
    let hosts = signing.iter();
    Observed {
        trusting: seen(signing),
        next: seen(next),
        hosts: hosts
            .map(|host| ((*host).to_owned(), silent.contains(host)))
            .collect(),
    }
}

#[test]
fn one_takes_the_place_of_another_by_overlap() {
    let both = ["db", "web"];
    let names = |all: &[&str]| Step::Wait(all.iter().map(|it| (*it).to_owned()).collect());
    let old = || stand(1, 0, Some(0), Some(365));
    let one = || vec![old()];
    let two = |signs| vec![old(), stand(2, 365, signs, None)];
    for (live, seen, now, expected) in [
        (vec![], observed(&[], &[], &[]), 400, Step::Rest),
        (one(), observed(&both, &[], &[]), 364, Step::Rest),
        (one(), observed(&both, &[], &[]), 365, Step::Make),
        (
            two(None),
            observed(&both, &["db"], &[]),
            500,
            names(&["web"]),
        ),
        (
            two(None),
            observed(&both, &["db"], &["web"]),
            366,
            names(&["web"]),
        ),
        (
            two(None),
            observed(&both, &["db"], &["web"]),
            372,
            Step::Sign(2),
        ),
        (two(None), observed(&both, &both, &[]), 365, Step::Sign(2)),
        (two(Some(366)), observed(&both, &[], &[]), 366, Step::Rest),
        (two(Some(366)), observed(&both, &[], &[]), 367, Step::End(1)),
    ] {
        assert_eq!(
            next(&live, &seen, SPANS, at(now)),
            expected,
            "{live:?} {now}"
        );
    }
}

#[test]
fn the_old_one_goes_when_its_last_certificate_is_over_wherever_a_clock_is_behind() {
    let live = [
        stand(1, 0, Some(0), Some(366)),
        stand(2, 365, Some(365), None),
    ];
    let seen = observed(&["web"], &[], &[]);
    for (slack, seconds, expected) in [
        (600, 599, Step::Rest),
        (600, 600, Step::End(1)),
        (1, 0, Step::Rest),
        (1, 1, Step::End(1)),
    ] {
        let slack = Duration::from_secs(slack);
        let now = at(366) + Duration::from_secs(seconds);
        assert_eq!(next(&live, &seen, Spans { slack, ..SPANS }, now), expected);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Days(u8),
    Learns(u8),
    Silent(u8),
    Heard(u8),
    Login,
    Asked,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1_u8..60).prop_map(Event::Days),
        (0_u8..4).prop_map(Event::Learns),
        (0_u8..4).prop_map(Event::Silent),
        (0_u8..4).prop_map(Event::Heard),
        Just(Event::Login),
        Just(Event::Asked),
    ]
}

/// Hosts, each with the authorities that it trusts and whether it is silent.
struct World {
    live: Vec<Stand>,
    hosts: BTreeMap<String, (BTreeSet<i64>, bool)>,
    ended: Vec<i64>,
    made: i64,
    now: Timestamp,
    spans: Spans,
}

impl World {
    fn new() -> Self {
        let host = |n: u8| (n.to_string(), (BTreeSet::from([1]), false));
        Self {
            live: vec![stand(1, 0, Some(0), None)],
            hosts: (0..4).map(host).collect(),
            ended: Vec::new(),
            made: 1,
            now: at(0),
            spans: SPANS,
        }
    }

    fn signing(&self) -> i64 {
        let signs = self.live.iter().filter(|one| one.signs_at.is_some());
        signs.max_by_key(|one| (one.signs_at, one.id)).unwrap().id
    }

    fn observed(&self) -> Observed {
        let next = self.live.iter().find(|one| one.signs_at.is_none());
        let next = next.map_or(0, |one| one.id);
        let trusting = |is: &dyn Fn(i64) -> bool| {
            let hosts = self.hosts.iter();
            let hosts = hosts.filter(|(_, (held, _))| held.iter().any(|id| is(*id)));
            let seen = hosts.map(|(host, _)| Seen {
                host: host.clone(),
                holder: Vec::new(),
            });
            seen.collect()
        };
        Observed {
            trusting: trusting(&|id| id != next),
            next: trusting(&|id| id == next),
            hosts: self
                .hosts
                .iter()
                .map(|(host, (_, silent))| (host.clone(), *silent))
                .collect(),
        }
    }

    fn make(&mut self) {
        self.made += 1;
        self.live.push(Stand {
            id: self.made,
            made_at: self.now,
            signs_at: None,
            counts_until: None,
        });
    }

    fn happen(&mut self, event: &Event) {
        let ordered: BTreeSet<_> = self.live.iter().map(|one| one.id).collect();
        match event {
            Event::Days(days) => self.now = self.now + DAY * u32::from(*days),
            Event::Learns(host) => {
                let (held, silent) = self.hosts.get_mut(&host.to_string()).unwrap();
                if !*silent {
                    *held = ordered;
                }
            }
            Event::Silent(host) => self.hosts.get_mut(&host.to_string()).unwrap().1 = true,
            Event::Heard(host) => self.hosts.get_mut(&host.to_string()).unwrap().1 = false,
            Event::Login => {
                let (id, until) = (self.signing(), self.now + DAY);
                let signing = self.live.iter_mut().find(|one| one.id == id).unwrap();
                signing.counts_until = signing.counts_until.max(Some(until));
            }
            Event::Asked if self.live.iter().all(|one| one.signs_at.is_some()) => self.make(),
            Event::Asked => {}
        }
    }

    fn step(&mut self) {
        let step = next(&self.live, &self.observed(), self.spans, self.now);
        match step {
            Step::Rest | Step::Wait(_) => {}
            Step::Make => self.make(),
            Step::Sign(id) => {
                let held = self.hosts.values().filter(|(_, silent)| !silent);
                let trusts = |(held, _): &(BTreeSet<i64>, bool)| held.contains(&id);
                assert!(held.clone().all(trusts), "a host that is heard lacks {id}");
                let one = self.live.iter_mut().find(|one| one.id == id).unwrap();
                one.signs_at = Some(self.now);
            }
            Step::End(id) => {
                assert_ne!(id, self.signing(), "the one that signs is never taken away");
                let one = self.live.iter().find(|one| one.id == id).unwrap();
                let counts = one.counts_until.is_some_and(|until| until > self.now);
                assert!(!counts, "its certificates still count");
                self.live.retain(|one| one.id != id);
                self.ended.push(id);
            }
        }
    }
}

proptest! {
    /// Whatever happens: none signs that a host lacks which is heard, none is taken away whose
    /// certificates count, and there is always one that signs.
    #[test]
    fn no_certificate_that_counts_is_refused(events in prop::collection::vec(event(), 0..120)) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
            world.step();
            prop_assert!(world.live.len() <= 4, "{:?}", world.live);
        }
        // And once all hosts are heard and time passes, one is left.
        world.spans.every = DAY * 100_000;
        for n in 0..4 {
            world.happen(&Event::Heard(n));
        }
        for _ in 0..8 {
            world.step();
            (0..4).for_each(|n| world.happen(&Event::Learns(n)));
            world.now = world.now + DAY * 2;
        }
        prop_assert_eq!(world.live.len(), 1);
    }
}
