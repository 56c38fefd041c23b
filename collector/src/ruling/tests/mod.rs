//! Which version is in force, whoever brings it, on both databases.

mod applied;

use watchward_protocol::hosts::HostId;
use watchward_protocol::order::Order;

use super::apply::Proposal;
use super::basis::Brought;
use super::testing::{Collector, Ground};
use super::*;
use crate::SCHEMAS;
use crate::intake::Host;
use crate::store::testing;

/// So many seconds after the tests' beginning of time, in January 2027.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

/// A policy with one network of this name.
fn policy(name: &str) -> String {
    format!("[networks]\n{name} = [\"192.0.2.0/24\"]\n")
}

const GATED: &str = "[groups]\nweb = [\"web-*\"]\n[networks]\noffice = [\"192.0.2.0/24\"]\n\
    [[restriction.rules]]\ngroups = [\"web\"]\nservices = [\"ssh\"]\nfrom = [\"office\"]\n\
    mode = \"enforce\"\n";

fn proposal(text: &str) -> Proposal {
    Proposal {
        brought: Brought {
            named: "new.toml".into(),
            text: text.to_owned(),
            signature: None,
        },
        author: "ada".to_owned(),
        note: "why \u{202e}not".to_owned(),
        ..Proposal::default()
    }
}

/// A host, and a login there from this address a second before `now`.
async fn logged_in(store: &Store, (host, address): (&str, &str), now: Timestamp) {
    let id = format!("{:0>32}", host.len());
    let add = "INSERT INTO host (id, name, enrolled_at, version, system, seen_at, deadline, silent, \
        certificate_expires) VALUES ($1, $2, 0, '', '', 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING";
    let add = sqlx::query(add).bind(id).bind(host);
    add.execute(store.read()).await.unwrap();
    let address: std::net::IpAddr = address.parse().unwrap();
    let came = now.as_micros() - 1_000_000;
    sqlx::query(
        "INSERT INTO restriction_mark (host, host_name, lane, epoch, seq, judged_at, received_at, \
         service, login, place, address, permitted) VALUES ($1, $2, 0, 0, $3, $3, $3, 0, 1, 0, $4, '')",
    )
    .bind(vec![1_u8; 16])
    .bind(host)
    .bind(came)
    .bind(crate::store::value::sixteen(address).to_vec())
    .execute(store.read())
    .await
    .unwrap();
}

async fn authors(store: &Store) -> Vec<(i64, String)> {
    let all = versions::list(store, 100).await.unwrap();
    all.into_iter()
        .rev()
        .map(|one| (one.number, one.author))
        .collect()
}

fn listed(all: &[(i64, &str)]) -> Vec<(i64, String)> {
    all.iter()
        .map(|(number, author)| (*number, (*author).to_owned()))
        .collect()
}

#[tokio::test]
async fn only_a_changed_file_counts_so_that_a_start_undoes_nothing() {
    for store in testing::stores(SCHEMAS).await {
        let ground = Ground::new("");
        let one = ground.start(&store, at(0)).await.unwrap();
        assert_eq!((one.in_force(), one.networks()), (0, vec![]));
        ground.write(&policy("office"));
        assert!(one.ruling.take(at(1)).await);
        one.ruling.look(at(1)).await.unwrap();
        assert_eq!(
            (one.in_force(), one.networks()),
            (1, vec!["office".to_owned()])
        );

        let applied = one
            .ruling
            .apply(proposal(&policy("home")), at(2))
            .await
            .unwrap();
        let shown = serde_json::to_value(applied).unwrap();
        assert_eq!(shown["version"]["number"], 2);
        assert_eq!(shown["version"]["note"], "why \\u{202e}not");
        assert_eq!(one.networks(), ["home"], "at once");

        let again = ground.start(&store, at(3)).await.unwrap();
        assert_eq!(
            (again.in_force(), again.networks()),
            (2, vec!["home".to_owned()])
        );
        ground.write(&policy("vpn"));
        let again = ground.start(&store, at(4)).await.unwrap();
        assert_eq!(
            (again.in_force(), again.networks()),
            (3, vec!["vpn".to_owned()])
        );
        std::fs::remove_file(ground.path("policy.toml")).unwrap();
        assert_eq!(ground.start(&store, at(5)).await.unwrap().in_force(), 3);
        let expected = [(1, "policy.toml"), (2, "ada"), (3, "policy.toml")];
        assert_eq!(authors(&store).await, listed(&expected));
    }
}

#[tokio::test]
async fn a_package_that_brings_another_example_opens_no_gate() {
    let shipped = include_str!("../../../../config/policy.toml");
    for store in testing::stores(SCHEMAS).await {
        let ground = Ground::new("");
        ground.write(shipped);
        let one = ground.start(&store, at(0)).await.unwrap();
        assert_eq!(one.in_force(), 1);
        let applied = proposal(&policy("office"));
        one.ruling.apply(applied, at(1)).await.unwrap();
        ground.write(&format!("# Another example.\n{shipped}"));
        let again = ground.start(&store, at(2)).await.unwrap();
        assert_eq!(
            (again.in_force(), again.networks()),
            (2, vec!["office".to_owned()])
        );
        ground.write(&policy("vpn"));
        let again = ground.start(&store, at(3)).await.unwrap();
        assert_eq!(again.networks(), ["vpn"], "what rules something counts");
        ground.write(shipped);
        let again = ground.start(&store, at(4)).await.unwrap();
        assert_eq!(
            again.in_force(),
            4,
            "and so does the end of what the file ruled"
        );
        let empty = proposal("");
        again.ruling.apply(empty, at(5)).await.unwrap();
        assert_eq!(again.in_force(), 5);
    }
}

#[tokio::test]
async fn a_mistake_in_the_file_changes_nothing() {
    for store in testing::stores(SCHEMAS).await {
        let ground = Ground::new("");
        ground.write("networks = 7\n");
        let first = ground.start(&store, at(0)).await.err().unwrap().to_string();
        assert!(first.contains("line 1") && first.contains("^"), "{first}");

        ground.write(&policy("office"));
        let one = ground.start(&store, at(1)).await.unwrap();
        ground.write(&policy("office").replace("/24", "/33"));
        assert!(
            one.ruling.take(at(2)).await,
            "there is nothing to be tried again"
        );
        one.ruling.read_again(at(3)).await;
        assert_eq!(
            (one.in_force(), one.networks()),
            (1, vec!["office".to_owned()])
        );
        let shown = api::standing(&one.ruling, 10).await.unwrap();
        let trouble = shown.file_trouble.unwrap();
        assert!(trouble.contains("line 2, column 10"), "{trouble}");
        let again = ground.start(&store, at(4)).await.unwrap();
        assert_eq!(again.in_force(), 1, "it goes on as before");

        // And so does a mistake in the other file.
        ground.write(&policy("vpn"));
        ground.configure("people.idle = \"soon\"\n");
        one.ruling.read_again(at(5)).await;
        assert_eq!(one.in_force(), 1);
        ground.configure("people.idle = \"1h\"\n");
        one.ruling.read_again(at(6)).await;
        assert_eq!(
            (one.in_force(), one.networks()),
            (2, vec!["vpn".to_owned()])
        );
        assert_eq!(one.followed.people.now().idle.to_string(), "1h");
    }
}

#[tokio::test]
async fn collectors_that_share_a_database_follow_the_newest() {
    for store in testing::stores(SCHEMAS).await {
        let (here, there) = (Ground::new(""), Ground::new(""));
        here.write(&policy("office"));
        let one = here.start(&store, at(0)).await.unwrap();
        // This file was never looked at: it may be older than what is in force.
        there.write(&policy("stale"));
        let other = there.start(&store, at(1)).await.unwrap();
        assert_eq!(other.networks(), ["office"]);
        other
            .ruling
            .apply(proposal(&policy("home")), at(2))
            .await
            .unwrap();
        one.ruling.look(at(3)).await.unwrap();
        assert_eq!(
            (one.in_force(), one.networks()),
            (2, vec!["home".to_owned()])
        );
        there.write(&policy("fresh"));
        assert!(other.ruling.take(at(4)).await);
        one.ruling.look(at(5)).await.unwrap();
        assert_eq!(
            (one.in_force(), one.networks()),
            (3, vec!["fresh".to_owned()])
        );
    }
}

#[tokio::test]
async fn what_is_applied_on_one_collector_is_in_force_on_the_other_by_itself() {
    for store in testing::stores(SCHEMAS).await {
        let (here, there) = (Ground::new(""), Ground::new(""));
        let one = here.start(&store, at(0)).await.unwrap();
        let other = there.start(&store.reopen().await, at(0)).await.unwrap();
        let (tasks, running) = watchward_daemon::tasks::tasks();
        tasks.start("policy", other.ruling.clone().run(tasks.stop()));
        let apply = one.ruling.apply(proposal(&policy("office")), at(1));
        apply.await.unwrap();
        let followed = async {
            while other.networks() != ["office"] {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let bound = Duration::from_secs(20);
        tokio::time::timeout(bound, followed).await.unwrap();
        assert_eq!(other.in_force(), 1);
        drop((tasks, running));
    }
}

#[tokio::test]
async fn where_nobody_has_brought_a_policy_what_hosts_hold_stays() {
    let host = Host {
        id: HostId::from_bytes([1; 16]),
        name: "web-1".to_owned(),
    };
    for store in testing::stores(SCHEMAS).await {
        let one = Ground::new("").start(&store, at(0)).await.unwrap();
        let gates = |one: &Collector| {
            let orders = one.followed.orders.now().of(&host);
            let gates = orders.iter().filter_map(|order| match order {
                Order::Gates(gates) => Some(gates.generation),
                Order::Checks(_)
                | Order::Bans(_)
                | Order::Probes(_)
                | Order::Instruments(_)
                | Order::Identities(_)
                | Order::HostKeys(_) => None,
            });
            gates.collect::<Vec<_>>()
        };
        assert_eq!(gates(&one), [0; 0], "as after a database was lost");
        one.ruling.apply(proposal(""), at(1)).await.unwrap();
        let since = at(1).as_micros().unsigned_abs();
        assert_eq!(gates(&one), [since], "to rule nothing is said");
    }
}

#[tokio::test]
async fn a_version_that_cannot_be_read_leaves_the_one_before_in_force_and_is_told() {
    for store in testing::stores(SCHEMAS).await {
        let ground = Ground::new("");
        ground.write(&policy("office"));
        let one = ground.start(&store, at(0)).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let newer = versions::New {
            text: "[from_the_future]\n".to_owned(),
            ..versions::New::default()
        };
        versions::add(&mut tx, &newer, at(1)).await.unwrap();
        tx.commit().await.unwrap();
        one.ruling.look(at(2)).await.unwrap();
        assert_eq!(
            (one.in_force(), one.networks()),
            (1, vec!["office".to_owned()])
        );
        let again = ground.start(&store, at(3)).await.unwrap();
        assert_eq!(
            (again.in_force(), again.networks()),
            (1, vec!["office".to_owned()])
        );
        let incidents = || async {
            let all: Vec<(String, String, Option<i64>)> =
                sqlx::query_as("SELECT title, detail, resolved_at FROM alerting_incident")
                    .fetch_all(store.read())
                    .await
                    .unwrap();
            all
        };
        let all = incidents().await;
        let [(title, detail, None)] = &all[..] else {
            panic!("{all:?}")
        };
        assert!(title.contains("version 2 cannot be read"), "{title}");
        assert!(
            detail.contains("version 2 of the policy: ") && detail.contains("line 1"),
            "{detail}"
        );

        again
            .ruling
            .apply(proposal(&policy("home")), at(4))
            .await
            .unwrap();
        assert_eq!(
            (again.in_force(), again.networks()),
            (3, vec!["home".to_owned()])
        );
        assert!(incidents().await[0].2.is_some(), "it is over");
    }
}

#[tokio::test]
async fn hosts_hear_their_gates_again_when_an_exception_ends() {
    let text = format!(
        "{GATED}[[restriction.exceptions]]\ngroups = [\"web\"]\nservices = [\"ssh\"]\n\
         from = [\"office\"]\nuntil = \"2027-01-15\"\nreason = \"the move\"\n"
    );
    for store in testing::stores(SCHEMAS).await {
        let ground = Ground::new("");
        ground.write(&text);
        let one = ground.start(&store, at(0)).await.unwrap();
        let first = one.followed.orders.now();
        one.ruling.look(at(10)).await.unwrap();
        assert!(Arc::ptr_eq(&first, &one.followed.orders.now()));
        one.ruling.look(at(2 * 86_400)).await.unwrap();
        let second = one.followed.orders.now();
        assert!(!Arc::ptr_eq(&first, &second));
        one.ruling.look(at(3 * 86_400)).await.unwrap();
        assert!(Arc::ptr_eq(&second, &one.followed.orders.now()));
    }
}
