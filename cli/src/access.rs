//! `watchward access`: who got in, and who tried to.

use std::time::Duration;

use serde_json::Value;

use crate::args::Access;
use crate::client::Client;
use crate::live;
use crate::row::Row;
use crate::screen::Screen;

/// How often to ask for what has come, while following.
const GLANCE: Duration = Duration::from_millis(300);

pub(crate) async fn run(
    collector: &Client,
    filter: Access,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    if filter.gaps {
        return gaps(collector, &filter, screen).await;
    }
    let asked = query(&filter);
    if filter.outside {
        return outside(collector, &asked, screen).await;
    }
    let answer: Value = collector.fetch("/v1/access", &asked).await?;
    if filter.follow {
        return follow(collector, asked, &answer, screen).await;
    }
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let rows: Vec<_> = Row::all(&answer).map(cells).collect();
    Ok(screen.list(HEADS, &rows, "The access log has nothing like this.")?)
}

/// Shows who came from outside, with the networks that were permitted then.
async fn outside(
    collector: &Client,
    asked: &[(&'static str, String)],
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/outside", asked).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let cells = |came: Row<'_>| {
        [
            came.moment("at"),
            came.cell("host"),
            came.cell("service"),
            came.cell("outcome"),
            came.cell("user"),
            came.cell("address"),
            came.cell("permitted"),
        ]
    };
    let rows: Vec<_> = Row::all(&answer).map(cells).collect();
    let heads = [
        "WHEN (UTC)",
        "HOST",
        "SERVICE",
        "OUTCOME",
        "USER",
        "ADDRESS",
        "PERMITTED FROM",
    ];
    Ok(screen.list(heads, &rows, "Nobody like this came from outside.")?)
}

/// Shows what could not be seen on hosts, and why.
async fn gaps(collector: &Client, filter: &Access, screen: &mut Screen) -> anyhow::Result<()> {
    let mut asked = query(filter);
    asked.retain(|(name, _)| matches!(*name, "host" | "limit"));
    let answer: Value = collector.fetch("/v1/gaps", &asked).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let rows: Vec<_> = Row::all(&answer)
        .map(|gap| {
            [
                gap.cell("host"),
                gap.cell("source"),
                gap.moment("from"),
                gap.moment("to"),
                gap.cell("lost"),
                gap.cell("why"),
            ]
        })
        .collect();
    let heads = [
        "HOST",
        "SOURCE",
        "FROM (UTC)",
        "TO (UTC)",
        "HOW MANY",
        "WHY",
    ];
    Ok(screen.list(heads, &rows, "There is no gap: hosts saw everything.")?)
}

/// Shows what there is, and then whatever comes, a line each.
async fn follow(
    collector: &Client,
    mut asked: Vec<(&'static str, String)>,
    first: &Value,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let mut last = show(first, screen)?.unwrap_or(0);
    asked.retain(|(name, _)| *name != "limit");
    loop {
        tokio::time::sleep(GLANCE).await;
        let mut asked = asked.clone();
        asked.push(("after", last.to_string()));
        let answer: Value = collector.fetch("/v1/access", &asked).await?;
        last = show(&answer, screen)?.unwrap_or(last);
    }
}

/// Shows events, a line each; says the number of the one that came last. That is not the last one
/// shown: the list goes by when each was seen.
fn show(answer: &Value, screen: &mut Screen) -> anyhow::Result<Option<i64>> {
    let mut last = None;
    for event in Row::all(answer) {
        if screen.is_for_programs() {
            screen.json(event.value())?;
        } else {
            let line = live::access(event, screen);
            screen.line(&line)?;
        }
        last = last.max(event.number("id"));
    }
    Ok(last)
}

const HEADS: [&str; 10] = [
    "WHEN (UTC)",
    "HOST",
    "SERVICE",
    "OUTCOME",
    "USER",
    "ADDRESS",
    "PORT",
    "METHOD",
    "FORM",
    "MORE",
];

fn cells(event: Row<'_>) -> [String; 10] {
    [
        event.moment("at"),
        event.cell("host"),
        event.cell("service"),
        event.cell("outcome"),
        event.cell("user"),
        event.cell("address"),
        event.cell("port"),
        event.cell("method"),
        event.cell("form"),
        live::aim(event).unwrap_or_else(|| "-".to_owned()),
    ]
}

fn query(filter: &Access) -> Vec<(&'static str, String)> {
    let parts = [
        ("host", filter.host.clone()),
        ("user", filter.user.clone()),
        ("address", filter.address.clone()),
        (
            "service",
            filter.service.map(|service| service.name().to_owned()),
        ),
        ("tunnel", filter.tunnel.map(|address| address.to_string())),
        ("attempts", filter.attempts.then(|| "true".to_owned())),
        (
            "outcome",
            filter.outcome.map(|outcome| outcome.name().to_owned()),
        ),
        ("since", filter.since.clone()),
        ("limit", Some(filter.limit.to_string())),
    ];
    parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
