//! What hosts make of a policy that has just come into force, as they say it.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::row::Row;
use crate::screen::{Screen, Tone, safe};

/// For how long at most.
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is asked.
const EVERY: Duration = Duration::from_millis(500);
/// Of so many hosts each is shown that holds its gates; of more they are only counted.
const SHOWN: usize = 20;

/// Follows until each host has settled, or for a minute; says how they stand then.
pub(super) async fn follow(collector: &Client, screen: &mut Screen) -> anyhow::Result<Vec<Value>> {
    let (mut shown, end) = (HashMap::new(), Instant::now() + LONGEST);
    loop {
        let hosts: Vec<Value> = collector.fetch("/v1/gates", &[]).await?;
        if !screen.is_for_programs() {
            show(&hosts, &mut shown, screen)?;
        }
        let waits = hosts.iter().filter(|host| !is_settled(host)).count();
        if waits > 0 && Instant::now() < end {
            sleep(EVERY).await;
            continue;
        }
        if !screen.is_for_programs() && !hosts.is_empty() {
            conclude(&hosts, waits, screen)?;
        }
        return Ok(hosts);
    }
}

/// How many did not take their gates: because they will not, or where something is to be shut and
/// nobody is there who could. Who is away takes them when it is back.
pub(super) fn refused(hosts: &[Value]) -> usize {
    let refused = |host: &&Value| match stand(host).as_str() {
        "refused" | "undone" => true,
        "no-enforcer" | "mute" => Row::of(host).list("shut").next().is_some(),
        _ => false,
    };
    hosts.iter().filter(refused).count()
}

fn stand(host: &Value) -> String {
    Row::of(host).text("stand")
}

/// Whether nothing more is to be expected of a host within a minute.
fn is_settled(host: &Value) -> bool {
    !matches!(stand(host).as_str(), "trial" | "waiting")
}

/// Shows what is other than before.
fn show(
    hosts: &[Value],
    shown: &mut HashMap<String, String>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    for host in hosts {
        let (row, stand) = (Row::of(host), stand(host));
        let is_usual = matches!(stand.as_str(), "held" | "trial" | "waiting");
        if is_usual && hosts.len() > SHOWN {
            continue;
        }
        let (name, words, why) = (row.text("host"), row.text("words"), row.text("why"));
        let said = match why.is_empty() {
            true => words,
            false => format!("{words}: {why}"),
        };
        if shown.get(&name) == Some(&said) {
            continue;
        }
        let tone = match stand.as_str() {
            "held" => Tone::Good,
            "trial" | "waiting" => Tone::Dim,
            "refused" | "undone" => Tone::Bad,
            _ => Tone::Warn,
        };
        let line = format!("{}: {}", safe(&name), screen.paint(tone, &safe(&said)));
        screen.line(&line)?;
        shown.insert(name, said);
    }
    Ok(())
}

fn conclude(hosts: &[Value], waits: usize, screen: &mut Screen) -> anyhow::Result<()> {
    let held = hosts.iter().filter(|host| stand(host) == "held").count();
    screen.line(&format!(
        "Hosts that hold their gates: {held} of {}.",
        hosts.len()
    ))?;
    if waits > 0 {
        screen.line(&format!(
            "Still to answer: {waits}. `watchward networks` says how they stand."
        ))?;
    }
    Ok(())
}
