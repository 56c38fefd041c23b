//! What is told of what hosts hold, on both databases.

use std::time::Duration;

use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::restriction::{
    GateHeld, Mode, Phase, Probe, Reached, Transport, Veto, Vetoed,
};

use super::*;
use crate::restriction::{BANS, HELD, Policy, SCHEMA, activate, hear};
use crate::store::Store;
use crate::store::testing::{self, Fresh};

async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, BANS, HELD, alerting::SCHEMA]).await
}

/// So many seconds after the tests' beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

async fn tell(store: &Store, news: News, now: Timestamp) {
    let heard = Heard {
        host: Host {
            id: HostId::from_bytes([1; 16]),
            name: "web-1".to_owned(),
        },
        lane: Lane::Access,
        epoch: Epoch(7),
        seq: 1,
        kept_at: now,
        boot: [9; 16],
        report: Restriction { at: now, news },
    };
    let mut tx = store.begin().await.unwrap();
    let rules = (&Policy::default(), &Config::default());
    hear(&mut tx, &[heard], rules, now).await.unwrap();
    tx.commit().await.unwrap();
}

fn whole() -> Holding {
    Holding {
        enforcer: Some("1.0".to_owned()),
        phase: Phase::Held,
        addresses: vec!["198.51.100.7".parse().unwrap()],
        generation: 7,
        why: String::new(),
        trouble: String::new(),
        gates: vec![GateHeld {
            name: "ssh".to_owned(),
            mode: Mode::Enforce,
            turned_away: 12,
            from: vec!["203.0.113.7".parse().unwrap()],
        }],
        bans: 3,
        vetoed: vec![Vetoed {
            net: "192.0.2.1/32".parse().unwrap(),
            why: Veto::Gateway,
        }],
    }
}

#[tokio::test]
async fn a_guard_file_that_cannot_be_used_is_told_until_it_can() {
    for store in stores().await {
        let told = "/etc/watchward/guard.toml: line 3, column 1: unknown field `nevr`";
        let broken = Holding {
            phase: Phase::Refused,
            why: told.to_owned(),
            trouble: told.to_owned(),
            ..whole()
        };
        tell(&store, News::Holding(broken), at(0)).await;
        let title = "web-1 shuts nobody new out".to_owned();
        assert_eq!(incidents(&store).await, [(title.clone(), 1, true)]);
        let details: Vec<String> = sqlx::query_scalar("SELECT detail FROM alerting_incident")
            .fetch_all(store.read())
            .await
            .unwrap();
        assert!(details[0].contains(told), "{details:?}");
        tell(&store, News::Holding(whole()), at(1)).await;
        assert_eq!(incidents(&store).await, [(title, 1, false)]);
    }
}

fn listener(transport: Transport, address: &str, port: u16) -> Listener {
    Listener {
        transport,
        address: address.parse().unwrap(),
        port,
        program: Some("nginx".to_owned()),
    }
}

/// Incidents: title, severity, and whether they are open.
async fn incidents(store: &Store) -> Vec<(String, i64, bool)> {
    let all: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT title, severity, CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END \
         FROM alerting_incident ORDER BY id",
    )
    .fetch_all(store.read())
    .await
    .unwrap();
    all.into_iter()
        .map(|(title, severity, open)| (title, severity, open == 1))
        .collect()
}

#[tokio::test]
async fn the_last_word_of_a_host_is_kept_with_what_it_vetoes() {
    for store in stores().await {
        tell(&store, News::Holding(Holding::default()), at(0)).await;
        tell(&store, News::Holding(whole()), at(1)).await;
        let held = held::find(&store, "web-1").await.unwrap().unwrap();
        assert_eq!(
            (held.at, held.phase, held.generation, held.bans),
            (at(1), Phase::Held, 7, 3)
        );
        assert_eq!(
            (held.gates[0].turned_away, held.gates[0].mode),
            (12, Mode::Enforce)
        );
        let vetoes = held::vetoes(store.read()).await.unwrap();
        assert_eq!(
            vetoes,
            [(
                "192.0.2.1/32".parse().unwrap(),
                "web-1".to_owned(),
                Veto::Gateway
            )]
        );
    }
}

#[tokio::test]
async fn what_a_third_hand_changed_is_critical_until_the_host_is_whole_again() {
    for store in stores().await {
        let drift = |put_back| {
            News::Drift(Drift {
                what: "the table inet watchward is gone".to_owned(),
                put_back,
            })
        };
        tell(&store, drift(false), at(0)).await;
        let all = incidents(&store).await;
        let title = "web-1: its restrictions were changed, not put back";
        assert_eq!(all, [(title.to_owned(), 2, true)]);
        let broken = Holding {
            why: "the table is gone".to_owned(),
            ..whole()
        };
        tell(&store, News::Holding(broken), at(1)).await;
        assert!(incidents(&store).await[0].2, "not whole yet");
        tell(&store, News::Holding(whole()), at(2)).await;
        assert!(!incidents(&store).await[0].2);

        tell(&store, drift(true), at(10)).await;
        tell(&store, News::Holding(whole()), at(11)).await;
        let all = incidents(&store).await;
        assert_eq!(
            (all[1].1, all[1].2),
            (1, true),
            "a warning, for a day: {all:?}"
        );
        let mut tx = store.begin().await.unwrap();
        activate(&mut tx, &Config::default(), at(10 + 86_400))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(!incidents(&store).await[1].2);
    }
}

#[tokio::test]
async fn what_newly_listens_for_everybody_is_told_once() {
    use Transport::{Tcp, Udp};
    for store in stores().await {
        let ssh = listener(Tcp, "0.0.0.0", 22);
        tell(&store, News::Listening(vec![ssh.clone()]), at(0)).await;
        assert_eq!(incidents(&store).await, [], "the first is how it was");
        let quiet = vec![
            ssh.clone(),
            ssh.clone(),
            listener(Tcp, "127.0.0.1", 5432),
            listener(Tcp, "10.0.0.1", 5432),
            listener(Udp, "0.0.0.0", 40_000),
            listener(Tcp, "::", 22),
        ];
        tell(&store, News::Listening(quiet.clone()), at(1)).await;
        assert_eq!(incidents(&store).await, []);
        let mut more = quiet.clone();
        more.extend([listener(Tcp, "::", 8080), listener(Tcp, "0.0.0.0", 8080)]);
        tell(&store, News::Listening(more.clone()), at(2)).await;
        let title = "web-1: nginx listens on TCP port 8080 now";
        assert_eq!(incidents(&store).await, [(title.to_owned(), 1, true)]);
        tell(&store, News::Listening(quiet), at(3)).await;
        assert!(!incidents(&store).await[0].2, "it is over when it is gone");
        tell(&store, News::Listening(more), at(4)).await;
        assert_eq!(incidents(&store).await.len(), 1, "a restart is nothing new");
        let listening = listener::listening(&store, "web-1").await.unwrap();
        assert_eq!(listening.len(), 7);
    }
}

#[tokio::test]
async fn of_each_probe_the_last_is_kept_and_a_revoked_host_is_forgotten() {
    for store in stores().await {
        for (now, reached) in [(0, Reached::Silent), (1, Reached::Open)] {
            let probed = Probed {
                probe: Probe {
                    address: "203.0.113.9".parse().unwrap(),
                    transport: Transport::Tcp,
                    port: 22,
                    ssh: true,
                },
                from: Some("198.51.100.7".parse().unwrap()),
                reached,
                banner: Some("SSH-2.0-OpenSSH_9.2".into()),
                took: Duration::from_millis(7),
            };
            tell(&store, News::Probed(probed), at(now)).await;
        }
        let all: Vec<(i64, i64)> = sqlx::query_as("SELECT at, reached FROM restriction_probed")
            .fetch_all(store.read())
            .await
            .unwrap();
        assert_eq!(all, [(at(1).as_micros(), 0)]);
        tell(&store, News::Listening(Vec::new()), at(2)).await;
        tell(
            &store,
            News::Listening(vec![listener(Transport::Tcp, "::", 80)]),
            at(3),
        )
        .await;
        assert!(incidents(&store).await[0].2);
        let mut tx = store.begin().await.unwrap();
        let host = HostId::from_bytes([1; 16]);
        crate::restriction::forget(&mut tx, host, at(4))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(!incidents(&store).await[0].2);
        assert!(
            listener::listening(&store, "web-1")
                .await
                .unwrap()
                .is_empty()
        );
    }
}
