//! `watchward hosts`: who is watched, what is watched there, and who is cut off.

use anyhow::ensure;
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use crate::args::{HostCommand, Hosts};
use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, safe};

mod stolen;

pub(crate) async fn run(
    collector: &Client,
    asked: Hosts,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match asked.command {
        None | Some(HostCommand::List) => {
            let wanted = json!({ "name": asked.name, "state": asked.state });
            let query = Row::of(&wanted).query(&["name", "state"]);
            let answer = collector.fetch("/v1/hosts", &query).await?;
            list(&answer, query.is_empty(), screen)
        }
        Some(HostCommand::Revoke { host, stolen, yes }) => {
            // Before anything is asked about it: a mistyped name is no question.
            watched(collector, &host).await?;
            match stolen {
                None => revoke(collector, (&host, yes), screen).await,
                Some(reason) => stolen::revoke(collector, (&host, &reason, yes), screen).await,
            }
        }
    }
}

/// Cuts a host off that is meant.
async fn revoke(
    collector: &Client,
    (host, yes): (&str, bool),
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let name = safe(host);
    screen.agree_unless(yes, &format!("Cut {name} off for good?"))?;
    cut_off(collector, host).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&json!({"revoked": host}))?);
    }
    Ok(screen.line(&format!("{name} is cut off."))?)
}

/// An error, unless there is such a host that is not cut off yet.
async fn watched(collector: &Client, host: &str) -> anyhow::Result<()> {
    let query = [("name", host.to_owned())];
    let answer: Value = collector.fetch("/v1/hosts", &query).await?;
    let was_revoked = Row::all(&answer).all(|one| one.text("state") == "revoked");
    ensure!(!was_revoked, "{} was revoked before", safe(host));
    Ok(())
}

/// The hosts as the collector has them.
pub(crate) async fn fetch(collector: &Client) -> anyhow::Result<Value> {
    collector.fetch("/v1/hosts", &[]).await
}

fn list(answer: &Value, all: bool, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_for_programs() {
        return Ok(screen.json(answer)?);
    }
    if all && Row::all(answer).next().is_none() {
        screen.line("No hosts yet. Invite one: watchward token create NAME")?;
        return Ok(());
    }
    if Row::all(answer).next().is_none() {
        return Ok(screen.line("No host is in this state.")?);
    }
    let now = clock::now();
    let rows: Vec<_> = Row::all(answer)
        .map(|host| {
            [
                host.cell("name"),
                host.cell("state"),
                host.moment("seen_at"),
                host.cell("version"),
                host.cell("system"),
                spool(host, now),
            ]
        })
        .collect();
    screen.table(
        [
            "HOST",
            "STATE",
            "LAST HEARD (UTC)",
            "AGENT",
            "SYSTEM",
            "SPOOL",
        ],
        &rows,
    )?;
    for host in Row::all(answer) {
        let findings: Vec<_> = host
            .list("findings")
            .map(|finding| finding_line(finding, screen))
            .collect();
        if findings.is_empty() {
            continue;
        }
        screen.line("")?;
        screen.line(&format!("{}:", safe(&host.text("name"))))?;
        for line in findings {
            screen.line(&line)?;
        }
    }
    Ok(())
}

/// What waits on a host until the collector has it, if the host is heard and says so.
fn spool(host: Row<'_>, now: Timestamp) -> String {
    match host.number("behind") {
        Some(0) if host.text("state") == "heard" => "up to date".to_owned(),
        Some(records) if host.text("state") == "heard" => {
            let since = host.number("behind_since").map(Timestamp::from_micros);
            let age = now.since(since.unwrap_or(now)).as_secs();
            format!("{records} behind, oldest {}", about(age))
        }
        _ => "-".to_owned(),
    }
}

/// A span as one number and its unit.
fn about(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// One thing that an agent looked for, on a line.
pub(crate) fn finding_line(finding: Row<'_>, screen: &Screen) -> String {
    let state = finding.text("state");
    let mark = screen.state_mark(&state);
    let subject = safe(&finding.text("subject"));
    let detail = safe(&finding.text("detail"));
    format!("  {mark} {subject}: {detail}")
}

/// Cuts a host off for good.
async fn cut_off(collector: &Client, host: &str) -> anyhow::Result<()> {
    let path = format!("/v1/hosts/{}/revoke", encoded(host));
    let _: Value = collector.post(&path, &json!({})).await?;
    Ok(())
}

/// A name as one segment of a path.
pub(crate) fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::answered;

    #[tokio::test]
    async fn no_host_is_cut_off_unasked_and_nobody_is_asked_about_one_that_is_not_there() {
        const HEARD: &str =
            "HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n[{\"name\":\"web\",\"state\":\"heard\"}]";
        const REVOKED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 34\r\n\r\n[{\"name\":\"web\",\"state\":\"revoked\"}]";
        const NONE: &str =
            "HTTP/1.1 404 Not Found\r\ncontent-length: 24\r\n\r\n{\"error\":\"no such host\"}";
        for (answer, words) in [
            (HEARD, "--yes is needed"),
            (REVOKED, "web was revoked before"),
            (NONE, "no such host"),
        ] {
            for stolen in [None, Some("carried away".to_owned())] {
                // It answers once: whoever went on would get another error.
                let (_socket, collector) = answered(answer).await;
                let asked = Hosts {
                    name: None,
                    state: None,
                    command: Some(HostCommand::Revoke {
                        host: "web".to_owned(),
                        stolen,
                        yes: false,
                    }),
                };
                let ended = run(&collector, asked, &mut Screen::new(true)).await;
                let said = ended.unwrap_err().to_string();
                assert!(said.contains(words), "{words}: {said}");
            }
        }
    }

    #[test]
    fn a_name_cannot_name_another_path() {
        assert_eq!(encoded("web-1.example"), "web-1.example");
        assert_eq!(encoded("../x?y"), "..%2Fx%3Fy");
    }

    #[test]
    fn what_waits_on_a_host_is_said_while_the_host_is_heard() {
        let now = Timestamp::from_micros(600_000_000);
        for (host, said) in [
            (json!({"state": "heard", "behind": 0}), "up to date"),
            (
                json!({"state": "heard", "behind": 1204, "behind_since": 400_000_000}),
                "1204 behind, oldest 3 min",
            ),
            (json!({"state": "silent", "behind": 1204}), "-"),
            (json!({"state": "heard", "behind": null}), "-"),
        ] {
            assert_eq!(spool(Row::of(&host), now), said);
        }
    }
}
