//! What other hosts see of a host's gates, on its page.

use std::net::IpAddr;
use std::time::Duration;

use askama::Template;
use watchward_protocol::restriction::{Mode, Ports, Probed, Reached};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::STALE;
use super::judge::{Said, judge};
use super::plan::{ADDRESSES, Site, may_pass, tried};
use crate::restriction::Policy;
use crate::restriction::rows::held::{self, Held};
use crate::restriction::rows::vantage::{self as rows, Seen};
use crate::restriction::services::written;
use crate::store::Store;
use crate::web::{Frame, Html, Tone, Visitor};

/// What one host saw.
struct Shown {
    service: String,
    port: String,
    address: IpAddr,
    vantage: String,
    from: IpAddr,
    may: bool,
    saw: (Tone, &'static str),
    /// How the server greeted.
    banner: String,
    at: Timestamp,
}

#[derive(Template)]
#[template(path = "restriction/vantage.html")]
struct Section {
    frame: Frame,
    all: Vec<Shown>,
}

/// What others see of a host; nothing if nobody tried.
pub(in crate::restriction) async fn part(
    store: &Store,
    policy: &Policy,
    (visitor, host): (&Visitor, &str),
) -> anyhow::Result<Html> {
    let now = visitor.now;
    let mut claims = rows::claims(store.read()).await?.into_iter();
    let Some(claim) = claims.find(|claim| claim.name == host) else {
        return Ok(Html::default());
    };
    let target = Site {
        id: claim.id,
        gates: policy.table.gates(&claim.name, now, now).gates,
        name: claim.name,
        addresses: claim.addresses,
    };
    let holds = held::find(store, host).await?;
    let mut all = Vec::new();
    for address in target.addresses.iter().take(ADDRESSES) {
        let seen = rows::seen_of(store, *address, now - STALE).await?;
        let seen = seen.iter();
        all.extend(seen.filter_map(|one| shown(&target, holds.as_ref(), one, now)));
    }
    match all.is_empty() {
        true => Ok(Html::default()),
        false => Html::of(&Section {
            frame: visitor.frame(""),
            all,
        }),
    }
}

fn shown(target: &Site, holds: Option<&Held>, seen: &Seen, now: Timestamp) -> Option<Shown> {
    let probe = seen.probed.probe;
    let (from, gate) = (seen.probed.from?, tried(target, &probe)?);
    let gates = holds.into_iter().flat_map(|held| &held.gates);
    let mut same = gates.filter(|held| held.name == gate.name && held.mode == Mode::Enforce);
    let counted = same.any(|held| held.from.contains(&from));
    let banner = seen.probed.banner.as_ref();
    Some(Shown {
        service: gate.name.clone(),
        port: written(&Ports {
            transport: probe.transport,
            first: probe.port,
            last: probe.port,
        }),
        address: probe.address,
        vantage: Foreign::from(seen.host_name.as_str()).to_string(),
        from,
        may: may_pass(gate, from, now),
        saw: words(target, &seen.probed, counted, now),
        banner: banner.map_or_else(String::new, |banner| banner.shortened(60)),
        at: seen.at,
    })
}

/// What was seen, in words; `counted`: the host itself says that it turned that address away.
pub(super) fn words(
    target: &Site,
    probed: &Probed,
    counted: bool,
    now: Timestamp,
) -> (Tone, &'static str) {
    let long_ago = (Timestamp::default(), Duration::ZERO);
    match (judge(target, probed, long_ago, now), probed.reached) {
        (Said::Leaks, _) => (Tone::Bad, "open, and should be shut"),
        (Said::Blocks, _) => (Tone::Bad, "shut, and should be open"),
        (Said::Right, Reached::Open) => (Tone::Good, "open"),
        (Said::Right, _) => (Tone::Good, "shut"),
        (Said::Nothing, Reached::Open) => (Tone::Dim, "open"),
        (Said::Nothing, Reached::Silent | Reached::Unreachable) if counted => {
            (Tone::Good, "shut: the host turned it away")
        }
        (Said::Nothing, Reached::Refused) => (Tone::Dim, "refused"),
        (Said::Nothing, Reached::Silent | Reached::Unreachable) => {
            (Tone::Dim, "no answer, which says nothing")
        }
    }
}
