//! The page of networks: from where people may come, and who came from elsewhere.

use askama::Template;
use axum::extract::State;
use watchward_daemon::config::Live;

use super::api::{
    HostGate, Inventory, Network, Outside, Restriction, Summary, from_outside, gates, summary,
};
use super::held;
use super::policy::Policy;
use super::rows;
use super::{sshd, vantage};
use crate::people::Needs;
use crate::store::Store;
use crate::web::{Answer, Frame, Html, Pages, Part, Tile, Tone, Visitor, page};

/// How many networks of a list are shown before it is too long to read.
const FEW: usize = 12;

/// How many of those are shown whom a gate turned away.
const SOME: usize = 3;

/// The page, the overview's part about logins from outside, and the entry of the navigation.
pub fn pages(store: Store, policy: Live<Policy>, hosts: Inventory) -> Pages {
    let room = Restriction {
        store,
        policy,
        hosts,
    };
    let (for_overview, for_host) = (room.clone(), room.clone());
    Pages::new()
        .entry("/networks", "Networks")
        .get("/networks", Needs::See, networks)
        .overview(Needs::See, move |visitor| {
            overview(for_overview.clone(), visitor)
        })
        .about_host(move |visitor, host| about_host(for_host.clone(), visitor, host))
        .with_state(room)
}

#[derive(Template)]
#[template(path = "restriction/networks.html")]
struct Networks {
    frame: Frame,
    summary: Summary,
    /// The gates that are to be shut and are not.
    unheld: Gates,
    outside: Section,
    gates: Gates,
}

impl Networks {
    /// That all is well with what is to be shut, if anything is.
    fn shut(&self) -> Option<String> {
        let shut = self.gates.all.iter().filter(|gate| gate.mode == "enforce");
        let shut = shut.count();
        let well = shut > 0 && self.unheld.all.is_empty();
        well.then(|| format!("Gates that are to be shut, and are: {shut}"))
    }
}

async fn networks(State(room): State<Restriction>, visitor: Visitor) -> Answer {
    let policy = room.policy.now();
    let mut summary = summary(&room.store, (&policy, room.hosts), visitor.now).await?;
    let hint = "Logins of the last 90 days, by the rules and networks of today.";
    let outside = Section::of(&visitor, hint, std::mem::take(&mut summary.outside));
    let gates = std::mem::take(&mut summary.gates);
    let unheld = gates
        .iter()
        .filter(|gate| gate.mode == "enforce" && gate.held != "held");
    let unheld = Gates {
        id: "unheld",
        title: "Not shut",
        all: unheld.cloned().collect(),
    };
    let gates = Gates::every(gates);
    page(&Networks {
        frame: visitor.frame("Networks"),
        summary,
        unheld,
        outside,
        gates,
    })
}

/// The gates of hosts; a section of any page.
#[derive(Template)]
#[template(path = "restriction/gates.html")]
struct Gates {
    id: &'static str,
    title: &'static str,
    all: Vec<HostGate>,
}

impl Gates {
    fn every(all: Vec<HostGate>) -> Self {
        let (id, title) = ("gates", "Gates");
        Self { id, title, all }
    }

    /// As a part of a page; nothing if there are none.
    fn html(&self) -> anyhow::Result<Html> {
        match self.all.is_empty() {
            true => Ok(Html::default()),
            false => Ok(Html::of(self)?),
        }
    }
}

/// Who logged in from outside; a section of any page.
#[derive(Template)]
#[template(path = "restriction/outside.html")]
struct Section {
    frame: Frame,
    /// By which rules.
    hint: &'static str,
    outside: Vec<Outside>,
}

impl Section {
    fn of(visitor: &Visitor, hint: &'static str, outside: Vec<Outside>) -> Self {
        let frame = visitor.frame("");
        Self {
            frame,
            hint,
            outside,
        }
    }

    /// As a part of a page; nothing if nobody came.
    fn html(&self) -> anyhow::Result<Html> {
        match self.outside.is_empty() {
            true => Ok(Html::default()),
            false => Ok(Html::of(self)?),
        }
    }
}

async fn overview(room: Restriction, visitor: Visitor) -> anyhow::Result<Part> {
    let outside = from_outside(&room.store, None, visitor.now).await?;
    if outside.is_empty() {
        return Ok(Part::default());
    }
    let tile = Tile {
        name: "accounts used from outside",
        count: i64::try_from(outside.len()).unwrap_or(i64::MAX),
        tone: Tone::Bad,
        path: "/access?outside=on&outcome=success&since=90d",
    };
    Ok(Part {
        tiles: vec![tile],
        body: Html::default(),
    })
}

async fn about_host(room: Restriction, visitor: Visitor, host: String) -> anyhow::Result<Part> {
    let outside = from_outside(&room.store, Some(&host), visitor.now).await?;
    let holds = rows::held::find(&room.store, &host).await?;
    let policy = room.policy.now();
    let all = (room.hosts)(&room.store).await?;
    let watched = all.iter().find(|one| one.host.name == host);
    let gates = watched.map(|one| gates(&policy, (one, holds.as_ref()), visitor.now));
    let gates = Gates::every(gates.unwrap_or_default()).html()?;
    let hint = "Logins of the last 90 days, by the policy of when they came.";
    let outside = Section::of(&visitor, hint, outside).html()?;
    let [held, listening] = held::parts(&room.store, &visitor, (&host, holds)).await?;
    let seen = vantage::part(&room.store, &policy, (&visitor, &host)).await?;
    let sshd = sshd::part(&room.store, &policy, (&visitor, &host)).await?;
    // What matters first: is it held, who came in, who saw what; then the rest.
    let body = held.and(&gates).and(&outside).and(&seen).and(&sshd);
    Ok(Part {
        tiles: Vec::new(),
        body: body.and(&listening),
    })
}

impl HostGate {
    /// Some of those that it turned away, or would have.
    fn few(&self) -> String {
        let all = &self.turned_away_from;
        match all.get(..SOME) {
            Some(some) if all.len() > SOME => format!("{} and others", some.join(", ")),
            _ => all.join(", "),
        }
    }
}

impl Network {
    /// The first of what it holds.
    fn few(&self) -> String {
        let first = self.holds.get(..FEW).unwrap_or(&self.holds);
        first.join(", ")
    }

    /// How many more it holds.
    fn more(&self) -> usize {
        self.holds.len().saturating_sub(FEW)
    }
}
