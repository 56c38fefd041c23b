//! Takes a new connection's first packet through nftables, and says which rule decides. Pure.

mod compare;
mod judge;
mod packet;
mod passed;
#[cfg(test)]
mod tests;

pub use packet::Packet;
use packet::{Certainty, Facts};
pub use passed::{ByRule, End, Passed, Walked};

use super::ruleset::{Base, Chain, Place, Ruleset, Verdict};
use judge::{Judged, judge};

/// How many rules are looked at in all.
const MOST: u32 = 400_000;
/// How deep chains call each other, as in the kernel.
const DEEPEST: usize = 16;
/// How often both ways are tried where a condition cannot be told.
const FORKS: u32 = 10;
/// The priority at which the kernel begins to follow connections, and that of NAT.
const CONNTRACK: i64 = -200;
const NAT: i64 = -100;

/// Takes a packet through.
pub fn walk(ruleset: &Ruleset, packet: &Packet) -> Walked {
    let mut walk = Walk {
        ruleset,
        bases: bases(ruleset, packet),
        left: MOST,
    };
    let state = State {
        base: 0,
        frames: Vec::new(),
        facts: Facts::new(packet),
        passed: Vec::new(),
        notes: Vec::new(),
    };
    walk.run(state, FORKS)
}

/// The chains that the kernel calls for it, in their order.
fn bases<'a>(ruleset: &'a Ruleset, packet: &Packet) -> Vec<(&'a Chain, &'a Base)> {
    let own = if packet.source.is_ipv4() { "ip" } else { "ip6" };
    let rank = |chain: &Chain, base: &Base| {
        let priority = if base.nat { NAT } else { base.priority };
        let family = chain.place.family.as_str();
        let stage = match (base.hook.as_str(), family) {
            ("ingress", "netdev" | "inet") => 0,
            ("prerouting", family) if family == own || family == "inet" => 2,
            ("input", family) if family == own || family == "inet" => 3,
            ("prerouting" | "input", "bridge") => 1,
            _ => return None,
        };
        Some((stage, priority, base.priority, chain.place.clone()))
    };
    let all = ruleset.chains.values();
    let based = all.filter_map(|chain| Some((chain, chain.base.as_ref()?)));
    let mut ranked: Vec<_> = based
        .filter_map(|(chain, base)| Some((rank(chain, base)?, chain, base)))
        .collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0));
    ranked
        .into_iter()
        .map(|(_, chain, base)| (chain, base))
        .collect()
}

/// A chain, and how many of its rules were looked at.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    chain: &'a Chain,
    next: usize,
}

/// Where the packet is.
#[derive(Clone, Debug)]
struct State<'a> {
    base: usize,
    frames: Vec<Frame<'a>>,
    facts: Facts<'a>,
    passed: Vec<Passed>,
    notes: Vec<String>,
}

struct Walk<'a> {
    ruleset: &'a Ruleset,
    bases: Vec<(&'a Chain, &'a Base)>,
    left: u32,
}

impl<'a> State<'a> {
    fn end(self, end: End) -> Walked {
        Walked {
            end,
            passed: self.passed,
            notes: self.notes,
        }
    }

    fn lost(self, why: String) -> Walked {
        self.end(End::Unknown(why))
    }

    fn decided(&mut self, chain: &Chain, by: Option<ByRule>, does: &'static str) {
        let drops = chain.base.as_ref().is_some_and(|base| !base.accepts);
        self.passed.push(Passed {
            saves: drops && by.is_some(),
            chain: chain.place.clone(),
            by,
            does,
        });
        self.frames.clear();
        self.base += 1;
    }
}

impl<'a> Walk<'a> {
    fn run(&mut self, mut state: State<'a>, forks: u32) -> Walked {
        loop {
            if self.left == 0 {
                return state.lost("there are too many rules on its way".to_owned());
            }
            self.left -= 1;
            let Some(frame) = state.frames.last_mut() else {
                match self.enter(state, forks) {
                    Ok(entered) => state = entered,
                    Err(walked) => return *walked,
                }
                continue;
            };
            let Some(rule) = frame.chain.rules.get(frame.next) else {
                if let Some(walked) = self.leave(&mut state) {
                    return walked;
                }
                continue;
            };
            frame.next += 1;
            let (chain, number) = (frame.chain, frame.next);
            let by = ByRule {
                chain: chain.place.clone(),
                number,
                handle: rule.handle,
            };
            let (facts, notes) = (&mut state.facts, &mut state.notes);
            match judge(rule, &by, facts, (self.ruleset, notes)) {
                Judged::Next => {}
                Judged::Do(verdict) => match self.follow(state, (verdict, by)) {
                    Ok(next) => state = next,
                    Err(walked) => return *walked,
                },
                Judged::Perhaps(verdict, why) => {
                    return self.both(state, (verdict, by), &why, forks);
                }
                Judged::Lost(why) => return state.lost(format!("{by} cannot be told: {why}")),
            }
        }
    }

    /// Goes to the next base chain; an end, if there is none.
    fn enter(&mut self, mut state: State<'a>, forks: u32) -> Result<State<'a>, Box<Walked>> {
        let Some((chain, base)) = self.bases.get(state.base).copied() else {
            let away = state.facts.destination;
            let away = away.filter(|to| !state.facts.packet.own.contains(to));
            return Err(Box::new(match (away, state.facts.port) {
                (Some(to), _) => state.end(End::Elsewhere(to.to_string())),
                (None, Some(port)) => state.end(End::Arrives(port)),
                (None, None) => state.lost("its port was changed on the way".to_owned()),
            }));
        };
        if base.hook == "input" && is_away(&state.facts) {
            state.base = self.bases.len();
            return Ok(state);
        }
        state.facts.tracked = match base.priority.cmp(&CONNTRACK) {
            _ if base.hook == "input" => Certainty::Yes,
            _ if base.hook == "ingress" || chain.place.family == "bridge" => Certainty::No,
            _ if base.nat => Certainty::Yes,
            std::cmp::Ordering::Less => Certainty::No,
            std::cmp::Ordering::Equal => Certainty::Perhaps,
            std::cmp::Ordering::Greater => Certainty::Yes,
        };
        if base.nat && state.facts.untracked == Certainty::Yes {
            state.base += 1;
            return Ok(state);
        }
        let frame = Frame { chain, next: 0 };
        match called(chain, base, state.facts.packet) {
            Ok(true) => state.frames.push(frame),
            Ok(false) => state.base += 1,
            Err(why) => {
                let (mut one, mut other) = (state.clone(), state);
                one.frames.push(frame);
                other.base += 1;
                return Err(Box::new(self.fork((one, other), why, forks)));
            }
        }
        Ok(state)
    }

    /// A chain has ended: back to who called it, or what its policy says.
    fn leave(&self, state: &mut State<'a>) -> Option<Walked> {
        state.frames.pop();
        if !state.frames.is_empty() {
            return None;
        }
        let (chain, base) = self.bases.get(state.base)?;
        if base.accepts {
            state.decided(chain, None, "accepts");
            return None;
        }
        state.decided(chain, None, "drops");
        Some(state.clone().end(End::Refused))
    }

    fn follow(
        &self,
        mut state: State<'a>,
        (verdict, by): (Verdict, ByRule),
    ) -> Result<State<'a>, Box<Walked>> {
        let Some((base, _)) = self.bases.get(state.base).copied() else {
            return Ok(state);
        };
        let (target, returns) = match verdict {
            Verdict::Continue => return Ok(state),
            Verdict::Return => {
                if let Some(walked) = self.leave(&mut state) {
                    return Err(Box::new(walked));
                }
                return Ok(state);
            }
            Verdict::Accept => {
                state.decided(base, Some(by), "accepts");
                return Ok(state);
            }
            Verdict::Drop => {
                state.decided(base, Some(by), "drops");
                return Err(Box::new(state.end(End::Refused)));
            }
            Verdict::Reject => {
                state.decided(base, Some(by), "rejects");
                return Err(Box::new(state.end(End::Refused)));
            }
            Verdict::Jump(target) => (target, true),
            Verdict::Goto(target) => (target, false),
            Verdict::Strange(what) => {
                return Err(Box::new(state.lost(format!("{by} cannot be told: {what}"))));
            }
        };
        let place = Place {
            name: target,
            ..by.chain.clone()
        };
        let Some(chain) = self.ruleset.chains.get(&place) else {
            return Err(Box::new(
                state.lost(format!("{by} goes to a chain that is not there")),
            ));
        };
        if !returns {
            state.frames.pop();
        }
        if state.frames.len() >= DEEPEST {
            return Err(Box::new(state.lost(format!("{by} goes too deep"))));
        }
        state.frames.push(Frame { chain, next: 0 });
        Ok(state)
    }

    /// Tries both, where it cannot be told whether a rule is meant.
    fn both(
        &mut self,
        state: State<'a>,
        (verdict, by): (Verdict, ByRule),
        why: &str,
        forks: u32,
    ) -> Walked {
        let why = format!("it cannot be told whether {by} is meant: {why}");
        if forks == 0 {
            return state.lost(why);
        }
        let other = state.clone();
        match self.follow(state, (verdict, by)) {
            Ok(one) => self.fork((one, other), why, forks),
            Err(one) => {
                let other = self.run(other, forks - 1);
                joined(*one, other, why)
            }
        }
    }

    fn fork(&mut self, (one, other): (State<'a>, State<'a>), why: String, forks: u32) -> Walked {
        if forks == 0 {
            return one.lost(why);
        }
        let one = self.run(one, forks - 1);
        let other = self.run(other, forks - 1);
        joined(one, other, why)
    }
}

/// What is so either way.
fn joined(one: Walked, mut other: Walked, why: String) -> Walked {
    if one.end == other.end {
        other.notes.push(format!("{why}; it ends so either way"));
        return other;
    }
    other.end = End::Unknown(why);
    other
}

fn is_away(facts: &Facts<'_>) -> bool {
    let to = facts.destination;
    to.is_some_and(|to| !facts.packet.own.contains(&to))
}

/// Whether the kernel calls this chain for such a packet.
fn called(chain: &Chain, base: &Base, packet: &Packet) -> Result<bool, String> {
    let Place { family, table, .. } = &chain.place;
    if family == "bridge" {
        return Err(format!(
            "table bridge {table} may see it before this host does"
        ));
    }
    if !base.awake {
        return Err(format!("table {family} {table} may lie dormant"));
    }
    if base.hook != "ingress" {
        return Ok(true);
    }
    match (&base.devices, &packet.interface) {
        (Some(devices), Some(own)) => Ok(devices.contains(own)),
        _ => Err(format!(
            "it is not said for which interface table {family} {table} is"
        )),
    }
}
