//! What a rule does: its conditions, its verdict, and what else it changes.

use serde_json::Value;

use super::{Expression, Pattern, expression::Atom, only, word};

/// A part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reach) enum Statement {
    /// A condition.
    Match(Expression, Op, Pattern),
    /// The end of the rule.
    Verdict(Verdict),
    /// A verdict by what something is.
    Map(Expression, Data),
    /// What does nothing to a packet.
    Nothing,
    /// A condition of how much there was lately, and whether it is of what is beyond.
    Limit { what: &'static str, beyond: bool },
    /// Something is put into a set or taken out of it.
    Learn(String),
    /// The packet's mark becomes this; none: it is not known which.
    Mark(Option<u32>),
    /// The same of the connection's mark.
    CtMark(Option<u32>),
    /// The kernel does not follow the connection.
    Untrack,
    /// It goes elsewhere; none of both: to the same. An address is missing where it is any of the
    /// host's own.
    Translate {
        address: Option<Pattern>,
        port: Option<Pattern>,
        own: bool,
    },
    /// Something in its headers becomes something else.
    Rewrite(Expression),
    /// A condition that is not understood.
    StrangeMatch(String),
    /// Something that is not understood, and may be its verdict.
    Strange(String),
}

/// How a condition compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reach) enum Op {
    Is,
    IsNot,
    Below,
    Above,
    AtMost,
    AtLeast,
    /// Some of these bits are there.
    Some,
    /// None of these bits is there.
    NoneOf,
}

/// By what a verdict is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reach) enum Data {
    Pairs(Vec<(Pattern, Verdict)>),
    Named(String),
    Strange,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reach) enum Verdict {
    Accept,
    Drop,
    Reject,
    Continue,
    Return,
    Jump(String),
    Goto(String),
    /// Something else, by its name.
    Strange(String),
}

/// Reads the parts of a rule.
pub(super) fn read(parts: &[Value]) -> Vec<Statement> {
    let last = parts.len().saturating_sub(1);
    let parts = parts.iter().enumerate();
    let each = parts.flat_map(|(at, part)| {
        let implied = part.get("reject").and_then(implied);
        implied.into_iter().chain([one(part, at == last)])
    });
    each.collect()
}

/// Beware: nft leaves out a condition that the way of rejecting says by itself.
fn implied(reject: &Value) -> Option<Statement> {
    let (key, word) = match reject.get("type").and_then(Value::as_str)? {
        "icmp" => ("nfproto", "ipv4"),
        "icmpv6" => ("nfproto", "ipv6"),
        "tcp reset" => ("l4proto", "tcp"),
        _ => return None,
    };
    let word = Pattern::One(Atom::Word(word.to_owned()));
    Some(Statement::Match(
        Expression::Meta(key.to_owned()),
        Op::Is,
        word,
    ))
}

fn one(part: &Value, last: bool) -> Statement {
    let Some((name, inner)) = only(part) else {
        return Statement::Strange("a statement without a name".to_owned());
    };
    if let Some(verdict) = Verdict::named(name, inner) {
        return Statement::Verdict(verdict);
    }
    match name {
        "match" => condition(inner),
        "vmap" => {
            let key = inner.get("key").map(Expression::read);
            let key = key.unwrap_or(Expression::Strange("vmap".to_owned()));
            Statement::Map(key, inner.get("data").map_or(Data::Strange, data))
        }
        "counter" | "log" | "last" | "dup" | "flow" | "secmark" | "ct helper" | "ct timeout"
        | "ct expectation" | "comment" => Statement::Nothing,
        "limit" => limit("a limit", inner),
        "quota" => limit("a quota", inner),
        "ct count" => limit("a limit of connections", inner),
        "notrack" => Statement::Untrack,
        "set" | "map" => learn(inner),
        "mangle" => mangle(inner),
        "dnat" => translate(inner, false),
        "redirect" => translate(inner, true),
        // Of what came from iptables conditions are in the middle, and the last says what becomes of it.
        "xt" if !last => Statement::StrangeMatch("a condition of iptables".to_owned()),
        _ => Statement::Strange(format!("`{name}`")),
    }
}

fn condition(inner: &Value) -> Statement {
    let op = match inner.get("op").and_then(Value::as_str) {
        Some("==") => Op::Is,
        Some("!=") => Op::IsNot,
        Some("<") => Op::Below,
        Some(">") => Op::Above,
        Some("<=") => Op::AtMost,
        Some(">=") => Op::AtLeast,
        Some("in") => Op::Some,
        Some("!") => Op::NoneOf,
        _ => return Statement::StrangeMatch("a comparison".to_owned()),
    };
    match (inner.get("left"), inner.get("right")) {
        (Some(left), Some(right)) => {
            Statement::Match(Expression::read(left), op, Pattern::read(right))
        }
        _ => Statement::StrangeMatch("a comparison".to_owned()),
    }
}

fn limit(what: &'static str, inner: &Value) -> Statement {
    // One that has a name may be of either kind.
    if !inner.is_object() {
        return Statement::StrangeMatch(what.to_owned());
    }
    let beyond = inner.get("inv").and_then(Value::as_bool) == Some(true);
    Statement::Limit { what, beyond }
}

fn learn(inner: &Value) -> Statement {
    let name = word(inner, "set");
    let name = name.trim_start_matches('@').to_owned();
    let element = |it: &Value| it.get("elem").is_some_and(|it| it.get("stmt").is_some());
    let conditional = inner.get("stmt").is_some() || inner.get("elem").is_some_and(element);
    if name.is_empty() || conditional || inner.get("map").is_some() {
        return Statement::StrangeMatch("what is kept of each address".to_owned());
    }
    Statement::Learn(name)
}

fn mangle(inner: &Value) -> Statement {
    let key = inner.get("key").map(Expression::read);
    let value = inner.get("value").and_then(Value::as_u64);
    let value = value.and_then(|value| u32::try_from(value).ok());
    match key {
        Some(Expression::Meta(key)) if key == "mark" => Statement::Mark(value),
        Some(Expression::Ct(key)) if key == "mark" => Statement::CtMark(value),
        Some(Expression::Meta(_) | Expression::Ct(_)) => Statement::Nothing,
        Some(key) => Statement::Rewrite(key),
        None => Statement::Strange("`mangle`".to_owned()),
    }
}

fn translate(inner: &Value, own: bool) -> Statement {
    Statement::Translate {
        address: inner.get("addr").map(Pattern::read),
        port: inner.get("port").map(Pattern::read),
        own,
    }
}

impl Verdict {
    fn named(name: &str, inner: &Value) -> Option<Self> {
        Some(match name {
            "accept" => Self::Accept,
            "drop" => Self::Drop,
            "reject" => Self::Reject,
            "continue" => Self::Continue,
            "return" => Self::Return,
            "jump" => Self::Jump(word(inner, "target")),
            "goto" => Self::Goto(word(inner, "target")),
            "queue" => Self::Strange("`queue`".to_owned()),
            _ => return None,
        })
    }
}

fn data(value: &Value) -> Data {
    if let Pattern::Named(name) = Pattern::read(value) {
        return Data::Named(name);
    }
    match value.get("set").and_then(Value::as_array) {
        Some(all) => Data::Pairs(all.iter().map(pair).collect()),
        None => Data::Strange,
    }
}

/// An element, and of a map what it leads to.
pub(super) fn pair(value: &Value) -> (Pattern, Verdict) {
    let strange = || Verdict::Strange("a verdict that is none".to_owned());
    match value.as_array().map(Vec::as_slice) {
        Some([key, verdict]) => {
            let named = only(verdict).and_then(|(name, inner)| Verdict::named(name, inner));
            (Pattern::read(key), named.unwrap_or_else(strange))
        }
        _ => (Pattern::read(value), strange()),
    }
}

impl Pattern {
    /// The number that it is, if it is one alone.
    pub(in crate::reach) fn number(&self) -> Option<u128> {
        if let Self::One(Atom::Number(number)) = self {
            return Some(*number);
        }
        None
    }
}
