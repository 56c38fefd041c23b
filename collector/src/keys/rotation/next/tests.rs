//! A world of hosts that fall silent, forget, and crash: whatever happens in whatever order, there is a
//! way in, and a rotation ends.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const HOSTS: [&str; 4] = ["a", "b", "c", "d"];

fn machine(missed: &str) -> Machine {
    toml::from_str(&format!(
        "name = \"backup\"\nclient = \"db\"\nuser = \"backup\"\ngroups = [\"all\"]\n\
         accounts = [\"store\"]\nevery = \"30d\"\noverlap = \"1h\"\nshadow = \"1d\"\n\
         deadline = \"7d\"\nmissed = \"{missed}\"\n"
    ))
    .unwrap()
}

/// What really is, beside what is kept.
#[derive(Clone, Debug)]
struct World {
    now: Timestamp,
    machine: Machine,
    kept: Rotation,
    /// The private halves that exist, and which is used.
    private: Vec<u32>,
    using: u32,
    client_is_silent: bool,
    hosts: Vec<Server>,
    /// What became of it: keys that were revoked, with who was proven and heard then.
    wrong: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Server {
    is_silent: bool,
    /// The keys that it was ordered to take, and those that it takes.
    ordered: Vec<u32>,
    takes: Vec<u32>,
    proven: Vec<u32>,
    refused: Vec<u32>,
    added: Option<u32>,
    other_way: bool,
    /// Whether the next try there comes to nothing; whether the last did.
    misses: bool,
    missed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Something is done as it is next; `false`: a crash before it is kept.
    Turn(bool),
    Host(usize, bool),
    Client(bool),
    Misses(usize),
    /// A host does what it was ordered.
    Obey(usize),
    ClientObeys,
    Later(u32),
    Lose,
    Wish,
}

fn wire(serial: u32) -> Vec<u8> {
    serial.to_be_bytes().to_vec()
}

impl World {
    fn new(missed: &str, other_way: bool) -> Self {
        let machine = machine(missed);
        let server = Server {
            other_way,
            ..Server::default()
        };
        Self {
            now: NOON,
            kept: Rotation::new(&machine, NOON),
            machine,
            private: Vec::new(),
            using: 0,
            client_is_silent: false,
            hosts: vec![server; HOSTS.len()],
            wrong: Vec::new(),
        }
    }

    fn observed(&self) -> Observed {
        let old = self.kept.old.as_ref().map_or(0, |it| it.serial);
        let new = self.kept.new.as_ref().map_or(0, |it| it.serial);
        let places = self.hosts.iter().zip(HOSTS).map(|(it, host)| Place {
            at: At {
                host: host.to_owned(),
                account: "store".to_owned(),
            },
            is_silent: it.is_silent,
            added: it.added == Some(new),
            holds: it.ordered == it.takes,
            proven: it.proven.contains(&new),
            refuses: it.refused.contains(&old),
            alone: !it.other_way && !it.takes.contains(&new),
            trouble: it.missed.then(|| "the client is not connected".to_owned()),
        });
        Observed {
            client: Client {
                exists: true,
                is_silent: self.client_is_silent,
                keys: Some(self.private.iter().map(|it| (*it, wire(*it))).collect()),
                using: self.using,
                trouble: None,
            },
            places: places.collect(),
            hindrance: None,
        }
    }

    fn step(&self) -> Step {
        next(&self.kept, (&self.machine, &self.observed()), self.now)
    }

    fn turn(&mut self, is_kept: bool) {
        let step = self.step();
        if matches!(step, Step::Revoke) {
            self.judge_revocation();
        }
        let old = self.kept.old.as_ref().map_or(0, |it| it.serial);
        let new = self.kept.new.as_ref().map_or(0, |it| it.serial);
        if let Step::Prove(tries) = &step {
            for host in self.tried(tries) {
                let it = &mut self.hosts[host];
                if it.takes.contains(&new) && self.private.contains(&new) {
                    it.proven.push(new);
                }
            }
        }
        if let Step::Refuse(tries) = &step {
            for host in self.tried(tries) {
                let it = &mut self.hosts[host];
                if !it.takes.contains(&old) {
                    it.refused.push(old);
                }
            }
        }
        if !is_kept {
            return;
        }
        if let Step::Add(hosts) = &step {
            for (it, host) in self.hosts.iter_mut().zip(HOSTS) {
                if hosts.iter().any(|one| one == host) {
                    it.added = Some(new);
                }
            }
        }
        self.kept = self.kept.clone().after(&step, self.now);
        self.order();
    }

    fn tried(&mut self, tries: &[At]) -> Vec<usize> {
        let at = |at: &At| HOSTS.iter().position(|host| *host == at.host);
        let all = tries.iter().filter_map(at);
        let mut all: Vec<_> = all.filter(|it| !self.hosts[*it].is_silent).collect();
        all.retain(|host| {
            let it = &mut self.hosts[*host];
            it.missed = std::mem::take(&mut it.misses);
            !it.missed
        });
        all
    }

    fn order(&mut self) {
        let old = self.kept.old.as_ref().filter(|_| !self.kept.revoked);
        let old = old.map(|it| it.serial);
        let new = self.kept.new.as_ref().filter(|it| !it.wire.is_empty());
        let everywhere = !matches!(self.kept.phase, Phase::Making | Phase::Adding);
        for it in &mut self.hosts {
            let new = new.filter(|key| everywhere || it.added == Some(key.serial));
            it.ordered = old.into_iter().chain(new.map(|key| key.serial)).collect();
        }
    }

    /// The old key goes only where the new one is proven.
    fn judge_revocation(&mut self) {
        let new = self.kept.new.as_ref().map_or(0, |it| it.serial);
        for it in self.hosts.iter().filter(|it| !it.is_silent) {
            if !it.proven.contains(&new) {
                self.wrong
                    .push(format!("revoked before it is proven: {it:?}"));
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Turn(is_kept) => self.turn(is_kept),
            Event::Host(host, is_silent) => self.hosts[host].is_silent = is_silent,
            Event::Client(is_silent) => self.client_is_silent = is_silent,
            Event::Misses(host) => self.hosts[host].misses = true,
            Event::Obey(host) if !self.hosts[host].is_silent => {
                self.hosts[host].takes = self.hosts[host].ordered.clone();
            }
            Event::ClientObeys if !self.client_is_silent => {
                let serials = self.kept.serials();
                self.private = serials.clone();
                if serials.contains(&self.kept.using()) {
                    self.using = self.kept.using();
                }
            }
            Event::Obey(_) | Event::ClientObeys => {}
            Event::Later(minutes) => {
                self.now = self.now + Duration::from_secs(u64::from(minutes) * 60);
            }
            Event::Lose => self.private.clear(),
            Event::Wish => self.kept.wished_by = Some("ada".to_owned()),
        }
    }

    /// Everything works, and time goes on.
    fn settle(&mut self) {
        for host in 0..self.hosts.len() {
            self.happens(Event::Host(host, false));
        }
        self.happens(Event::Client(false));
        for _ in 0..400 {
            self.turn(true);
            (0..self.hosts.len()).for_each(|host| self.happens(Event::Obey(host)));
            self.happens(Event::ClientObeys);
            self.happens(Event::Later(20));
            let is_over = self.kept.phase == Phase::Idle && self.kept.old.is_some();
            if is_over && self.kept.wished_by.is_none() && !self.kept.revoked {
                break;
            }
        }
    }

    /// Whether what the client uses opens every host that is heard and does what it is told.
    fn is_shut_out(&self) -> Option<usize> {
        (0..self.hosts.len()).find(|host| {
            let it = &self.hosts[*host];
            let current = !it.is_silent && it.takes == it.ordered;
            let uses = self.private.contains(&self.using);
            current && uses && !it.takes.contains(&self.using)
        })
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any::<bool>().prop_map(Event::Turn),
        6 => Just(Event::Turn(true)),
        1 => (0..HOSTS.len(), any::<bool>()).prop_map(|(host, is)| Event::Host(host, is)),
        1 => any::<bool>().prop_map(Event::Client),
        1 => (0..HOSTS.len()).prop_map(Event::Misses),
        5 => (0..HOSTS.len()).prop_map(Event::Obey),
        4 => Just(Event::ClientObeys),
        2 => (1_u32..600).prop_map(Event::Later),
        1 => Just(Event::Wish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn there_is_a_way_in_at_every_moment_and_it_ends(
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut world = World::new("page", false);
        world.settle();
        prop_assert_eq!(world.kept.phase, Phase::Idle);
        world.happens(Event::Wish);
        for event in &events {
            let before = world.kept.clone();
            world.happens(*event);
            prop_assert_eq!(world.is_shut_out(), None, "{:?} {:?}", event, &world);
            let forward = world.kept.phase >= before.phase || before.phase == Phase::Destroying;
            prop_assert!(forward, "{:?} to {:?}", before.phase, world.kept.phase);
        }
        let wishes = world.kept.wished_by.is_some() || world.kept.phase != Phase::Idle;
        world.settle();
        prop_assert_eq!(world.kept.phase, Phase::Idle, "{:?} {:?}", world.step(), &world);
        prop_assert!(world.wrong.is_empty(), "{:?}", &world.wrong);
        prop_assert!(!wishes || world.kept.last >= 2, "it never rotated");
        let serial = world.kept.old.as_ref().unwrap().serial;
        prop_assert_eq!((&world.private[..], world.using), (&[serial][..], serial));
        for it in &world.hosts {
            prop_assert_eq!(&it.takes, &[serial], "old keys open nothing");
        }
    }

    #[test]
    fn a_client_that_loses_its_keys_gets_others(
        events in prop::collection::vec(prop_oneof![20 => event(), 1 => Just(Event::Lose)], 0..150),
    ) {
        let mut world = World::new("page", false);
        events.iter().for_each(|event| world.happens(*event));
        world.happens(Event::Wish);
        world.settle();
        prop_assert_eq!(world.kept.phase, Phase::Idle, "{:?} {:?}", world.step(), &world);
        let serial = world.kept.old.as_ref().unwrap().serial;
        prop_assert_eq!((&world.private[..], world.using), (&[serial][..], serial));
    }

    #[test]
    fn a_step_that_is_made_again_changes_nothing(
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut world = World::new("page", false);
        for event in events {
            world.happens(event);
            let step = world.step();
            let once = world.kept.clone().after(&step, world.now);
            if !matches!(step, Step::Begin | Step::Remake | Step::Seal) {
                prop_assert_eq!(once.clone().after(&step, world.now), once);
            }
        }
    }

    #[test]
    fn at_the_deadline_a_key_is_revoked_unless_it_is_the_only_way_in(
        other_way: bool, silent in 0..=HOSTS.len(),
    ) {
        let mut world = World::new("revoke", other_way);
        world.settle();
        (0..silent).for_each(|host| world.happens(Event::Host(host, true)));
        world.happens(Event::Client(true));
        world.happens(Event::Later(36 * 24 * 60));
        prop_assert!(!matches!(world.step(), Step::Expire), "before the deadline");
        world.happens(Event::Later(2 * 24 * 60));
        prop_assert_eq!(matches!(world.step(), Step::Expire), other_way);
        world.turn(true);
        prop_assert_eq!(world.kept.revoked, other_way);
        world.settle();
        prop_assert_eq!((world.kept.phase, world.kept.last), (Phase::Idle, 2), "and it ends");
    }
}

#[test]
fn the_canary_is_first_and_a_silent_host_holds_nothing_up_beyond_the_overlap() {
    let mut world = World::new("page", false);
    world.settle();
    world.happens(Event::Host(3, true));
    world.happens(Event::Wish);
    world.turn(true);
    world.happens(Event::ClientObeys);
    world.turn(true);
    assert_eq!(world.kept.phase, Phase::Adding);
    let add = |hosts: &[&str]| Step::Add(hosts.iter().map(|it| (*it).to_owned()).collect());
    for (wave, hosts) in [(&["a"][..], &[0][..]), (&["b"], &[1]), (&["c"], &[2])] {
        assert_eq!(world.step(), add(wave));
        world.turn(true);
        let waits = matches!(world.step(), Step::Wait(_));
        assert!(waits, "it does not hold it yet");
        hosts.iter().for_each(|it| world.happens(Event::Obey(*it)));
        assert!(matches!(world.step(), Step::Prove(_)));
        world.turn(true);
    }
    let Step::Wait(pending) = world.step() else {
        panic!("{:?}", world.step());
    };
    assert_eq!((pending[0].host.as_str(), pending[0].usual), ("d", true));
    world.happens(Event::Later(60));
    assert_eq!(world.step(), Step::Switch);
    world.settle();
    assert_eq!(
        (world.kept.phase, world.hosts[3].takes.len()),
        (Phase::Idle, 1)
    );
}

#[test]
fn a_key_that_nobody_knows_of_here_is_taken_over() {
    let mut world = World::new("page", false);
    (world.private, world.using) = (vec![7], 7);
    assert_eq!(world.step(), Step::Adopt(7, wire(7)));
    world.turn(true);
    assert_eq!((world.kept.last, world.kept.using()), (7, 7));
    assert_eq!(world.kept.serials(), [7], "it is not destroyed");
    assert_eq!(world.step(), Step::Wait(Vec::new()));
}

#[test]
fn a_host_that_is_not_there_and_a_key_of_another_are_told() {
    let world = World::new("page", false);
    let mut seen = world.observed();
    seen.client.exists = false;
    let mut moved = world.kept.clone();
    moved.client = "web".to_owned();
    for (kept, seen, expected) in [
        (&world.kept, seen, "no host of this name"),
        (&moved, world.observed(), "another name"),
    ] {
        let Step::Wait(pending) = next(kept, (&world.machine, &seen), NOON) else {
            panic!();
        };
        let is_it = pending[0].why.contains(expected) && !pending[0].usual;
        assert!(is_it, "{pending:?}");
    }
}
