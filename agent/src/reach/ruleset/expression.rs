//! What a rule looks at, and with what it compares that.

use std::net::IpAddr;

use serde_json::Value;

use super::{only, word, words};

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reach) enum Expression {
    /// A field of a header: `tcp dport`.
    Payload(String, String),
    /// What the kernel knows of a packet: `iifname`.
    Meta(String),
    /// What the kernel knows of a connection: `state`.
    Ct(String),
    /// What its tables of routes say, and of what.
    Fib(String, Vec<String>),
    /// Some bits of another.
    Masked(Box<Expression>, Pattern),
    /// Several together.
    Concat(Vec<Expression>),
    /// Something else, by its name.
    Strange(String),
}

/// With what it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reach) enum Pattern {
    /// Whatever it is.
    Any,
    One(Atom),
    /// From one to another.
    Range(Atom, Atom),
    /// A network.
    Prefix(IpAddr, u8),
    /// Any of these.
    Many(Vec<Pattern>),
    /// Any of a set that has a name.
    Named(String),
    /// Several together.
    Concat(Vec<Pattern>),
    /// It may be one of a set at times: a limit stands at it.
    AtTimes(Box<Pattern>),
    /// Something else.
    Strange,
}

/// A single thing to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reach) enum Atom {
    Number(u128),
    Word(String),
    Truth(bool),
}

impl Expression {
    pub(super) fn read(value: &Value) -> Self {
        let Some((name, inner)) = only(value) else {
            return Self::Strange("an expression without a name".to_owned());
        };
        match name {
            "payload" if inner.get("protocol").is_some() => {
                Self::Payload(word(inner, "protocol"), word(inner, "field"))
            }
            "meta" => Self::Meta(word(inner, "key")),
            // With a direction it is an address or a port of the connection.
            "ct" if inner.get("dir").is_none() => Self::Ct(word(inner, "key")),
            "fib" => Self::Fib(
                word(inner, "result"),
                inner.get("flags").map(words).unwrap_or_default(),
            ),
            "&" => match inner.as_array().map(Vec::as_slice) {
                Some([of, mask]) => Self::Masked(Box::new(Self::read(of)), Pattern::read(mask)),
                _ => Self::Strange("&".to_owned()),
            },
            "concat" => {
                let parts = inner.as_array().into_iter().flatten();
                Self::Concat(parts.map(Self::read).collect())
            }
            _ => Self::Strange(name.to_owned()),
        }
    }
}

impl Pattern {
    pub(super) fn read(value: &Value) -> Self {
        match value {
            Value::String(text) => match text.strip_prefix('@') {
                Some(name) => Self::Named(name.to_owned()),
                None if text == "*" => Self::Any,
                None => Self::One(Atom::Word(text.clone())),
            },
            Value::Array(all) => Self::Many(all.iter().map(Self::read).collect()),
            Value::Object(_) => only(value).map_or(Self::Strange, |(name, inner)| {
                Self::object(name, inner).unwrap_or(Self::Strange)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Atom::read(value).map_or(Self::Strange, Self::One)
            }
        }
    }

    fn object(name: &str, inner: &Value) -> Option<Self> {
        let all = || inner.as_array().map(Vec::as_slice);
        Some(match name {
            "prefix" => {
                let length = inner.get("len").and_then(Value::as_u64)?;
                Self::Prefix(word(inner, "addr").parse().ok()?, length.try_into().ok()?)
            }
            "range" => match all()? {
                [first, last] => Self::Range(Atom::read(first)?, Atom::read(last)?),
                _ => return None,
            },
            "set" | "|" => match inner {
                Value::Array(all) => Self::Many(all.iter().map(Self::read).collect()),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_) => Self::read(inner),
            },
            "concat" => Self::Concat(all()?.iter().map(Self::read).collect()),
            "elem" => {
                let pattern = Self::read(inner.get("val")?);
                let plain = |name: &String| ELEMENT.contains(&name.as_str());
                if inner.as_object()?.keys().all(plain) {
                    pattern
                } else {
                    Self::AtTimes(Box::new(pattern))
                }
            }
            _ => return None,
        })
    }
}

/// What may stand at an element without changing whether it is one.
const ELEMENT: [&str; 6] = ["val", "timeout", "expires", "comment", "counter", "last"];

impl Atom {
    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(match value {
            Value::String(text) => Self::Word(text.clone()),
            Value::Bool(truth) => Self::Truth(*truth),
            Value::Number(number) => Self::Number(number.as_u64()?.into()),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        })
    }
}
