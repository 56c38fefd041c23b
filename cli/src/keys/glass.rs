//! `watchward keys break-glass`: whether every host would still take the keys for emergencies.

use anyhow::bail;
use serde_json::Value;

use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

/// Lists them; an error, unless each was seen to open what it should within a week.
pub(super) async fn run(collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let answer: Value = collector.fetch("/v1/keys/break-glass", &[]).await?;
    if screen.is_for_programs() {
        screen.json(&answer)?;
        return verdict(&answer);
    }
    let rows: Vec<_> = Row::all(&answer).map(line).collect();
    if rows.is_empty() {
        let hosts = crate::hosts::fetch(collector).await?;
        return Ok(screen.line(nobody(Row::all(&hosts).next().is_some()))?);
    }
    let heads = [
        "KEY",
        "HOST",
        "ASKED (UTC)",
        "SEEN TO OPEN (UTC)",
        "OPENS",
        "STATE",
    ];
    screen.table(heads, &rows)?;
    verdict(&answer)
}

/// Why there is nothing to list.
fn nobody(has_hosts: bool) -> &'static str {
    match has_hosts {
        true => "The policy has no [[keys.break_glass]] for any host that has told of its keys.",
        false => "No host is enrolled yet: there is nobody to ask about keys for emergencies.",
    }
}

fn verdict(answer: &Value) -> anyhow::Result<()> {
    let unproven = Row::all(answer).filter(|key| key.text("is_proven") != "true");
    match unproven.count() {
        0 => Ok(()),
        1 => bail!("1 host is not proven to take its break-glass key"),
        many => bail!("{many} times it is not proven that a host takes a break-glass key"),
    }
}

fn line(key: Row<'_>) -> [String; 6] {
    let opens = key.texts("opens");
    [
        key.cell("name"),
        key.cell("host"),
        key.moment("asked_at"),
        key.moment("opened_at"),
        match opens.is_empty() {
            true => "-".to_owned(),
            false => safe(&opens.join(" ")),
        },
        state(key),
    ]
}

fn state(key: Row<'_>) -> String {
    let lacks = key.list("lacks").map(|one| match one.text("account") {
        none if none.is_empty() => format!("opens nothing: {}", one.text("why")),
        account => format!("does not open {account}: {}", one.text("why")),
    });
    let lacks: Vec<_> = lacks.collect();
    let note = key.text("note");
    match (key.text("is_proven") == "true", lacks.is_empty()) {
        (true, _) if note.is_empty() => "proven".to_owned(),
        (true, _) => note,
        (false, false) => lacks.join("; "),
        (false, true) if key.text("asked_at").is_empty() => "not asked yet".to_owned(),
        (false, true) => "not asked for a week".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_well_only_where_it_was_seen_to_open() {
        let well = json!({"is_proven": true, "lacks": [], "note": "", "asked_at": 1});
        let lack = json!({"account": "root", "why": "sshd refuses it", "is_sure": true});
        let shut = json!({"is_proven": false, "lacks": [lack], "note": "", "asked_at": 1});
        assert_eq!(state(Row::of(&well)), "proven");
        let said = "does not open root: sshd refuses it";
        assert_eq!(state(Row::of(&shut)), said);
        assert!(verdict(&json!([well])).is_ok() && verdict(&json!([well, shut])).is_err());
        assert!(verdict(&json!([])).is_ok());
        assert!(nobody(false).starts_with("No host is enrolled yet"));
    }
}
