//! The pages of hosts: all of them, and one with everything that is known of it.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::rows::finding::FindingRow;
use super::rows::{self, HostRow, Which};
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Html, Pages, Part, Sorry, Tile, Tone, Visitor, page};

/// A record that has waited on its host for so long is late.
const LATE: Duration = Duration::from_secs(60);

/// The pages, the overview's part about hosts, and the entry of the navigation.
pub fn pages(store: Store) -> Pages {
    let for_overview = store.clone();
    Pages::new()
        .entry("/hosts", "Hosts")
        .get("/hosts", Needs::See, list)
        .get("/hosts/{name}", Needs::See, one)
        .overview(Needs::See, move |visitor| {
            overview(for_overview.clone(), visitor)
        })
        .with_state(store)
}

#[derive(Template)]
#[template(path = "hosts/list.html")]
struct List {
    frame: Frame,
    hosts: Vec<Shown>,
    which: Which,
    /// How many are revoked.
    revoked: usize,
}

/// What the list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    state: Which,
}

async fn list(State(store): State<Store>, Query(asked): Query<Asked>, visitor: Visitor) -> Answer {
    let mut hosts = rows::hosts(&store, None).await?;
    let revoked = hosts.iter().filter(|host| Which::Revoked.has(host)).count();
    hosts.retain(|host| asked.state.has(host));
    page(&List {
        frame: visitor.frame("Hosts"),
        hosts: hosts.into_iter().map(Shown::from).collect(),
        which: asked.state,
        revoked,
    })
}

#[derive(Template)]
#[template(path = "hosts/one.html")]
struct One {
    frame: Frame,
    host: Shown,
    findings: Vec<Finding>,
    parts: Vec<Part>,
}

async fn one(State(store): State<Store>, Path(name): Path<String>, visitor: Visitor) -> Answer {
    let mut hosts = rows::hosts(&store, Some(&name)).await?;
    // The last one of this name is the one that may talk to us, if any may.
    let host = hosts
        .pop()
        .ok_or_else(|| Sorry::missing("There is no host of this name."))?;
    let findings = host.findings.iter().map(Finding::from).collect();
    page(&One {
        frame: visitor.frame(name),
        findings,
        parts: visitor.about_host(&host.name).await?,
        host: Shown::from(host),
    })
}

#[derive(Template)]
#[template(path = "hosts/overview.html")]
struct Silent {
    frame: Frame,
    silent: Vec<Shown>,
}

async fn overview(store: Store, visitor: Visitor) -> anyhow::Result<Part> {
    let hosts = rows::hosts(&store, None).await?;
    let count = |state| {
        let of = hosts.iter().filter(|host| host.state == state).count();
        i64::try_from(of).unwrap_or(i64::MAX)
    };
    let tile = |name, count, tone| Tile {
        name,
        count,
        tone,
        path: "/hosts",
    };
    let quiet = count("silent");
    let mut tiles = vec![tile("hosts heard", count("heard"), Tone::Good)];
    if quiet > 0 {
        tiles.insert(0, tile("hosts silent", quiet, Tone::Bad));
    }
    let silent: Vec<_> = hosts
        .into_iter()
        .filter(|host| host.state == "silent")
        .map(Shown::from)
        .collect();
    let body = match silent.is_empty() {
        true => Html::default(),
        false => Html::of(&Silent {
            frame: visitor.frame(""),
            silent,
        })?,
    };
    Ok(Part { tiles, body })
}

/// A host as a page shows it: what its agent wrote is escaped.
struct Shown {
    version: String,
    system: String,
    tone: Tone,
    failing: usize,
    spool: Spool,
    row: HostRow,
}

/// What waits on a host until the collector has it.
enum Spool {
    /// Nobody knows: the host is not heard, or its agent does not say.
    Unknown,
    /// Nothing.
    Empty,
    /// So many records, the oldest kept then.
    Behind(String, Timestamp),
}

impl Spool {
    fn of(row: &HostRow) -> Self {
        match (row.state, row.behind) {
            ("heard", Some(0)) => Self::Empty,
            ("heard", Some(records)) => {
                let since = row.behind_since.unwrap_or(row.seen_at);
                Self::Behind(grouped(records), Timestamp::from_micros(since))
            }
            _ => Self::Unknown,
        }
    }

    /// What is on its way right now is nothing to look at.
    fn tone(&self, now: &Timestamp) -> Tone {
        match self {
            Self::Behind(_, since) if now.since(*since) >= LATE => Tone::Warn,
            Self::Behind(..) | Self::Empty => Tone::Good,
            Self::Unknown => Tone::Dim,
        }
    }
}

/// A number as people read it: `1,204`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

impl From<HostRow> for Shown {
    fn from(row: HostRow) -> Self {
        let failing = row.findings.iter().filter(|one| one.state == "failing");
        Self {
            version: escaped(&row.version),
            system: escaped(&row.system),
            tone: match row.state {
                "heard" => Tone::Good,
                "silent" => Tone::Bad,
                _ => Tone::Dim,
            },
            failing: failing.count(),
            spool: Spool::of(&row),
            row,
        }
    }
}

/// Something that an agent found.
struct Finding {
    subject: String,
    state: String,
    tone: Tone,
    detail: String,
    at: i64,
}

impl From<&FindingRow> for Finding {
    fn from(row: &FindingRow) -> Self {
        Self {
            subject: escaped(&row.subject),
            tone: match row.state.as_str() {
                "watched" => Tone::Good,
                "failing" => Tone::Warn,
                _ => Tone::Dim,
            },
            state: row.state.clone(),
            detail: escaped(&row.detail),
            at: row.at,
        }
    }
}
