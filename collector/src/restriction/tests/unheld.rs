//! Gates that are to be shut and are not: people are told until they are, on both databases.

use futures_util::future::BoxFuture;
use watchward_protocol::restriction::{GateHeld, Holding, Mode, Phase};

use super::*;
use crate::restriction::held::Doubts;

/// A collector that looks who holds the gates of this policy.
struct Collector {
    doubts: Doubts,
    policy: Policy,
    inventory: Inventory,
}

impl Collector {
    fn new() -> Self {
        Self {
            doubts: Doubts::default(),
            policy: read(GATED).unwrap().since(at(0)),
            inventory: hosts,
        }
    }

    async fn look(&mut self, store: &Store, seconds: i64) -> bool {
        let parts = (store, self.inventory);
        let look = self.doubts.look(parts, &self.policy, at(seconds));
        look.await.unwrap()
    }
}

fn silent(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    let mut web = watched(1, "web-1");
    web.is_silent = true;
    Box::pin(async { Ok(vec![web]) })
}

fn nobody(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async { Ok(Vec::new()) })
}

/// A host with an enforcer, which is so far with the gates of a policy of then.
fn holding(phase: Phase, since: i64, gates: &[&str]) -> News {
    let gate = |name: &&str| GateHeld {
        name: (*name).to_owned(),
        mode: Mode::Enforce,
        turned_away: 0,
        from: Vec::new(),
    };
    News::Holding(Holding {
        enforcer: Some("1.0".to_owned()),
        phase,
        generation: at(since).as_micros().unsigned_abs(),
        why: String::new(),
        gates: gates.iter().map(gate).collect(),
        ..Holding::default()
    })
}

async fn tell(store: &Store, news: News, seconds: i64) {
    seen::told(store, (1, "web-1"), news, at(seconds)).await;
}

/// Titles, severities, and whether it is over.
async fn told(store: &Store) -> Vec<(String, i64, bool)> {
    let all = incidents(store).await.into_iter();
    all.map(|(_, title, severity, _, over)| (title, severity, over))
        .collect()
}

#[tokio::test]
async fn a_gate_that_nobody_holds_is_critical_until_the_host_holds_it() {
    for store in stores().await {
        let mut collector = Collector::new();
        tell(&store, News::Holding(Holding::default()), 0).await;
        assert!(!collector.look(&store, 1).await);
        assert_eq!(told(&store).await, [], "an enforcer may be starting");
        assert!(collector.look(&store, 70).await);
        let title = "ssh of web-1 not shut: no enforcer runs there".to_owned();
        assert_eq!(told(&store).await, [(title.clone(), 2, false)]);
        let (key, _, _, detail, _) = incidents(&store).await.remove(0);
        assert_eq!(key, format!("restriction.unheld {}", "01".repeat(16)));
        assert!(detail.contains("2027-01-15"), "{detail}");
        assert!(!collector.look(&store, 75).await, "told once");

        tell(&store, holding(Phase::Trial, 0, &["ssh"]), 80).await;
        assert!(!collector.look(&store, 81).await, "a trial is no end of it");
        tell(&store, holding(Phase::Held, 0, &["ssh"]), 82).await;
        assert!(collector.look(&store, 83).await);
        assert_eq!(told(&store).await, [(title, 2, true)]);
        assert!(!collector.look(&store, 84).await);
    }
}

#[tokio::test]
async fn gates_that_are_refused_are_critical_where_no_older_one_holds() {
    for store in stores().await {
        for (phase, short) in [
            (Phase::Refused, "it refused its gates"),
            (
                Phase::Undone,
                "it took its gates back, because nobody confirmed them",
            ),
        ] {
            let mut collector = Collector::new();
            tell(&store, holding(phase, 0, &["ssh"]), 0).await;
            assert!(collector.look(&store, 1).await, "at once");
            let older = format!("web-1: only older gates hold: {short}");
            assert_eq!(told(&store).await.last().unwrap(), &(older, 1, false));
            tell(&store, holding(phase, 0, &[]), 2).await;
            assert!(collector.look(&store, 3).await);
            let open = format!("ssh of web-1 not shut: {short}");
            assert_eq!(told(&store).await.last().unwrap(), &(open, 2, false));

            collector.policy = read(&GATED.replace("enforce", "watch")).unwrap();
            assert!(collector.look(&store, 4).await);
            assert!(
                told(&store).await.last().unwrap().2,
                "nothing is to be shut"
            );
        }
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_told_of_after_a_while() {
    for store in stores().await {
        let mut collector = Collector::new();
        collector.look(&store, 1).await;
        assert_eq!(told(&store).await, []);
        collector.look(&store, 62).await;
        let mute = "ssh of web-1 not shut: its agent says nothing of gates".to_owned();
        assert_eq!(told(&store).await, [(mute.clone(), 2, false)]);

        tell(&store, holding(Phase::Held, 0, &["ssh"]), 70).await;
        collector.look(&store, 71).await;
        collector.policy.since = at(100);
        collector.look(&store, 101).await;
        collector.look(&store, 162).await;
        let older = "web-1: only older gates hold: it has not said that it took its gates";
        assert_eq!(told(&store).await[1], (older.to_owned(), 1, false));

        collector.inventory = silent;
        collector.policy.since = at(200);
        collector.look(&store, 201).await;
        let away = "web-1: only older gates hold: the host is silent";
        assert_eq!(told(&store).await[1], (away.to_owned(), 1, false));
        collector.inventory = nobody;
        assert!(!collector.look(&store, 300).await);
    }
}
