//! What the agent found on this host, once the collector has heard of it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use watchward_protocol::time::Timestamp;

use super::GLANCE;
use crate::client::Client;
use crate::hosts::{self, finding_line};
use crate::row::Row;
use crate::screen::Screen;

/// Waits until the collector has heard, since this moment, what the agent found.
pub(super) async fn wait(collector: &Client, since: Timestamp) -> anyhow::Result<Value> {
    // What has not changed since an earlier run may not be told again.
    let told = Instant::now() + Duration::from_secs(3);
    loop {
        let answer = hosts::fetch(collector).await?;
        if is_heard(&answer, since, Instant::now() > told) {
            return Ok(answer);
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn is_heard(answer: &Value, since: Timestamp, old_will_do: bool) -> bool {
    let since = Some(since.as_micros());
    let Some(host) = own(answer).filter(|host| host.number("seen_at") >= since) else {
        return false;
    };
    let mut findings = host.list("findings");
    findings.any(|finding| old_will_do || finding.number("at") >= since)
}

/// Shows it, and returns the number of the last finding.
pub(super) fn show(answer: &Value, screen: &mut Screen) -> anyhow::Result<i64> {
    screen.line("")?;
    screen.line("What the agent found on this host:")?;
    let mut last = 0;
    for finding in own(answer)
        .into_iter()
        .flat_map(|host| host.list("findings"))
    {
        let line = finding_line(finding, screen);
        screen.line(&line)?;
        last = last.max(finding.number("id").unwrap_or(0));
    }
    Ok(last)
}

/// Whether an event is a finding that was shown already.
pub(super) fn is_told(event: &Value, last: i64) -> bool {
    let event = Row::of(event);
    event.text("kind") == "finding" && event.number("id") <= Some(last)
}

/// This host among all.
fn own(answer: &Value) -> Option<Row<'_>> {
    let name = host_name();
    Row::all(answer).find(|host| host.text("name") == name && host.text("state") != "revoked")
}

/// This host's name, as an inventory takes it.
pub(super) fn host_name() -> String {
    let host = rustix::system::uname();
    let name: String = host
        .nodename()
        .to_string_lossy()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(seen_at: i64, found_at: i64) -> Value {
        json!([{"name": host_name(), "state": "heard", "seen_at": seen_at,
                "findings": [{"id": 7, "at": found_at}]}])
    }

    #[test]
    fn an_earlier_run_does_not_pass_for_this_one() {
        let now = Timestamp::from_micros(100);
        assert!(!is_heard(&answer(50, 50), now, true));
        assert!(!is_heard(&answer(150, 50), now, false));
        assert!(is_heard(&answer(150, 50), now, true));
        assert!(is_heard(&answer(150, 150), now, false));
    }
}
