//! What a policy would change, and who would lose access by it, for people.

use serde_json::Value;

use super::keys;
use crate::row::Row;
use crate::screen::{Screen, Tone, safe, safe_lines};

/// What would come of a policy.
pub(super) fn show(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let all = Row::of(answer);
    let (hosts, version) = (safe(&all.cell("hosts")), all.number("version"));
    let now = match version {
        None | Some(0) => "No policy is in force".to_owned(),
        Some(version) => format!("Version {version} of the policy is in force"),
    };
    screen.line(&format!("{now}; hosts that are watched: {hosts}."))?;
    if let Some(back) = back_to(all) {
        screen.line(&format!("This goes back to {back}."))?;
    }
    if all.text("same") == "true" {
        return Ok(screen.line("This one says the same: nothing would change.")?);
    }
    let tables = all.texts("tables");
    if !tables.is_empty() {
        let tables: Vec<_> = tables
            .iter()
            .map(|name| format!("[{}]", safe(name)))
            .collect();
        screen.line(&format!("Says something else in {}.", tables.join(", ")))?;
    }
    screen.line("")?;
    changes(all, screen)?;
    keys::show(all, screen)?;
    losing(all, screen)?;
    words(all, screen)
}

/// The version that it goes back to, in words.
fn back_to(all: Row<'_>) -> Option<String> {
    let version = all
        .value()
        .get("back_to")
        .filter(|back| back.is_object())
        .map(Row::of)?;
    let (number, author) = (version.cell("number"), version.cell("author"));
    let at = version.moment("at");
    let said = format!("version {number}, which {author} brought at {at} UTC");
    Some(safe(&said))
}

fn changes(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let mut changes = all.list("changes").peekable();
    if changes.peek().is_none() {
        return Ok(screen.line("No gate of any host would be another.")?);
    }
    for one in changes {
        let [head, rest @ ..] = change(one);
        let head = screen.paint(Tone::Bold, &safe(&head));
        screen.line(&head)?;
        for line in rest.iter().filter(|line| !line.is_empty()) {
            screen.line(&format!("  {}", safe(line)))?;
        }
    }
    Ok(())
}

/// A gate that would be another: which, and who could pass it then, newly, and no longer.
fn change(change: Row<'_>) -> [String; 4] {
    let mode = |name| match change.text(name) {
        none if none.is_empty() => "open".to_owned(),
        mode => mode,
    };
    let list = |name| few(&change.texts(name));
    let said = |what: &str, name| match change.texts(name) {
        none if none.is_empty() => String::new(),
        some => format!("{what:<18}{}", few(&some)),
    };
    let (now, then) = (mode("before"), mode("after"));
    let mode = match now == then {
        true => now,
        false => format!("{now} now, {then} then"),
    };
    [
        format!(
            "{} ({}) of {}: {mode}",
            change.cell("service"),
            list("ports"),
            list("hosts")
        ),
        said("may pass then:", "permitted"),
        said("newly:", "added"),
        said("no longer:", "removed"),
    ]
}

/// The first of many; all of them are in the JSON.
pub(super) fn few(all: &[String]) -> String {
    const SHOWN: usize = 4;
    match all.get(..SHOWN) {
        Some(first) if all.len() > SHOWN => {
            format!("{} and {} more", first.join(", "), all.len() - SHOWN)
        }
        _ => all.join(", "),
    }
}

fn losing(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let losing: Vec<_> = all.list("losing").map(login).collect();
    screen.line("")?;
    if losing.is_empty() {
        let nobody = "Nobody who logged in within 90 days would be turned away by a gate.";
        return Ok(screen.line(nobody)?);
    }
    let many = losing.len();
    let head = format!("WHO WOULD LOSE ACCESS, of those who logged in within 90 days: {many}");
    let head = screen.paint(Tone::Bad, &head);
    screen.line(&head)?;
    screen.table(
        [
            "LAST LOGIN (UTC)",
            "HOST",
            "SERVICE",
            "USER",
            "ADDRESS",
            "LOGINS",
        ],
        &losing,
    )?;
    sessions(all, screen)
}

/// Who is logged in now, and would be thrown out.
fn sessions(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let sessions: Vec<_> = all.list("sessions").map(session).collect();
    screen.line("")?;
    if sessions.is_empty() {
        let none = "No session of theirs would end, as far as the access log knows.";
        return Ok(screen.line(none)?);
    }
    let many = sessions.len();
    let head = format!("SESSIONS THAT WOULD END, as far as the access log knows: {many}");
    let head = screen.paint(Tone::Bad, &head);
    screen.line(&head)?;
    let heads = ["SINCE (UTC)", "HOST", "SERVICE", "USER", "ADDRESS"];
    Ok(screen.table(heads, &sessions)?)
}

fn session(one: Row<'_>) -> [String; 5] {
    [
        one.moment("since"),
        one.cell("host"),
        one.cell("service"),
        one.cell("user"),
        one.cell("address"),
    ]
}

fn login(came: Row<'_>) -> [String; 6] {
    [
        came.moment("last_at"),
        came.cell("host"),
        came.cell("service"),
        came.cell("user"),
        came.cell("address"),
        came.cell("logins"),
    ]
}

/// What is worth a word, and why it would not come into force.
fn words(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    unready(all, screen)?;
    notices(all, screen)?;
    let objection = all.text("objection");
    if !objection.is_empty() {
        screen.line("")?;
        let head = screen.paint(Tone::Bad, "It would not come into force:");
        screen.line(&head)?;
        screen.line(&safe_lines(&objection))?;
    }
    Ok(())
}

fn notices(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    for notice in all.texts("notices") {
        let notice = format!("Note: {}", safe(&notice));
        screen.line("")?;
        screen.line(&notice)?;
    }
    Ok(())
}

/// Hosts that would not hold their gates.
fn unready(all: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    const SHOWN: usize = 10;
    let hosts: Vec<_> = all.list("unready").collect();
    if hosts.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    for host in hosts.iter().take(SHOWN) {
        let (tone, what) = match host.text("enforce").as_str() {
            "true" => (Tone::Bad, "nothing will be shut there"),
            _ => (Tone::Warn, "nothing will be counted there"),
        };
        let (name, why) = (safe(&host.text("host")), safe(&host.text("why")));
        let line = screen.paint(tone, &format!("{name} {why}: {what}"));
        screen.line(&line)?;
    }
    match hosts.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => Ok(screen.line(&format!("And {more} more hosts; --json names all."))?),
    }
}

/// What came of it; what would come of it may have been shown before.
pub(super) fn applied(answer: &Value, is_known: bool, screen: &mut Screen) -> anyhow::Result<()> {
    let none = Value::Null;
    let part = |name| Row::of(answer.get(name).unwrap_or(&none));
    let (version, outlook) = (part("version"), part("outlook"));
    let number = safe(&version.cell("number"));
    if outlook.text("same") == "true" {
        return Ok(screen.line(&format!("Version {number} says the same: nothing changes."))?);
    }
    if !is_known {
        changes(outlook, screen)?;
        keys::show(outlook, screen)?;
        losing(outlook, screen)?;
        unready(outlook, screen)?;
        notices(outlook, screen)?;
        screen.line("")?;
    }
    let signed = match version.text("signer") {
        none if none.is_empty() => String::new(),
        signer => format!(", signed by {}", safe(&signer)),
    };
    let back = match back_to(outlook) {
        Some(back) => format!(": back to {back}"),
        None => String::new(),
    };
    Ok(screen.line(&format!("Version {number} is in force{signed}{back}."))?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gate_says_who_could_pass_it_then_and_who_no_longer() {
        let shut = json!({"service": "ssh", "ports": ["tcp/22"], "hosts": ["web-1", "web-2"],
            "before": null, "after": "enforce", "permitted": ["192.0.2.0/24"], "added": [],
            "removed": ["everybody else"]});
        let expected = [
            "ssh (tcp/22) of web-1, web-2: open now, enforce then",
            "may pass then:    192.0.2.0/24",
            "",
            "no longer:        everybody else",
        ];
        assert_eq!(change(Row::of(&shut)), expected);
    }

    #[test]
    fn where_a_rollback_goes_is_named() {
        let planned = json!({"back_to": {"number": 2, "author": "ada (as root)", "at": 0}});
        let said = back_to(Row::of(&planned)).unwrap();
        assert_eq!(
            said,
            "version 2, which ada (as root) brought at 1970-01-01 00:00:00 UTC"
        );
        assert_eq!(back_to(Row::of(&json!({"back_to": null}))), None);
    }
}
