//! `watchward authority`: the keys that hosts trust, which of them signs, and what they signed.

use anyhow::bail;
use serde_json::{Value, json};

use crate::args::{Authority, AuthorityCommand};
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

pub(crate) async fn run(
    collector: &Client,
    asked: Authority,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match asked.command.unwrap_or(AuthorityCommand::Key) {
        AuthorityCommand::Key => key(&collector.fetch("/v1/authority", &[]).await?, screen),
        AuthorityCommand::Hosts => {
            hosts(&collector.fetch("/v1/authority/hosts", &[]).await?, screen)
        }
        AuthorityCommand::Show { hosts } => {
            let place = format!("{}/standing", place(hosts));
            show(&collector.fetch(&place, &[]).await?, hosts, screen)
        }
        AuthorityCommand::Rotate {
            hosts,
            now,
            reason,
            yes,
        } => {
            if now && !yes {
                meant(hosts, screen)?;
            }
            let wanted = json!({ "now": reason.filter(|_| now) });
            let place = format!("{}/rotate", place(hosts));
            rotated(&collector.post(&place, &wanted).await?, hosts, screen)
        }
        AuthorityCommand::Certificates { person, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(person.map(|person| ("person", person)));
            let given = collector.fetch("/v1/authority/certificates", &query);
            certificates(&given.await?, screen)
        }
    }
}

fn place(hosts: bool) -> &'static str {
    match hosts {
        true => "/v1/authority/hosts",
        false => "/v1/authority",
    }
}

/// Asks whether it is meant that all certificates are void; an error, unless it is.
fn meant(hosts: bool, screen: &mut Screen) -> anyhow::Result<()> {
    let (what, more) = match hosts {
        true => (
            "with --now every host's certificate is void at once, and ssh asks about hosts, or refuses \
             them, until it has the next line",
            "Everybody is given it by `watchward login`, and asked whether it was meant; files of known \
             hosts that were written by hand need what `watchward authority hosts` prints then.",
        ),
        false => (
            "with --now every certificate is void at once, and whoever is logged in with one is thrown \
             out",
            "Hosts without watchward-enforcer take no new one either, until what `watchward authority` \
             prints then stands in the file that TrustedUserCAKeys names.",
        ),
    };
    if !screen.can_ask() {
        bail!("{what}; --yes is needed, and nothing was changed");
    }
    screen.line(&format!("Beware: {what}. {more}"))?;
    screen.agree("Replace it?")
}

fn key(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    for key in Row::of(answer).texts("keys") {
        screen.line(&key)?;
    }
    Ok(())
}

fn hosts(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let lines = Row::of(answer).texts("known_hosts");
    if lines.is_empty() {
        // What is printed goes into known_hosts: a sentence would stand there as a line.
        bail!("no host has a certificate yet: [[keys.hosts]] in the policy says which do");
    }
    lines.iter().try_for_each(|line| Ok(screen.line(line)?))
}

fn show(standing: &Value, hosts: bool, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(standing)?);
    }
    let row = Row::of(standing);
    let signs = row
        .list("authorities")
        .any(|one| one.text("signs") == "true");
    let one = |one| authority(one, signs, hosts);
    let rows: Vec<_> = row.list("authorities").map(one).collect();
    if rows.is_empty() {
        let first = match hosts {
            true => "the first table [[keys.hosts]]",
            false => "the first login",
        };
        let none = format!("There is no authority yet: {first} makes one.");
        return Ok(screen.line(&none)?);
    }
    screen.table(
        [
            "NUMBER",
            "FINGERPRINT",
            "MADE (UTC)",
            "WHAT IT DOES",
            "DUE (UTC)",
            "CERTIFICATES UNTIL (UTC)",
        ],
        &rows,
    )?;
    if !row.text("signs_after").is_empty() {
        let at = row.moment("signs_after");
        let line = format!("The next one signs at {at} UTC, when clients could know it.");
        screen.line(&line)?;
    }
    let waits = row.texts("waits_for");
    if waits.is_empty() {
        return Ok(());
    }
    let what = match hosts {
        true => "The old one waits for",
        false => "The next one waits for",
    };
    let line = format!("{what}: {}.", safe(&waits.join(", ")));
    Ok(screen.line(&line)?)
}

fn authority(one: Row<'_>, signs: bool, hosts: bool) -> [String; 6] {
    let waits = one.text("signs_at").is_empty();
    let what = match (one.text("signs") == "true", waits && signs) {
        (true, _) => "signs",
        (false, true) => "is next",
        (false, false) if hosts => "until no host shows its certificates",
        (false, false) => "until its certificates are over",
    };
    [
        one.cell("number"),
        one.cell("fingerprint"),
        one.moment("made_at"),
        what.to_owned(),
        one.moment("due_at"),
        one.moment("counts_until"),
    ]
}

fn rotated(answer: &Value, hosts: bool, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let none = Value::Null;
    let row = Row::of(answer);
    let revoked = row.texts("revoked");
    for key in &revoked {
        screen.line(&format!(
            "{} is revoked: every host is told now.",
            safe(key)
        ))?;
    }
    let line = match (row.text("made") == "true", revoked.is_empty()) {
        (true, true) if hosts => "The next authority is made. It signs when clients could know it.",
        (true, true) => "The next authority is made. It signs when every host trusts it.",
        (true, false) => "Another authority signs from now on.",
        (false, _) => "The next authority was made before, and waits.",
    };
    screen.line(line)?;
    show(answer.get("standing").unwrap_or(&none), hosts, screen)
}

fn certificates(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    let rows: Vec<_> = Row::all(answer)
        .map(|one| {
            let refused = one.text("refused");
            [
                one.moment("at"),
                one.cell("person"),
                one.cell("address"),
                one.cell("serial"),
                one.cell("authority"),
                one.moment("until"),
                match (refused.is_empty(), one.text("void_at").is_empty()) {
                    (false, _) => format!("refused: {}", safe(&refused)),
                    (true, true) => one.cell("principals"),
                    (true, false) => {
                        format!(
                            "void since {}: {}",
                            one.moment("void_at"),
                            one.cell("principals")
                        )
                    }
                },
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(screen.line("No certificate was asked for.")?);
    }
    let titles = [
        "WHEN (UTC)",
        "WHO",
        "FROM",
        "SERIAL",
        "AUTHORITY",
        "UNTIL (UTC)",
        "FOR",
    ];
    Ok(screen.table(titles, &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_host_is_certified_there_is_no_line_for_known_hosts() {
        let mut screen = Screen::new(false);
        let ended = hosts(&json!({"known_hosts": []}), &mut screen);
        assert!(ended.is_err_and(|it| it.to_string().starts_with("no host has a certificate")));
        let line = json!({"known_hosts": ["@cert-authority web ssh-ed25519 AAAA"]});
        assert!(hosts(&line, &mut screen).is_ok());
    }
}
