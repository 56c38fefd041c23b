//! What `nft -j list ruleset` says, as far as it matters to a new connection. Pure.

mod expression;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use anyhow::{Context, ensure};
use ipnet::IpNet;
use serde_json::Value;

pub(super) use expression::{Atom, Expression, Pattern};
pub(super) use statement::{Data, Op, Statement, Verdict};

/// How many rules and sets are taken in.
const MOST: usize = 200_000;

/// Whose something is: family, table and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// `ip`, `ip6`, `inet`, `netdev`, `bridge` or `arp`.
    pub family: String,
    /// The table.
    pub table: String,
    /// The chain or the set.
    pub name: String,
}

/// All tables together.
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    pub(super) chains: HashMap<Place, Chain>,
    pub(super) sets: HashMap<Place, Vec<(Pattern, Verdict)>>,
}

/// A chain, with its rules in order.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) place: Place,
    /// Where the kernel calls it; none: only other chains do.
    pub(super) base: Option<Base>,
    pub(super) rules: Vec<Rule>,
}

/// Where the kernel calls a chain.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) hook: String,
    pub(super) priority: i64,
    /// Whether what no rule decides is let on.
    pub(super) accepts: bool,
    /// Whether it is one that translates addresses.
    pub(super) nat: bool,
    /// The interfaces that it is for; none: it is not said, as old versions of nft do not.
    pub(super) devices: Option<Vec<String>>,
    /// Whether it is known that the kernel calls it: a table may lie dormant.
    pub(super) awake: bool,
}

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Which number nftables gave it.
    pub(super) handle: u64,
    pub(super) statements: Vec<Statement>,
}

impl Ruleset {
    /// Understands what nft says: one list, or several one after the other, of which a later one says
    /// more of a set.
    ///
    /// # Errors
    /// It is no JSON of nft, or there is too much of it.
    pub fn read(json: &[u8]) -> anyhow::Result<Self> {
        let lists = serde_json::Deserializer::from_slice(json).into_iter::<Value>();
        let lists: Vec<Value> = lists
            .collect::<Result<_, _>>()
            .context("nft says no JSON")?;
        let mut all = Vec::new();
        for list in &lists {
            let list = list.get("nftables").and_then(Value::as_array);
            all.extend(list.context("nft lists nothing")?);
        }
        ensure!(
            all.len() <= MOST,
            "there are more than {MOST} rules and sets"
        );
        let mut ruleset = Self::default();
        let mut asleep = HashMap::new();
        for (kind, value) in all.into_iter().filter_map(only) {
            match kind {
                "table" => {
                    asleep.insert((word(value, "family"), word(value, "name")), value);
                }
                "chain" => ruleset.chain(value, &asleep),
                "set" | "map" => ruleset.set(value),
                "rule" => ruleset.rule(value),
                _ => {}
            }
        }
        Ok(ruleset)
    }

    fn chain(&mut self, value: &Value, tables: &HashMap<(String, String), &Value>) {
        let place = place(value, word(value, "name"));
        let table = tables.get(&(place.family.clone(), place.table.clone()));
        let state = table.map_or(State::Awake, |table| state(table));
        let hook = value.get("hook").and_then(Value::as_str);
        let base = hook.filter(|_| state != State::Dormant).map(|hook| Base {
            hook: hook.to_owned(),
            priority: value.get("prio").and_then(Value::as_i64).unwrap_or(0),
            accepts: value.get("policy").and_then(Value::as_str) != Some("drop"),
            nat: value.get("type").and_then(Value::as_str) == Some("nat"),
            devices: value.get("dev").map(words),
            awake: state == State::Awake,
        });
        let chain = Chain {
            place: place.clone(),
            base,
            rules: Vec::new(),
        };
        self.chains.insert(place, chain);
    }

    fn set(&mut self, value: &Value) {
        let elements = value.get("elem").and_then(Value::as_array);
        let elements = elements.into_iter().flatten().map(statement::pair);
        // What every element does besides, such as a limit, is in each of them too.
        let elements = elements.collect();
        self.sets
            .insert(place(value, word(value, "name")), elements);
    }

    /// Puts a network into a set of ours, of whose elements nft was not asked: one of those who are
    /// banned.
    pub fn ban(&mut self, net: &IpNet) {
        let family = if net.addr().is_ipv4() { 4 } else { 6 };
        let place = Place {
            family: "inet".to_owned(),
            table: "watchward".to_owned(),
            name: format!("banned{family}_{}", net.prefix_len()),
        };
        let element = statement::pair(&Value::from(net.network().to_string()));
        self.sets.entry(place).or_default().push(element);
    }

    fn rule(&mut self, value: &Value) {
        let Some(chain) = self.chains.get_mut(&place(value, word(value, "chain"))) else {
            return;
        };
        let parts = value.get("expr").and_then(Value::as_array);
        let parts = parts.map(Vec::as_slice).unwrap_or_default();
        chain.rules.push(Rule {
            handle: value.get("handle").and_then(Value::as_u64).unwrap_or(0),
            statements: statement::read(parts),
        });
    }
}

/// Whether the kernel calls the chains of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Awake,
    Dormant,
    /// Beware: nft 1.0.6 writes the table's name where its flags belong.
    Unknown,
}

fn state(table: &Value) -> State {
    let flags = table.get("flags").map(words).unwrap_or_default();
    if flags.iter().any(|flag| flag == "dormant") {
        return State::Dormant;
    }
    let harmless = |flag: &String| flag == "owner" || flag == "persist";
    if flags.iter().all(harmless) {
        State::Awake
    } else {
        State::Unknown
    }
}

/// The one name and value of an object.
fn only(value: &Value) -> Option<(&str, &Value)> {
    let (name, value) = value.as_object()?.iter().next()?;
    Some((name.as_str(), value))
}

fn place(value: &Value, name: String) -> Place {
    Place {
        family: word(value, "family"),
        table: word(value, "table"),
        name,
    }
}

fn word(value: &Value, name: &str) -> String {
    let text = value.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// One word, or several.
fn words(value: &Value) -> Vec<String> {
    let many = value.as_array().map(Vec::as_slice);
    let all = many.unwrap_or(std::slice::from_ref(value));
    let all = all.iter().filter_map(Value::as_str);
    all.map(str::to_owned).collect()
}
