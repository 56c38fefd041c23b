//! `watchward keys peers`: who may come into hosts' networks by WireGuard, and who does.

use serde_json::Value;

use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, Tone, safe};

pub(super) async fn list(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/keys/peers", &[]).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let all = Row::of(&answer);
    let rows: Vec<_> = all
        .list("peers")
        .map(|peer| {
            [
                peer.cell("host"),
                peer.cell("interface"),
                peer.cell("peer"),
                peer.cell("name"),
                peer.cell("allowed"),
                peer.cell("endpoint"),
                peer.moment("proved_at"),
                peer.moment("due_at"),
                peer.cell("state"),
            ]
        })
        .collect();
    let heads = [
        "HOST",
        "INTERFACE",
        "PEER",
        "WHOSE",
        "INSIDE",
        "LAST FROM",
        "LAST THERE (UTC)",
        "DUE (UTC)",
        "STATE",
    ];
    screen.list(heads, &rows, "No host has told of a peer of WireGuard.")?;
    for one in all.list("troubles") {
        let line = safe(&format!("{}: {}", one.text("host"), one.text("why")));
        screen.line(&screen.paint(Tone::Warn, &line))?;
    }
    Ok(())
}
