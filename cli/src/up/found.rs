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

/// How long nothing new must come until it is taken for the whole.
const SETTLE: Duration = Duration::from_millis(1500);

/// Waits until the collector has heard, since this moment, what the agent found.
pub(super) async fn wait(collector: &Client, since: Timestamp) -> anyhow::Result<Value> {
    let mut last = None;
    let mut settled = Instant::now() + SETTLE;
    loop {
        let answer = hosts::fetch(collector).await?;
        let newest = newest(&answer, since);
        if newest.is_none() || newest != last {
            settled = Instant::now() + SETTLE;
            last = newest;
        }
        if Instant::now() >= settled {
            return Ok(answer);
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// The number of the last finding, if the host was heard since this moment. What has not changed
/// since an earlier run is not found anew.
fn newest(answer: &Value, since: Timestamp) -> Option<i64> {
    let host = own(answer).filter(|host| host.number("seen_at") >= Some(since.as_micros()))?;
    host.list("findings")
        .filter_map(|finding| finding.number("id"))
        .max()
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

    #[test]
    fn an_earlier_run_does_not_pass_for_this_one() {
        let answer = json!([{"name": host_name(), "state": "heard", "seen_at": 50,
                             "findings": [{"id": 7}, {"id": 9}]}]);
        assert_eq!(newest(&answer, Timestamp::from_micros(100)), None);
        assert_eq!(newest(&answer, Timestamp::from_micros(50)), Some(9));
    }
}
