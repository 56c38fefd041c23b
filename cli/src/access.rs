//! `watchward access`: who got in, and who tried to.

use serde_json::Value;
use watchward_daemon::clock;

use crate::args::{Access, Since};
use crate::client::Client;
use crate::live;
use crate::row::Row;
use crate::screen::Screen;

pub(crate) async fn run(
    collector: &Client,
    filter: Access,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    // Opened first, so that nothing falls between what was and what comes.
    let coming = match filter.follow {
        true => Some(collector.stream("/v1/live").await?),
        false => None,
    };
    let answer: Value = collector.fetch("/v1/access", &query(&filter)).await?;
    if screen.is_for_programs() && coming.is_none() {
        return Ok(screen.json(&answer)?);
    }
    if screen.is_for_programs() {
        for event in Row::all(&answer) {
            screen.json(event.value())?;
        }
    } else {
        let rows: Vec<_> = Row::all(&answer).map(cells).collect();
        screen.table(HEADS, &rows)?;
    }
    let Some(mut coming) = coming else {
        return Ok(());
    };
    while let Some(event) = coming.next().await? {
        let row = Row::of(&event);
        if row.text("kind") == "access" && wanted(row, &filter) {
            live::show(&event, screen)?;
        }
    }
    Ok(())
}

const HEADS: [&str; 7] = [
    "WHEN (UTC)",
    "HOST",
    "OUTCOME",
    "USER",
    "ADDRESS",
    "METHOD",
    "WHAT",
];

fn cells(event: Row<'_>) -> [String; 7] {
    [
        event.moment("at"),
        event.cell("host"),
        event.cell("outcome"),
        event.cell("user"),
        event.cell("address"),
        event.cell("method"),
        event.cell("form"),
    ]
}

fn query(filter: &Access) -> Vec<(&'static str, String)> {
    let since = filter.since.map(|since| match since {
        Since::At(at) => at,
        Since::Ago(span) => clock::now() - span.duration(),
    });
    let parts = [
        ("host", filter.host.clone()),
        ("user", filter.user.clone()),
        ("address", filter.address.map(|address| address.to_string())),
        (
            "outcome",
            filter.outcome.map(|outcome| outcome.name().to_owned()),
        ),
        ("since", since.map(|since| since.as_micros().to_string())),
        ("limit", Some(filter.limit.to_string())),
    ];
    parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Whether an event that comes is one of those that were asked for.
fn wanted(event: Row<'_>, filter: &Access) -> bool {
    let is = |name, wish: Option<String>| wish.is_none_or(|wish| event.text(name) == wish);
    is("host", filter.host.clone())
        && is("user", filter.user.clone())
        && is("address", filter.address.map(|address| address.to_string()))
        && is(
            "outcome",
            filter.outcome.map(|outcome| outcome.name().to_owned()),
        )
}
