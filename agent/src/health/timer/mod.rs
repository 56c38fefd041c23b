//! Whether a timer of systemd ran when it should, and whether what it runs ended well.

use std::time::Duration;

use watchward_protocol::checks::timer::Config;
use watchward_protocol::health::Value;
use watchward_protocol::time::Timestamp;

use super::Found;
use super::bus::{Bus, Unit};
use super::words::roughly;

/// How late a timer may be: systemd puts up to a minute together (`AccuracySec`), and a host that
/// was suspended needs a moment.
const LATE: Duration = Duration::from_secs(300);

/// Asks after one timer and what it runs.
pub(super) async fn check(config: &Config, bus: &Bus, now: Timestamp) -> Found {
    let name = config.unit.as_str();
    let unit = match bus.unit(name).await {
        Ok(Some(unit)) => unit,
        Ok(None) => return Found::failed(format!("systemd knows no unit {name}")),
        Err(error) => return Found::unknown(format!("systemd does not answer: {error}")),
    };
    match (unit.load.as_str(), unit.active.as_str()) {
        ("not-found", _) => return Found::failed(format!("there is no unit {name}")),
        ("masked", _) => return Found::failed(format!("{name} is masked")),
        (_, "active") => {}
        (_, active) => return Found::failed(format!("{name} is {active} ({})", unit.sub)),
    }
    match look(unit, bus).await {
        Ok(seen) => judge(config, &seen, now),
        Err(error) => Found::unknown(format!("systemd does not tell of {name}: {error}")),
    }
}

/// A timer that is active, and what it runs.
#[derive(Clone, Debug)]
struct Seen {
    /// Whether what it runs is running now.
    running: bool,
    /// Since when it is active.
    since: Timestamp,
    /// When it last elapsed, unless it never did.
    last: Option<Timestamp>,
    /// When it elapses next by the clock, if it does.
    next: Option<Timestamp>,
    /// What it runs.
    service: String,
    /// How that ended, unless well.
    trouble: Option<String>,
}

async fn look(unit: Unit, bus: &Bus) -> zbus::Result<Seen> {
    let service: String = bus.property(&unit, "Timer", "Unit").await?;
    let trouble = match bus.unit(&service).await? {
        Some(run) if service.ends_with(".service") && run.load == "loaded" => {
            let result: String = bus.property(&run, "Service", "Result").await?;
            // A condition that did not hold is no failure (systemd.service(5), ExecCondition=).
            let well = matches!(result.as_str(), "success" | "exec-condition");
            (!well).then_some(result)
        }
        Some(run) if run.load == "not-found" => Some("there is no such unit".to_owned()),
        Some(_) | None => None,
    };
    let moment = |micros: u64| i64::try_from(micros).ok().filter(|micros| *micros > 0);
    let moment = |micros| moment(micros).map(Timestamp::from_micros);
    let since = bus.property(&unit, "Unit", "ActiveEnterTimestamp").await?;
    Ok(Seen {
        running: unit.sub == "running",
        since: moment(since).unwrap_or_default(),
        last: moment(bus.property(&unit, "Timer", "LastTriggerUSec").await?),
        next: moment(
            bus.property(&unit, "Timer", "NextElapseUSecRealtime")
                .await?,
        ),
        service,
        trouble,
    })
}

fn judge(config: &Config, seen: &Seen, now: Timestamp) -> Found {
    let (name, service) = (config.unit.as_str(), &seen.service);
    let ago = |at: Timestamp| format!("{} ago ({at})", roughly(now.since(at)));
    let last = match seen.last {
        Some(last) => format!("{name} last ran {}", ago(last)),
        None => format!(
            "{name} has not run since it was started {}",
            ago(seen.since)
        ),
    };
    let age = now.since(seen.last.unwrap_or(seen.since));
    let old = config.max_age.filter(|limit| age > limit.duration());
    let missed = seen
        .next
        .filter(|next| !seen.running && now.since(*next) > LATE);
    let mut found = if let Some(trouble) = &seen.trouble {
        Found::failed(format!("{service} failed ({trouble}); {last}"))
    } else if let Some(limit) = old {
        Found::failed(format!("{last}: longer than {limit}"))
    } else if let Some(missed) = missed {
        Found::failed(format!("{name} should have run {}; {last}", ago(missed)))
    } else if seen.running {
        Found::passed(format!("{last}, and {service} is running now"))
    } else {
        let next = seen.next.filter(|next| *next > now);
        let next = next.map(|next| format!(", next in {}", roughly(next.since(now))));
        Found::passed(format!("{last}{}", next.unwrap_or_default()))
    };
    if seen.last.is_some() {
        found.values = vec![Value::new("age", age.as_secs_f64().round(), "s")];
    }
    found
}

#[cfg(test)]
mod tests;
