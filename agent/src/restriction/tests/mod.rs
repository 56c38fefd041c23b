//! The room as it runs, with a stand-in for the enforcer.

use std::collections::VecDeque;
use std::path::Path;
use std::thread;

use said::{Change, Request};
use watchward_daemon::tasks::{Running, tasks};
use watchward_protocol::access::{
    AccessEvent, Action, Outcome, Peer, Service, Trust, Tunnel, User,
};
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::record::Report;
use watchward_protocol::restriction::{
    Ban, Bans, Gates, Lift, News, Phase, Restriction, Veto, bucket,
};

use super::*;
use crate::spool;
use crate::uplink::{Buckets, redial};

mod own;
mod stand_in;

use stand_in::{StandIn, listens};

/// Longer than anything takes here.
const EVER: Duration = Duration::from_secs(60);

type Held = watchward_protocol::restriction::Holding;

struct Bench {
    folder: tempfile::TempDir,
    asked: mpsc::UnboundedReceiver<Request>,
    entries: mpsc::Receiver<spool::Entry>,
    told: VecDeque<Restriction>,
    found: mpsc::UnboundedReceiver<Finding>,
    witness: Witness,
    gates: watch::Sender<Option<Arc<Gates>>>,
    bans: watch::Sender<Buckets>,
    running: Running,
}

/// An enforcer that listens there from now on.
fn comes(socket: &Path, asked: mpsc::UnboundedSender<Request>, change: fn(&mut StandIn)) {
    let socket = listens(socket);
    let mut enforcer = StandIn::new(asked);
    change(&mut enforcer);
    thread::spawn(move || enforcer.serve(&socket));
}

impl Bench {
    /// A room, and an enforcer if there is to be one.
    fn start(change: Option<fn(&mut StandIn)>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), change)
    }

    /// The same, where there may be something from before.
    fn start_in(folder: tempfile::TempDir, change: Option<fn(&mut StandIn)>) -> Self {
        let socket = folder.path().join("socket");
        let _of_before = std::fs::remove_file(&socket);
        let (sender, asked) = mpsc::unbounded_channel();
        if let Some(change) = change {
            comes(&socket, sender, change);
        }
        let config = Config {
            socket,
            ..Config::default()
        };
        let gatekeeper = Gatekeeper::new(Live::fixed(config), folder.path()).unwrap();
        let witness = gatekeeper.witness();
        let (gates, ordered_gates) = watch::channel(None);
        let (bans, ordered_bans) = watch::channel(Buckets::new());
        let ordered = Ordered {
            checks: watch::channel(Vec::new()).1,
            gates: ordered_gates,
            bans: ordered_bans,
            probes: watch::channel(None).1,
            instruments: watch::channel(None).1,
            identities: watch::channel(None).1,
            host_keys: watch::channel(None).1,
        };
        let (keeper, entries) = Keeper::new();
        let (findings, found) = mpsc::unbounded_channel();
        let (redial, _wishes) = redial();
        let (tasks, running) = tasks();
        let run = gatekeeper.run(ordered, redial, (keeper, findings), tasks.stop());
        tasks.start("restriction", run);
        Self {
            folder,
            asked,
            entries,
            told: VecDeque::new(),
            found,
            witness,
            gates,
            bans,
            running,
        }
    }

    /// The next thing that is told and that this is for.
    async fn told<T>(&mut self, mut wanted: impl FnMut(News) -> Option<T>) -> T {
        loop {
            while let Some(told) = self.told.pop_front() {
                if let Some(found) = wanted(told.news) {
                    return found;
                }
            }
            let entry = tokio::time::timeout(EVER, self.entries.recv()).await;
            for report in entry.unwrap().unwrap().reports {
                let Report::Restriction(told) = report else {
                    panic!("{report:?}")
                };
                self.told.push_back(told);
            }
        }
    }

    async fn holding(&mut self, wanted: impl Fn(&Held) -> bool) -> Held {
        let news = |news| match news {
            News::Holding(holding) => wanted(&holding).then_some(holding),
            News::Banned(_)
            | News::Drift(_)
            | News::Listening(_)
            | News::Probed(_)
            | News::Sshd(_) => None,
        };
        self.told(news).await
    }

    async fn banned(&mut self) -> Banned {
        let news = |news| match news {
            News::Banned(banned) => Some(banned),
            News::Holding(_)
            | News::Drift(_)
            | News::Listening(_)
            | News::Probed(_)
            | News::Sshd(_) => None,
        };
        self.told(news).await
    }

    /// What the enforcer is asked next, of what this is for.
    async fn asked<T>(&mut self, wanted: impl Fn(Request) -> Option<T>) -> T {
        loop {
            let request = tokio::time::timeout(EVER, self.asked.recv()).await;
            if let Some(found) = wanted(request.unwrap().unwrap()) {
                return found;
            }
        }
    }

    fn order(&self, of: &str, banned: bool, lifted: Option<Timestamp>) {
        let net: IpNet = of.parse().unwrap();
        let until = clock::now() + Duration::from_secs(900);
        let bans = Bans {
            bucket: bucket(&net),
            bans: banned.then_some(Ban { net, until }).into_iter().collect(),
            lifted: lifted.map(|at| Lift { net, at }).into_iter().collect(),
        };
        self.bans.send_modify(|all| {
            all.insert(bans.bucket, Arc::new(bans));
        });
    }

    /// What it leaves behind.
    async fn stop(self) -> tempfile::TempDir {
        self.running.drain(EVER).await;
        self.folder
    }
}

fn event(outcome: Outcome, method: &str) -> Report {
    event_of([192, 0, 2, 7].into(), outcome, method)
}

fn event_of(address: IpAddr, outcome: Outcome, method: &str) -> Report {
    Report::Access(AccessEvent {
        at: clock::now(),
        service: Service::Sshd,
        action: Action::Authentication,
        outcome,
        attempt: true,
        form: "failed".to_owned(),
        user: Some(User {
            name: "root".into(),
            known: true,
        }),
        target: None,
        peer: Some(Peer {
            address,
            port: None,
        }),
        tunnel: Tunnel::default(),
        method: Some(method.to_owned()),
        key: None,
        certificate: None,
        command: None,
        pid: Some(7),
        trust: Trust::Server,
        line: "Failed password".into(),
    })
}

fn bans(request: Request) -> Option<Vec<IpNet>> {
    let Request::Ban(bans) = request else {
        return None;
    };
    Some(bans.iter().map(|ban| ban.net).collect())
}

fn unbans(request: Request) -> Option<Vec<IpNet>> {
    let Request::Unban(nets) = request else {
        return None;
    };
    Some(nets)
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const ATTACKER: &str = "192.0.2.7/32";

fn failures() -> Vec<Report> {
    vec![event(Outcome::Failure, "password"); 5]
}

#[tokio::test]
async fn where_somebody_came_in_by_key_is_vouched_for_once() {
    let mut bench = Bench::start(Some(|_| {}));
    let login = event(Outcome::Success, "publickey");
    bench.witness.see(&[login.clone(), login]);
    bench.witness.see(&failures());
    let vouch = |request| {
        if let Request::Vouch { address, seconds } = request {
            return Some((address.to_string(), seconds));
        }
        bans(request).map(|nets| (nets[0].to_string(), 0))
    };
    let asked = [bench.asked(vouch).await, bench.asked(vouch).await];
    let vouched = asked.iter().find(|(_, seconds)| *seconds > 0).unwrap();
    assert_eq!(vouched.0, "192.0.2.7");
    assert!((14_000..=14_400).contains(&vouched.1), "{vouched:?}");
    assert!(asked.iter().any(|(net, _)| net == ATTACKER));
    bench.stop().await;
}

#[tokio::test]
async fn who_came_in_by_key_is_vouched_for_with_the_enforcer_that_comes_later() {
    let mut bench = Bench::start(None);
    bench.holding(|held| held.enforcer.is_none()).await;
    let mut login = event(Outcome::Success, "publickey");
    let Report::Access(event) = &mut login else {
        panic!("{login:?}")
    };
    event.at = clock::now() - Duration::from_secs(3600);
    bench.witness.see(&[login]);
    let (sender, asked) = mpsc::unbounded_channel();
    bench.asked = asked;
    comes(&bench.folder.path().join("socket"), sender, |_| {});
    let vouch = |request| {
        let Request::Vouch { seconds, .. } = request else {
            return None;
        };
        Some(seconds)
    };
    let seconds = bench.asked(vouch).await;
    assert!((10_700..=10_800).contains(&seconds), "{seconds}");
    bench.stop().await;
}

#[tokio::test]
async fn what_the_enforcer_refused_to_vouch_for_is_said_again() {
    let mut bench = Bench::start(Some(|enforcer| enforcer.refuses = 1));
    let vouch = |request| matches!(request, Request::Vouch { .. }).then_some(());
    for _ in 0..2 {
        bench.witness.see(&[event(Outcome::Success, "publickey")]);
        bench.asked(vouch).await;
    }
    bench.stop().await;
}

#[tokio::test]
async fn an_enforcer_that_comes_is_told_what_should_hold_and_keeps_what_nobody_spoke_of() {
    let old = ["198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32"];
    let held = |enforcer: &mut StandIn| {
        let old = ["198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32"];
        enforcer.bans.extend(nets(&old));
    };
    let mut bench = Bench::start(Some(held));
    let told = bench.holding(|held| held.enforcer.is_some()).await;
    assert_eq!(told.enforcer.as_deref(), Some("1.2.3"));
    assert_eq!(told.bans, 3);
    bench.order(old[1], false, None);
    assert_eq!(bench.asked(unbans).await, nets(&[old[1]]));
    bench.stop().await;
}

#[tokio::test]
async fn without_an_enforcer_nothing_breaks_and_it_is_said() {
    let mut bench = Bench::start(None);
    let finding = tokio::time::timeout(EVER, bench.found.recv()).await;
    assert_eq!(finding.unwrap().unwrap().state, FindingState::Absent);
    let held = bench.holding(|_| true).await;
    assert_eq!((held.enforcer, held.phase), (None, Phase::Open));
    assert!(!bench.witness.is_eager());
    bench.witness.see(&failures());
    bench.order(ATTACKER, true, None);
    bench.stop().await;
}

#[tokio::test]
async fn gates_are_tried_and_not_confirmed_while_the_collector_is_not_reached_anew() {
    let mut bench = Bench::start(Some(|_| {}));
    bench.gates.send_replace(Some(Arc::new(Gates {
        generation: 3,
        put_back: true,
        gates: Vec::new(),
    })));
    let tried = |request| {
        let Request::Try { gates, seconds } = request else {
            return None;
        };
        Some((gates.generation, seconds))
    };
    assert_eq!(bench.asked(tried).await, (3, 60));
    let held = bench.holding(|held| held.phase == Phase::Trial).await;
    assert_eq!(held.generation, 3);
    bench.stop().await;
}

#[tokio::test]
async fn what_a_third_hand_changes_is_told() {
    let meddled = |enforcer: &mut StandIn| {
        enforcer.unasked = vec![Change::Meddled {
            what: "a rule has gone".to_owned(),
            put_back: true,
        }];
    };
    let mut bench = Bench::start(Some(meddled));
    let drift = |news| match news {
        News::Drift(drift) => Some(drift),
        News::Banned(_)
        | News::Holding(_)
        | News::Listening(_)
        | News::Probed(_)
        | News::Sshd(_) => None,
    };
    let drift = bench.told(drift).await;
    assert_eq!(
        (drift.what.as_str(), drift.put_back),
        ("a rule has gone", true)
    );
    bench.stop().await;
}
