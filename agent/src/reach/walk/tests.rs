//! A packet takes the way that the kernel would send it, and where that is not known, it is said.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use watchward_protocol::restriction::Transport;

use super::*;

fn packet(source: &str, port: u16) -> Packet {
    let own = BTreeSet::from(["10.0.0.2", "2001:db8::2"].map(|it| it.parse().unwrap()));
    let source: std::net::IpAddr = source.parse().unwrap();
    let of_same = |it: &&std::net::IpAddr| it.is_ipv4() == source.is_ipv4();
    Packet {
        source,
        destination: *own.iter().find(of_same).unwrap(),
        transport: Transport::Tcp,
        port,
        interface: Some("eth0".to_owned()),
        own,
        moment: 20_261_231_120_000,
    }
}

fn base(name: &str, hook: &str, prio: i64, policy: &str) -> Value {
    json!({"chain": {"family": "inet", "table": "t", "name": name, "hook": hook,
        "type": "filter", "prio": prio, "policy": policy}})
}

fn rule(chain: &str, handle: u64, parts: Value) -> Value {
    json!({"rule": {"family": "inet", "table": "t", "chain": chain, "handle": handle, "expr": parts}})
}

fn is(left: Value, right: Value) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right}})
}

fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn from(right: Value) -> Value {
    is(payload("ip", "saddr"), right)
}

fn to_port(right: Value) -> Value {
    is(payload("tcp", "dport"), right)
}

fn walked(all: &[Value], packet: &Packet) -> Walked {
    let json = json!({"nftables": all}).to_string();
    walk(&Ruleset::read(json.as_bytes()).unwrap(), packet)
}

/// How it ends in a chain of input that has these rules and drops the rest.
fn ends(rules: &[Value], source: &str, port: u16) -> End {
    let mut all = vec![base("in", "input", 0, "drop")];
    let rules = rules.iter().enumerate();
    all.extend(rules.map(|(at, parts)| rule("in", at as u64 + 10, parts.clone())));
    walked(&all, &packet(source, port)).end
}

#[test]
fn the_rule_that_decides_is_named() {
    let all = [
        base("in", "input", 0, "drop"),
        rule("in", 7, json!([from(json!("192.0.2.1")), {"drop": null}])),
        rule(
            "in",
            31,
            json!([to_port(json!({"set": [22, {"range": [80, 90]}]})), {"counter": null}, {"accept": null}]),
        ),
    ];
    let inside = walked(&all, &packet("203.0.113.7", 85));
    assert_eq!(inside.end, End::Arrives(85));
    assert_eq!(
        inside.passed[0].to_string(),
        "rule 2 (handle 31) of chain in of table inet t accepts it"
    );
    assert_eq!(walked(&all, &packet("192.0.2.1", 22)).end, End::Refused);
    let by_policy = walked(&all, &packet("203.0.113.7", 23));
    assert_eq!(by_policy.end, End::Refused);
    assert_eq!(
        by_policy.passed[0].to_string(),
        "the policy of chain in of table inet t drops it"
    );
}

#[test]
fn every_base_chain_may_turn_it_away_and_they_are_asked_in_order() {
    let all = [
        base("late", "input", 10, "accept"),
        base("early", "prerouting", -310, "accept"),
        rule(
            "early",
            1,
            json!([from(json!({"prefix": {"addr": "203.0.113.0", "len": 24}})), {"accept": null}]),
        ),
        rule("late", 2, json!([to_port(json!(22)), {"reject": null}])),
    ];
    let found = walked(&all, &packet("203.0.113.7", 22));
    assert_eq!(found.end, End::Refused);
    let said: Vec<_> = found
        .passed
        .iter()
        .map(|it| (it.chain.name.as_str(), it.does))
        .collect();
    assert_eq!(said, [("early", "accepts"), ("late", "rejects")]);
}

#[test]
fn a_way_of_rejecting_is_of_one_family() {
    let six = [
        json!([{"reject": {"type": "icmpv6", "expr": "port-unreachable"}}]),
        json!([{"accept": null}]),
    ];
    assert_eq!(
        ends(&six, "192.0.2.1", 22),
        End::Arrives(22),
        "nft leaves `meta nfproto ipv6` out"
    );
    assert_eq!(ends(&six, "2001:db8::7", 22), End::Refused);
}

#[test]
fn chains_call_each_other() {
    let sub = json!({"chain": {"family": "inet", "table": "t", "name": "sub"}});
    let call = |how: &str| json!([{how: {"target": "sub"}}]);
    let accept = json!([{"accept": null}]);
    for (how, end) in [("jump", End::Arrives(22)), ("goto", End::Refused)] {
        let all = [
            base("in", "input", 0, "drop"),
            sub.clone(),
            rule("in", 1, call(how)),
            rule("in", 2, accept.clone()),
            rule("sub", 3, json!([to_port(json!(22)), {"return": null}])),
        ];
        assert_eq!(walked(&all, &packet("192.0.2.1", 22)).end, end, "{how}");
    }
    let own = [
        base("in", "input", 0, "accept"),
        sub,
        rule("in", 1, call("jump")),
        rule("sub", 2, call("jump")),
    ];
    assert!(matches!(
        walked(&own, &packet("192.0.2.1", 22)).end,
        End::Unknown(_)
    ));
}

#[test]
fn what_is_of_the_other_family_is_no_rule_of_this_packet() {
    let not = json!({"match": {"op": "!=", "left": payload("ip", "saddr"), "right": "192.0.2.1"}});
    let rules = [json!([not, {"accept": null}])];
    assert_eq!(ends(&rules, "203.0.113.7", 22), End::Arrives(22));
    assert_eq!(
        ends(&rules, "2001:db8::7", 22),
        End::Refused,
        "`ip` is of IPv4 alone"
    );
}

#[test]
fn a_first_packet_is_new_once_connections_are_followed() {
    let state = |word: &str| json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": word}});
    for (priority, word) in [(-300, "invalid"), (-150, "new")] {
        let all = [
            base("pre", "prerouting", priority, "accept"),
            rule("pre", 1, json!([state(word), {"drop": null}])),
        ];
        assert_eq!(
            walked(&all, &packet("192.0.2.1", 22)).end,
            End::Refused,
            "{word}"
        );
    }
    assert_eq!(
        ends(
            &[json!([state("established"), {"accept": null}])],
            "192.0.2.1",
            22
        ),
        End::Refused
    );
}

#[test]
fn ports_and_addresses_are_translated_before_input() {
    let nat = json!({"chain": {"family": "inet", "table": "t", "name": "nat", "hook": "prerouting",
        "type": "nat", "prio": -100, "policy": "accept"}});
    let mut all = vec![
        nat,
        base("in", "input", 0, "drop"),
        rule("in", 1, json!([to_port(json!(22)), {"accept": null}])),
        rule(
            "nat",
            2,
            json!([to_port(json!(2222)), {"redirect": {"port": 22}}]),
        ),
        rule(
            "nat",
            3,
            json!([to_port(json!(80)), {"dnat": {"addr": "10.0.0.9", "port": 80}}]),
        ),
    ];
    assert_eq!(
        walked(&all, &packet("192.0.2.1", 2222)).end,
        End::Arrives(22)
    );
    assert_eq!(
        walked(&all, &packet("192.0.2.1", 80)).end,
        End::Elsewhere("10.0.0.9".to_owned())
    );
    all.push(base("early", "prerouting", -310, "accept"));
    all.push(rule(
        "early",
        4,
        json!([to_port(json!(2222)), {"drop": null}]),
    ));
    assert_eq!(
        walked(&all, &packet("192.0.2.1", 2222)).end,
        End::Refused,
        "before it is translated"
    );
}

#[test]
fn what_is_not_understood_is_unknown_only_where_it_matters() {
    let strange = is(json!({"tcp option": {"name": "sack"}}), json!(1));
    let drop = json!([strange.clone(), {"drop": null}]);
    let accept = json!([to_port(json!(22)), {"accept": null}]);
    assert!(matches!(
        ends(&[drop.clone(), accept.clone()], "192.0.2.1", 22),
        End::Unknown(_)
    ));
    assert_eq!(
        ends(&[drop, accept.clone()], "192.0.2.1", 23),
        End::Refused,
        "either way"
    );
    let other = json!([strange, to_port(json!(80)), {"drop": null}]);
    assert_eq!(
        ends(&[other, accept.clone()], "192.0.2.1", 22),
        End::Arrives(22)
    );
    let xt = json!([{"xt": null}, {"counter": null}, {"xt": null}]);
    assert!(matches!(
        ends(&[xt, accept], "192.0.2.1", 22),
        End::Unknown(_)
    ));
}

#[test]
fn a_set_that_the_packet_comes_into_on_its_way_is_not_known_any_more() {
    let learn = json!([{"set": {"op": "add", "elem": payload("ip", "saddr"), "set": "@seen"}}]);
    let all = [
        json!({"set": {"family": "inet", "table": "t", "name": "seen", "type": "ipv4_addr"}}),
        base("in", "input", 0, "accept"),
        rule("in", 1, learn),
        rule("in", 2, json!([from(json!("@seen")), {"drop": null}])),
    ];
    assert!(matches!(
        walked(&all, &packet("192.0.2.1", 22)).end,
        End::Unknown(_)
    ));
}

#[test]
fn a_clients_port_may_be_any_of_those_that_clients_have() {
    let sport = |op: &str, port: u16| json!({"match": {"op": op, "left": payload("tcp", "sport"), "right": port}});
    let accept = |part: Value| [json!([part, {"accept": null}])];
    assert_eq!(
        ends(&accept(sport(">=", 1024)), "192.0.2.1", 22),
        End::Arrives(22)
    );
    assert_eq!(
        ends(&accept(sport("<", 1024)), "192.0.2.1", 22),
        End::Refused
    );
    assert!(matches!(
        ends(&accept(sport(">", 30_000)), "192.0.2.1", 22),
        End::Unknown(_)
    ));
}

#[test]
fn verdicts_are_looked_up() {
    let pairs = json!({"set": [
        [{"concat": ["192.0.2.1", 22]}, {"accept": null}],
        [{"concat": [{"prefix": {"addr": "198.51.100.0", "len": 24}}, {"range": [1, 99]}]}, {"accept": null}],
    ]});
    let key = json!({"concat": [payload("ip", "saddr"), payload("tcp", "dport")]});
    let rules = [json!([{"vmap": {"key": key, "data": pairs}}])];
    for (source, port, end) in [
        ("192.0.2.1", 22, End::Arrives(22)),
        ("192.0.2.1", 23, End::Refused),
        ("198.51.100.77", 99, End::Arrives(99)),
        ("2001:db8::1", 22, End::Refused),
    ] {
        assert_eq!(ends(&rules, source, port), end, "{source} {port}");
    }
}

proptest! {
    #[test]
    fn a_list_of_networks_means_what_it_says(
        nets in prop::collection::vec((any::<u32>(), 0_u8..=32), 1..8), source: u32,
    ) {
        let nets: Vec<_> = nets.iter()
            .map(|(bits, length)| ipnet::Ipv4Net::new((*bits).into(), *length).unwrap().trunc())
            .collect();
        let source = std::net::Ipv4Addr::from(source);
        let right = nets.iter().map(|it| json!({"prefix": {"addr": it.network().to_string(), "len": it.prefix_len()}}));
        let rules = [json!([from(json!({"set": right.collect::<Vec<_>>()})), {"accept": null}])];
        let inside = nets.iter().any(|it| it.contains(&source));
        let end = if inside { End::Arrives(22) } else { End::Refused };
        prop_assert_eq!(ends(&rules, &source.to_string(), 22), end);
    }
}

#[test]
fn an_exception_of_a_gate_holds_until_its_end() {
    let time = json!({"meta": {"key": "time"}});
    for (until, end) in [
        ("2026-12-31 12:00:01", End::Arrives(22)),
        ("2026-12-31 12:00:00", End::Refused),
    ] {
        let before = json!({"match": {"op": "<", "left": time, "right": until}});
        assert_eq!(
            ends(&[json!([before, {"accept": null}])], "192.0.2.1", 22),
            end
        );
    }
}
