//! What another policy would change about keys, for people.

use serde_json::Value;

use super::outlook::few;
use crate::row::Row;
use crate::screen::{Screen, Tone, safe};

/// Shows what would open accounts newly and no longer, whose rotations begin and end, which peers' keys
/// would be too old, and who would be given no certificate; nothing, where nothing of that would be another.
pub(super) fn show(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let none = Value::Null;
    let keys = Row::of(all.value().get("keys").unwrap_or(&none));
    for line in lines(keys) {
        screen.line(&safe(&line))?;
    }
    let ungranted = keys.texts("ungranted");
    if ungranted.is_empty() {
        return Ok(());
    }
    let names = safe(&few(&ungranted));
    let head =
        format!("WHO WOULD BE GIVEN NO CERTIFICATE, of those who had one within 90 days: {names}");
    Ok(screen.line(&screen.paint(Tone::Bad, &head))?)
}

fn lines(keys: Row<'_>) -> Vec<String> {
    let way = |one: Row<'_>, what: &str| {
        let (account, by) = (one.cell("account"), one.cell("by"));
        format!("{account} of {} {what} {by}", few(&one.texts("hosts")))
    };
    let opened = keys.list("opened").map(|one| way(one, "would open to"));
    let closed = keys
        .list("closed")
        .map(|one| way(one, "would no longer open to"));
    let mut lines: Vec<_> = opened.chain(closed).collect();
    for (name, what) in [
        ("begun", "would be made, and replaced on schedule"),
        (
            "ended",
            "would open nothing any more, and be destroyed a day later",
        ),
    ] {
        let names = keys.texts(name);
        if !names.is_empty() {
            lines.push(format!("Machines' keys that {what}: {}", few(&names)));
        }
    }
    let aged = keys.texts("aged");
    if !aged.is_empty() {
        lines.push(format!("Peers whose keys would be too old: {}", few(&aged)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_way_in_that_would_be_another_is_a_line() {
        let keys = json!({
            "opened": [{"account": "deploy", "by": "certificates of role:operator", "hosts": ["web"]}],
            "closed": [{"account": "store", "by": "the machine key backup of db", "hosts": ["a", "b"]}],
            "begun": [], "ended": ["backup"], "aged": ["peer ada of wg0 on hub"],
        });
        assert_eq!(
            lines(Row::of(&keys)),
            [
                "deploy of web would open to certificates of role:operator",
                "store of a, b would no longer open to the machine key backup of db",
                "Machines' keys that would open nothing any more, and be destroyed a day later: backup",
                "Peers whose keys would be too old: peer ada of wg0 on hub",
            ]
        );
        assert!(lines(Row::of(&json!({}))).is_empty());
    }
}
