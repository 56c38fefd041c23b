//! What one rule makes of a packet. Pure.

use super::ByRule;
use super::compare::{Holds, Sets, holds, is};
use super::packet::{Certainty, Facts, Seen};
use crate::reach::ruleset::{
    Atom, Data, Expression, Pattern, Place, Rule, Ruleset, Statement, Verdict,
};

/// What a rule does.
#[derive(Debug)]
pub(super) enum Judged {
    /// Nothing: on to the next.
    Next,
    Do(Verdict),
    /// This, if it is meant at all; why that is not known.
    Perhaps(Verdict, String),
    /// Nobody knows what.
    Lost(String),
}

/// Reads a rule from left to right, as the kernel does.
pub(super) fn judge(
    rule: &Rule,
    by: &ByRule,
    facts: &mut Facts<'_>,
    (ruleset, notes): (&Ruleset, &mut Vec<String>),
) -> Judged {
    let mut doubt: Option<String> = None;
    for statement in &rule.statements {
        let condition = match statement {
            Statement::Match(left, op, right) => {
                let found = elements(ruleset, &by.chain, facts);
                let sets: Sets<'_, '_> = &found;
                holds(&facts.see(left), *op, right, sets)
            }
            Statement::StrangeMatch(what) => Holds::Unknown(format!("{what} stands there")),
            Statement::Limit { what, beyond } => {
                if doubt.is_none() {
                    notes.push(format!("{what} of {by} is taken as not reached"));
                }
                if *beyond { Holds::No } else { Holds::Yes }
            }
            Statement::Verdict(verdict) => return end(verdict.clone(), doubt),
            Statement::Map(key, data) => {
                match looked_up(&facts.see(key), data, (ruleset, &by.chain), facts) {
                    Found::None => return Judged::Next,
                    Found::One(verdict) => return end(verdict, doubt),
                    Found::Unknown(why) => return Judged::Lost(why),
                }
            }
            Statement::Strange(what) => return Judged::Lost(format!("{what} stands there")),
            other @ (Statement::Nothing
            | Statement::Learn(_)
            | Statement::Mark(_)
            | Statement::CtMark(_)
            | Statement::Untrack
            | Statement::Translate { .. }
            | Statement::Rewrite(_)) => match change(other, facts, &by.chain, doubt.is_some()) {
                Ok(()) => Holds::Yes,
                Err(why) => return Judged::Lost(why),
            },
        };
        match condition {
            Holds::Yes => {}
            Holds::No => return Judged::Next,
            Holds::Unknown(why) => doubt = doubt.or(Some(why)),
        }
    }
    Judged::Next
}

fn end(verdict: Verdict, doubt: Option<String>) -> Judged {
    match (verdict, doubt) {
        (Verdict::Continue, _) => Judged::Next,
        (verdict, Some(why)) => Judged::Perhaps(verdict, why),
        (verdict, None) => Judged::Do(verdict),
    }
}

/// The elements of a set of the same table, as far as they are known.
fn elements<'a>(
    ruleset: &'a Ruleset,
    chain: &'a Place,
    facts: &Facts<'_>,
) -> impl Fn(&str) -> Option<Vec<&'a Pattern>> + use<'a> {
    let learned = facts.learned.clone();
    move |name| {
        let place = Place {
            name: name.to_owned(),
            ..chain.clone()
        };
        if learned.contains(&place) {
            return None;
        }
        let all = ruleset.sets.get(&place)?;
        Some(all.iter().map(|(pattern, _)| pattern).collect())
    }
}

enum Found {
    None,
    One(Verdict),
    Unknown(String),
}

fn looked_up(
    seen: &Seen,
    data: &Data,
    (ruleset, chain): (&Ruleset, &Place),
    facts: &Facts<'_>,
) -> Found {
    match seen {
        Seen::Absent => return Found::None,
        Seen::Unknown(why) => return Found::Unknown(why.clone()),
        Seen::Number(..) | Seen::Bits(..) | Seen::Name(_) | Seen::Truth(_) | Seen::Several(_) => {}
    }
    let pairs = match data {
        Data::Pairs(pairs) => Some(pairs),
        Data::Named(name) => {
            let place = Place {
                name: name.clone(),
                ..chain.clone()
            };
            let known = !facts.learned.contains(&place);
            ruleset.sets.get(&place).filter(|_| known)
        }
        Data::Strange => None,
    };
    let Some(pairs) = pairs else {
        return Found::Unknown("it looks into a map that is not known".to_owned());
    };
    let found = elements(ruleset, chain, facts);
    let mut any = None;
    for (pattern, verdict) in pairs {
        if *pattern == Pattern::Any {
            any = Some(verdict);
            continue;
        }
        match is(seen, pattern, &found) {
            Holds::Yes => return Found::One(verdict.clone()),
            Holds::No => {}
            Holds::Unknown(why) => return Found::Unknown(why),
        }
    }
    any.map_or(Found::None, |verdict| Found::One(verdict.clone()))
}

/// What a statement changes of the packet, if it does.
fn change(
    statement: &Statement,
    facts: &mut Facts<'_>,
    chain: &Place,
    doubtful: bool,
) -> Result<(), String> {
    match statement {
        Statement::Learn(set) => facts.learned.push(Place {
            name: set.clone(),
            ..chain.clone()
        }),
        Statement::Mark(mark) => facts.mark = mark.filter(|_| !doubtful),
        Statement::CtMark(mark) => facts.ct_mark = mark.filter(|_| !doubtful),
        Statement::Untrack => match (facts.tracked, doubtful) {
            // Who is followed already stays so.
            (Certainty::Yes, _) => {}
            (Certainty::No, false) => facts.untracked = Certainty::Yes,
            _ => facts.untracked = Certainty::Perhaps,
        },
        Statement::Rewrite(what) => facts.rewritten.extend(rewritten(what)),
        Statement::Translate { address, port, own } => {
            if doubtful {
                return Err("it may send it to another address".to_owned());
            }
            return translate(facts, (address.as_ref(), port.as_ref()), *own);
        }
        Statement::Match(..)
        | Statement::Verdict(_)
        | Statement::Map(..)
        | Statement::Nothing
        | Statement::Limit { .. }
        | Statement::StrangeMatch(_)
        | Statement::Strange(_) => {}
    }
    Ok(())
}

/// What is read of a header that may have changed.
fn rewritten(what: &Expression) -> Vec<Expression> {
    let mut all = vec![what.clone()];
    if let Expression::Payload(protocol, field) = what
        && ["tcp", "udp", "th"].contains(&protocol.as_str())
    {
        let same = ["tcp", "udp", "th"];
        all.extend(same.map(|it| Expression::Payload(it.to_owned(), field.clone())));
    }
    all
}

/// Only the first translation of a connection counts.
fn translate(
    facts: &mut Facts<'_>,
    (address, port): (Option<&Pattern>, Option<&Pattern>),
    own: bool,
) -> Result<(), String> {
    if facts.translated || facts.untracked == Certainty::Yes {
        return Ok(());
    }
    facts.translated = true;
    match address {
        Some(Pattern::One(Atom::Word(word))) => match word.parse() {
            Ok(to) => facts.destination = Some(to),
            Err(_) => return Err("it sends it to an address that is not understood".to_owned()),
        },
        Some(_) => return Err("it sends it to one of several addresses".to_owned()),
        None if own => facts.destination = None,
        None => {}
    }
    match port.map(|port| port.number().and_then(|it| u16::try_from(it).ok())) {
        Some(Some(port)) => facts.port = Some(port),
        Some(None) => return Err("it sends it to one of several ports".to_owned()),
        None => {}
    }
    Ok(())
}
