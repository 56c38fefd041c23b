//! Who must not be locked out by mistake, and which hosts would hold nothing.

use watchward_protocol::restriction::Holding;

use super::*;

#[tokio::test]
async fn hosts_that_would_not_hold_their_gates_are_named() {
    let (open, shut) = (Policy::default(), read(GATED).unwrap());
    let watch = read(&GATED.replace("\"enforce\"", "\"watch\"")).unwrap();
    let mut away = watched(4, "web-4");
    away.is_silent = true;
    let (db, web) = (watched(9, "db-1"), |number| {
        watched(number, &format!("web-{number}"))
    });
    let hosts = [db, web(1), web(2), web(3), away];
    for store in stores().await {
        let without = News::Holding(Holding::default());
        seen::told(&store, (1, "web-1"), without, at(0)).await;
        seen::told(&store, (3, "web-3"), seen::at_home("192.0.2.3"), at(0)).await;
        seen::told(&store, (4, "web-4"), seen::at_home("192.0.2.4"), at(0)).await;
        for (policy, enforce) in [(&shut, true), (&watch, false)] {
            let rules = (&open.table, &policy.table);
            let planned = plan(&store, rules, &hosts, at(60)).await.unwrap();
            let said = planned.unready.iter().map(|one| {
                assert_eq!(one.enforce, enforce);
                format!("{} {}", one.host, one.why)
            });
            let said: Vec<_> = said.collect();
            let expected = [
                "web-1 has no enforcer",
                "web-2 says nothing of gates: its agent is too old, or has never run",
                "web-4 is silent",
            ];
            assert_eq!(said, expected);
        }
    }
}

#[test]
fn whoever_would_lock_themselves_out_is_shown_the_rule() {
    let table = read(GATED).unwrap().table;
    let hosts = ["db-1", "web-1", "web-2"].map(str::to_owned);
    for inside in ["192.0.2.9", "2001:db8::9", "198.51.100.7"] {
        assert!(
            table
                .shut_to(inside.parse().unwrap(), &hosts, at(0))
                .is_none(),
            "{inside}"
        );
    }
    let (shut, place) = table
        .shut_to("203.0.113.7".parse().unwrap(), &hosts, at(0))
        .unwrap();
    assert_eq!(shut, ["web-1", "web-2"]);
    let shown = place.shown(GATED);
    assert!(
        shown.contains("line 9, column 17") && shown.contains("^^^^^"),
        "{shown}"
    );
    assert!(
        shown.contains("could not log in to web-1, web-2"),
        "{shown}"
    );
}

#[test]
fn a_rule_that_shuts_the_collector_is_shown() {
    let text = format!(
        "{}[restriction.services]\nagents = [\"tcp/7000-7500\"]\n",
        GATED.replace("\"ssh\"", "\"agents\"")
    );
    let own = |machine: &str| Own {
        machine: machine.to_owned(),
        ports: vec![7443, 7444],
    };
    let table = read(&text).unwrap().table;
    let wrong = table
        .spares(&own("web-1.example.org"))
        .unwrap_err()
        .shown(&text);
    assert!(
        wrong.contains("port 7443 of web-1.example.org") && wrong.contains("^^^"),
        "{wrong}"
    );
    table.spares(&own("db-1")).unwrap();
    let watched = read(&text.replace("\"enforce\"", "\"watch\""))
        .unwrap()
        .table;
    watched.spares(&own("web-1")).unwrap();
    let open = read(&text.replace(
        "\"192.0.2.0/24\", \"2001:db8::/32\"",
        "\"0.0.0.0/0\", \"::/0\"",
    ));
    open.unwrap().table.spares(&own("web-1")).unwrap();
}

#[test]
fn a_thousand_networks_are_planned_for_a_thousand_hosts() {
    let nets = |last: u8| -> String {
        let one = |number: u32| format!("\"10.{}.{}.{last}\", ", number / 250, number % 250);
        (0..1_000).map(one).collect()
    };
    let policy = |last: u8| {
        let text = GATED.replace("\"192.0.2.0/24\", ", &nets(last));
        read(&text).unwrap().table
    };
    let hosts: Vec<_> = (0..1_000)
        .map(|number| format!("web-{number:04}"))
        .collect();
    let changes = plan::changes((&policy(1), &policy(2)), &hosts, at(0));
    let [change] = &changes[..] else {
        panic!("it is one for all: {}", changes.len())
    };
    assert_eq!((change.added.len(), change.removed.len()), (1_000, 1_000));
    assert_eq!(change.hosts, hosts);
}
