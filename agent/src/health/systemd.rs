//! Whether a unit of systemd is active, asked over D-Bus.

use watchward_protocol::checks::systemd::Config;

use super::Found;
use super::bus::Bus;

/// Asks after one unit.
pub(super) async fn check(config: &Config, bus: &Bus) -> Found {
    let name = config.unit.as_str();
    let unit = match bus.unit(name).await {
        Ok(Some(unit)) => unit,
        Ok(None) => return Found::failed(format!("systemd knows no unit {name}")),
        Err(error) => return Found::unknown(format!("systemd does not answer: {error}")),
    };
    let (active, sub) = (unit.active.as_str(), unit.sub.as_str());
    match (unit.load.as_str(), active) {
        ("not-found", _) => Found::failed(format!("there is no unit {name}")),
        ("masked", _) => Found::failed(format!("{name} is masked")),
        (_, "active" | "reloading" | "refreshing") => {
            Found::passed(format!("{name} is {active} ({sub})"))
        }
        (_, "failed") => {
            let why = bus.property(&unit, "Service", "Result").await;
            let why: String = why.unwrap_or_else(|_| sub.to_owned());
            Found::failed(format!("{name} is failed ({why})"))
        }
        _ => Found::failed(format!("{name} is {active} ({sub})")),
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::health::Verdict;

    use super::*;
    use crate::health::bus::testing::{Listing, Systemd};

    #[tokio::test]
    async fn tells_what_systemd_says_of_a_unit() {
        let listing = |name: &str, states| Listing::of(name, states);
        let systemd = Systemd::with(vec![
            listing("nginx.service", ["loaded", "active", "running"]),
            listing("backup.service", ["loaded", "failed", "failed"]).ended("exit-code"),
            listing("quiet.service", ["loaded", "inactive", "dead"]),
            listing("hidden.service", ["masked", "inactive", "dead"]),
        ])
        .await;
        for (unit, verdict, detail) in [
            (
                "nginx.service",
                Verdict::Passed,
                "nginx.service is active (running)",
            ),
            (
                "backup.service",
                Verdict::Failed,
                "backup.service is failed (exit-code)",
            ),
            (
                "quiet.service",
                Verdict::Failed,
                "quiet.service is inactive (dead)",
            ),
            (
                "hidden.service",
                Verdict::Failed,
                "hidden.service is masked",
            ),
            (
                "none.service",
                Verdict::Failed,
                "there is no unit none.service",
            ),
        ] {
            let config = toml::from_str(&format!("unit = {unit:?}")).unwrap();
            let found = check(&config, &systemd.bus).await;
            assert_eq!((found.verdict, found.detail.as_str()), (verdict, detail));
        }
    }
}
