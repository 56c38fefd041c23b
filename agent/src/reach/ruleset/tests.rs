//! What nft says is understood, and what it does not say is not made up.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "match", "op", "==", "left", "right", "payload", "protocol", "ip", "saddr", "set", "elem",
        "val", "@a", "10.0.0.1", "prefix", "addr", "len", "range", "vmap", "key", "data", "accept",
        "jump", "target", "concat", "&", "meta", "mark", "mangle", "value", "limit", "inv", "xt",
        "dnat", "port",
    ];
    let word = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(word.clone(), inner, 0..3)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_a_newer_nft_may_say_breaks_it(parts in prop::collection::vec(any_json(), 0..6)) {
        let rule = json!({"family": "inet", "table": "t", "chain": "c", "handle": 1, "expr": parts});
        let chain = json!({"family": "inet", "table": "t", "name": "c", "handle": 1});
        let all = json!({"nftables": [{"chain": chain}, {"set": parts}, {"rule": rule}]});
        let read = Ruleset::read(all.to_string().as_bytes()).unwrap();
        let chain = read.chains.values().next().unwrap();
        prop_assert_eq!(chain.rules[0].statements.len(), parts.len());
    }
}

#[test]
fn a_table_that_lies_dormant_calls_nothing() {
    let base = |flags: Value| {
        let table = json!({"family": "inet", "name": "t", "flags": flags});
        let chain =
            json!({"family": "inet", "table": "t", "name": "c", "hook": "input", "prio": 0});
        let all = json!({"nftables": [{"table": table}, {"chain": chain}]});
        let read = Ruleset::read(all.to_string().as_bytes()).unwrap();
        let chain = read.chains.into_values().next().unwrap();
        chain.base.map(|base| base.awake)
    };
    assert_eq!(base(json!([])), Some(true));
    assert_eq!(base(json!(["owner"])), Some(true));
    assert_eq!(base(json!("dormant")), None);
    assert_eq!(
        base(json!("t")),
        Some(false),
        "nft 1.0.6 says this of any flag"
    );
}

#[test]
fn several_lists_are_one_and_the_last_word_of_a_set_counts() {
    let set = |elements: Value| {
        let set =
            json!({"family": "inet", "table": "watchward", "name": "banned4_32", "elem": elements});
        json!({"nftables": [{"set": set}]}).to_string()
    };
    let terse = json!({"family": "inet", "table": "watchward", "name": "s"});
    let first = json!({"nftables": [{"set": terse}]});
    let lists = [first.to_string(), set(json!([])), set(json!(["192.0.2.1"]))];
    let mut read = Ruleset::read(lists.join("\n").as_bytes()).unwrap();
    read.ban(&"192.0.2.2/32".parse().unwrap());
    let found = read
        .sets
        .iter()
        .find(|(place, _)| place.name == "banned4_32");
    assert_eq!(found.unwrap().1.len(), 2);
    assert_eq!(read.sets.len(), 2);
    assert!(Ruleset::read(b"{\"nftables\": []}\nmore").is_err());
}
