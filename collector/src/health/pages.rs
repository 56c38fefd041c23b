//! The pages of checks: all of them, those of a host with small graphs, and what is not as it should
//! be for the overview.

use std::time::Duration;

use askama::Template;
use axum::extract::State as Shared;
use watchward_protocol::health::Limits;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::judge::State;
use super::rows::check::{self, Kept};
use super::rows::recent::{self, Sample};
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Html, Pages, Part, Spark, Tile, Tone, Visitor, page};

/// How far back the small graphs go.
const DRAWN: Duration = Duration::from_secs(3 * 3600);

/// How many runs are looked at for them.
const RUNS: i64 = 20_000;

/// How many graphs a check may have.
const GRAPHS: usize = 6;

/// The pages, what the overview says of checks, and what the page of a host says.
pub fn pages(store: Store) -> Pages {
    let (for_overview, for_host) = (store.clone(), store.clone());
    Pages::new()
        .entry("/checks", "Checks")
        .get("/checks", Needs::See, list)
        .overview(Needs::See, move |visitor| {
            overview(for_overview.clone(), visitor)
        })
        .about_host(move |visitor, host| about_host(for_host.clone(), visitor, host))
        .with_state(store)
}

#[derive(Template)]
#[template(path = "health/list.html")]
struct List {
    frame: Frame,
    checks: Vec<Shown>,
}

async fn list(Shared(store): Shared<Store>, visitor: Visitor) -> Answer {
    page(&List {
        frame: visitor.frame("Checks"),
        checks: shown(check::list(&store, None).await?, visitor.now),
    })
}

#[derive(Template)]
#[template(path = "health/overview.html")]
struct Trouble {
    frame: Frame,
    checks: Vec<Shown>,
}

async fn overview(store: Store, visitor: Visitor) -> anyhow::Result<Part> {
    let all = shown(check::list(&store, None).await?, visitor.now);
    let count = |state, failing| {
        let is = |check: &&Shown| check.state == state && check.failing.is_some() == failing;
        i64::try_from(all.iter().filter(is).count()).unwrap_or(i64::MAX)
    };
    let tiles = [
        ("checks down", State::Down, false),
        ("checks failing", State::Unknown, true),
        ("checks flapping", State::Flapping, false),
        ("checks unknown", State::Unknown, false),
        ("checks up", State::Up, false),
    ];
    let tiles = tiles.map(|(name, state, failing)| Tile {
        name,
        count: count(state, failing),
        tone: tone(state),
        path: "/checks",
    });
    let tiles = tiles
        .into_iter()
        .filter(|tile| tile.count > 0 || tile.tone == Tone::Good);
    let tiles = tiles.collect();
    let mut checks = all;
    checks.retain(|check| check.state != State::Up);
    let body = match checks.is_empty() {
        true => Html::default(),
        false => Html::of(&Trouble {
            frame: visitor.frame(""),
            checks,
        })?,
    };
    Ok(Part { tiles, body })
}

#[derive(Template)]
#[template(path = "health/host.html")]
struct OfHost {
    frame: Frame,
    checks: Vec<(Shown, Vec<Html>)>,
}

async fn about_host(store: Store, visitor: Visitor, host: String) -> anyhow::Result<Part> {
    let all = check::list(&store, Some(&host)).await?;
    let Some(id) = all.first().map(|(_, kept)| kept.host.id) else {
        return Ok(Part::default());
    };
    let ends = (visitor.now - DRAWN, visitor.now);
    let samples = recent::samples(&store, id, ends.0, RUNS).await?;
    let mut checks = Vec::with_capacity(all.len());
    for (name, kept) in all {
        let own: Vec<_> = samples
            .iter()
            .filter(|one| one.check_name == name)
            .collect();
        let graphs = graphs(&own, ends, kept.every)?;
        checks.push((Shown::of(&name, kept, visitor.now), graphs));
    }
    let body = Html::of(&OfHost {
        frame: visitor.frame(""),
        checks,
    })?;
    Ok(Part {
        tiles: Vec::new(),
        body,
    })
}

/// A graph for each thing that a check measured; for how long it took, if it measured nothing.
fn graphs(
    samples: &[&Sample],
    ends: (Timestamp, Timestamp),
    every: Duration,
) -> anyhow::Result<Vec<Html>> {
    let gap = i64::try_from(every.as_micros().saturating_mul(3)).unwrap_or(i64::MAX);
    let mut names: Vec<(&str, &str)> = Vec::new();
    for value in samples.iter().flat_map(|sample| &sample.values) {
        let name = (value.name.as_str(), value.unit.as_str());
        if !names.contains(&name) && names.len() < GRAPHS {
            names.push(name);
        }
    }
    let took = |sample: &&Sample| {
        (
            sample.at,
            Duration::from_micros(micros(sample)).as_secs_f64(),
        )
    };
    let mut sparks = Vec::new();
    for (name, unit) in &names {
        let points: Vec<_> = samples
            .iter()
            .filter_map(|sample| {
                let value = sample.values.iter().find(|value| value.name == *name)?;
                Some((sample.at, value.number))
            })
            .collect();
        let mut values = samples.iter().flat_map(|sample| &sample.values);
        let limits = values.rfind(|value| value.name == *name);
        let limits = limits.map(|value| value.limits).unwrap_or_default();
        let (name, unit) = (escaped(name), escaped(unit));
        sparks.extend(Spark::draw((&name, &unit), &points, ends, gap, &limits));
    }
    if names.is_empty() {
        let points: Vec<_> = samples.iter().map(took).collect();
        let none = Limits::default();
        sparks.extend(Spark::draw(("took", "s"), &points, ends, gap, &none));
    }
    sparks.iter().map(Spark::html).collect()
}

fn micros(sample: &Sample) -> u64 {
    u64::try_from(sample.took).unwrap_or(0)
}

/// A check as a page shows it: what its agent wrote is escaped.
struct Shown {
    host: String,
    name: String,
    state: State,
    /// How often it has failed, of how often makes it down.
    failing: Option<(u32, u32)>,
    tone: Tone,
    since: Timestamp,
    last: Timestamp,
    detail: String,
}

impl Shown {
    fn of(name: &str, kept: Kept, now: Timestamp) -> Self {
        Self {
            name: escaped(name),
            failing: kept.failing(now),
            state: kept.check.state,
            tone: tone(kept.check.state),
            since: kept.check.since,
            last: kept.last_at,
            detail: escaped(&kept.detail),
            host: kept.host.name,
        }
    }

    fn word(&self) -> String {
        let word = match (self.state, self.failing) {
            (State::Up, _) => "up",
            (State::Down, _) => "down",
            (State::Flapping, _) => "flapping",
            (State::Unknown, Some((1, _))) => "failed once",
            (State::Unknown, Some((times, enough))) => {
                return format!("failed {times} of {enough}");
            }
            (State::Unknown, None) => "unknown",
        };
        word.to_owned()
    }
}

fn shown(all: Vec<(String, Kept)>, now: Timestamp) -> Vec<Shown> {
    all.into_iter()
        .map(|(name, kept)| Shown::of(&name, kept, now))
        .collect()
}

const fn tone(state: State) -> Tone {
    match state {
        State::Up => Tone::Good,
        State::Down => Tone::Bad,
        State::Flapping | State::Unknown => Tone::Warn,
    }
}
