//! What a host holds and what listens on it, on its page.

use askama::Template;
use watchward_protocol::restriction::{Phase, Veto};

use super::judge::is_for_everybody;
use crate::restriction::bans::why_not;
use crate::restriction::rows::held::{self, Held};
use crate::restriction::rows::listener::{self, Known};
use crate::store::Store;
use crate::web::{Frame, Html, Tone, Visitor};

/// How many of those who were turned away are shown.
const FEW: usize = 8;

#[derive(Template)]
#[template(path = "restriction/held.html")]
struct Section {
    frame: Frame,
    held: Held,
}

#[derive(Template)]
#[template(path = "restriction/listening.html")]
struct Listening {
    frame: Frame,
    listening: Vec<Known>,
}

/// What a host holds, and what listens there; nothing where it told nothing of it.
pub(in crate::restriction) async fn parts(
    store: &Store,
    visitor: &Visitor,
    (host, held): (&str, Option<Held>),
) -> anyhow::Result<[Html; 2]> {
    let frame = || visitor.frame("");
    let held = held.map(|held| {
        Html::of(&Section {
            frame: frame(),
            held,
        })
    });
    let listening = Listening {
        frame: frame(),
        listening: listener::listening(store, host).await?,
    };
    let listening = match listening.listening.is_empty() {
        true => Html::default(),
        false => Html::of(&listening)?,
    };
    Ok([held.transpose()?.unwrap_or_default(), listening])
}

impl Section {
    fn phase(held: &Held) -> (Tone, &'static str) {
        match (&held.enforcer, held.phase) {
            (None, _) => (Tone::Warn, "no enforcer: nothing new is held"),
            (Some(_), Phase::Open) => (Tone::Dim, "no gates"),
            (Some(_), Phase::Trial) => (Tone::Warn, "on trial"),
            (Some(_), Phase::Held) => (Tone::Good, "held"),
            (Some(_), Phase::Refused) => (Tone::Bad, "refused"),
            (Some(_), Phase::Undone) => (Tone::Bad, "taken back"),
        }
    }

    fn addresses(held: &Held) -> String {
        let all = held.addresses.iter().map(ToString::to_string);
        all.collect::<Vec<_>>().join(", ")
    }

    /// Some of whom a gate turned away.
    fn few(gate: &held::Gate) -> String {
        let all: Vec<_> = gate.from.iter().map(ToString::to_string).collect();
        match all.get(..FEW) {
            Some(few) if all.len() > FEW => format!("{} and others", few.join(", ")),
            _ => all.join(", "),
        }
    }

    fn why_not(why: &Veto) -> &'static str {
        why_not(*why)
    }
}

impl Listening {
    fn is_open(known: &Known) -> bool {
        is_for_everybody(&known.listener)
    }
}
