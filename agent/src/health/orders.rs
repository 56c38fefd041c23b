//! Which checks run here: those of this host, and beside them those that the collector orders.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use watchward_protocol::checks::{self, AbsolutePath, Ordered};
use watchward_protocol::text::Foreign;

use super::check::Check;

/// `[health.orders]`: what the collector may have this host check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether checks that the collector orders are run.
    pub enabled: bool,
    /// The folders whose programs it may order as `command`; without one, none.
    pub plugins: Vec<AbsolutePath>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            plugins: Vec::new(),
        }
    }
}

/// What is to run, and what is not, each with why.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) checks: HashMap<String, Check>,
    pub(super) refused: BTreeMap<String, String>,
}

/// Joins this host's checks and those that are ordered. What this host says itself counts.
pub(super) fn wanted(config: &super::Config, ordered: &[Ordered]) -> Wanted {
    let mut wanted = Wanted {
        checks: Check::all(config).into_iter().collect(),
        refused: BTreeMap::new(),
    };
    if ordered.is_empty() {
        return wanted;
    }
    if !config.orders.enabled {
        let why = format!(
            "[health.orders] says not to run the {} ordered",
            ordered.len()
        );
        wanted.refused.insert("orders".to_owned(), why);
        return wanted;
    }
    let local = wanted.checks.len();
    for order in ordered {
        let start = |text: &str, longest| Foreign::from(text).shortened(longest);
        let (kind, name) = (start(&order.kind, 40), start(&order.name, 70));
        let called = format!("{kind}.{name}");
        let admitted =
            admitted(order, &config.orders).and_then(|check| {
                if !wanted.checks.contains_key(&called) {
                    return Ok(check);
                }
                Err(if Check::all(config).iter().any(|(name, _)| *name == called) {
                "a check of this name stands in this host's configuration, and that one runs"
            } else {
                "another check is ordered under the same name, and that one runs"
            }
            .to_owned())
            });
        match admitted {
            Ok(check) => {
                wanted.checks.insert(called, check);
            }
            Err(why) => {
                wanted.refused.insert(format!("{called} as ordered"), why);
            }
        }
    }
    tracing::debug!(
        local,
        all = wanted.checks.len(),
        "checks and orders are joined"
    );
    wanted
}

/// The check that is ordered, if it may run here.
fn admitted(order: &Ordered, config: &Config) -> Result<Check, String> {
    let (_, check) = order.check().map_err(|error| error.to_string())?;
    let checks::Check::Command(command) = check else {
        return Ok(Check::Of(check));
    };
    let program = command.command.program();
    if config.plugins.is_empty() {
        return Err(format!(
            "{program} is not run for the collector: plugins in [health.orders] names no folder"
        ));
    }
    // Many programs take from their environment what to run: LD_PRELOAD, BASH_ENV, PERL5OPT.
    if !command.env.is_empty() {
        return Err(format!(
            "{program} is not run for the collector with an environment"
        ));
    }
    Ok(Check::Confined(command, config.plugins.clone()))
}

#[cfg(test)]
mod tests {
    use watchward_protocol::order::MOST_CHECKS;

    use super::*;

    fn order(kind: &str, name: &str, settings: &str) -> Ordered {
        let [kind, name, settings] = [kind, name, settings].map(str::to_owned);
        Ordered {
            kind,
            name,
            settings,
        }
    }

    fn config(text: &str) -> crate::health::Config {
        toml::from_str(text).unwrap()
    }

    const LOCAL: &str = "host.enabled = false\ntcp.web.address = \"localhost:80\"\n";

    #[test]
    fn what_is_understood_runs_and_the_rest_is_told() {
        let wanted = wanted(
            &config(LOCAL),
            &[
                order("tcp", "web", "address = \"localhost:81\""),
                order("tcp", "ssh", "address = \"localhost:22\""),
                order("tcp", "ssh", "address = \"localhost:23\""),
                order("telepathy", "a", ""),
                order("tcp", "b\u{1b}[0m", "address = \"localhost:22\""),
                order("tcp", "c", "adress = \"localhost:22\""),
                order("command", "d", "command = [\"/bin/true\"]"),
            ],
        );
        let mut names: Vec<_> = wanted.checks.keys().collect();
        names.sort();
        assert_eq!(names, ["tcp.ssh", "tcp.web"]);
        let Some(Check::Of(checks::Check::Tcp(web))) = wanted.checks.get("tcp.web") else {
            panic!("{:?}", wanted.checks);
        };
        assert_eq!(web.address.port(), 80, "what stands on this host counts");
        for (name, why) in [
            ("tcp.web as ordered", "this host's configuration"),
            ("tcp.ssh as ordered", "under the same name"),
            (
                "telepathy.a as ordered",
                "no kind of check named \"telepathy\"",
            ),
            ("tcp.c as ordered", "unknown field `adress`"),
            ("command.d as ordered", "names no folder"),
        ] {
            assert!(
                wanted.refused[name].contains(why),
                "{name}: {:?}",
                wanted.refused
            );
        }
        assert_eq!(wanted.refused.len(), 6);
        assert!(wanted.refused.keys().all(|name| !name.contains('\u{1b}')));
    }

    #[test]
    fn a_command_is_confined_and_has_no_environment() {
        let config = config("orders.plugins = [\"/usr/lib/nagios/plugins\"]");
        let plain = "command = [\"/usr/lib/nagios/plugins/check_load\"]";
        let wanted = wanted(
            &config,
            &[
                order("command", "load", plain),
                order(
                    "command",
                    "evil",
                    &format!("{plain}\nenv = {{ LD_PRELOAD = \"/tmp/x\" }}"),
                ),
            ],
        );
        let load = wanted.checks.get("command.load");
        assert!(matches!(load, Some(Check::Confined(..))), "{load:?}");
        assert!(wanted.refused["command.evil as ordered"].contains("environment"));
    }

    #[test]
    fn orders_can_be_refused() {
        let orders: Vec<_> = (0..MOST_CHECKS)
            .map(|number| order("tcp", &format!("n{number}"), "address = \"localhost:22\""))
            .collect();
        let many = wanted(&config(LOCAL), &orders);
        assert_eq!(many.checks.len(), 1 + MOST_CHECKS);
        let off = wanted(&config(&format!("{LOCAL}orders.enabled = false")), &orders);
        assert_eq!(off.checks.len(), 1);
        assert!(off.refused["orders"].contains("not to run the 256"));
        let none = wanted(&config(&format!("{LOCAL}orders.enabled = false")), &[]);
        assert!(none.refused.is_empty());
    }
}
