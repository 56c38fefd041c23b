//! The fourth figure: certificates of people per CPU second, each with its row on the disk, beside
//! `ssh-keygen -s`, which is begun anew for each.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Deserialize;
use watchward_collector::alerting;
use watchward_collector::keys::{self, Authority, Policy, Revocations};
use watchward_collector::people::{Role, Roles};
use watchward_collector::policy::{Groups, Networks};
use watchward_collector::sealing::Sealing;
use watchward_collector::store::Store;
use watchward_daemon::clock;
use watchward_daemon::config::{self, Live};
use watchward_tests::run::run;

use crate::{cpu, figure, say};

/// How many are given, and how many ssh-keygen signs.
const GIVEN: usize = 5_000;
const SIGNED: u32 = 200;

const POLICY: &str = "[networks]\noffice = [\"192.0.2.0/24\"]\n\
    [[keys.certificates]]\nroles = [\"operator\"]\nfrom = [\"office\"]\nlife = \"4h\"\n";

/// Measures and says it.
pub(crate) fn measure(folder: &Path) -> Result<()> {
    say(&format!(
        "\n{:<34} {:>9} {:>14}",
        "certificates", "CPU s", "each/CPU s"
    ))?;
    let make = "for it in authority ada; do ssh-keygen -q -t ed25519 -N '' -f $it; done";
    run(Command::new("bash").args(["-ec", make]).current_dir(folder))?;
    let sign = "ssh-keygen -q -s \"$FILE\" -I 'ada watchward-1-7' -n role:operator,person:ada -z 7 \
        -V -5m:+4h -O source-address=192.0.2.0/24 \"${FILE%/*}/ada.pub\"";
    let floor = cpu::of_command(sign, &folder.join("authority"), SIGNED)? * SIGNED;
    let of_each = usize::try_from(SIGNED)?;
    say(&format!(
        "{:<34} {}",
        "ssh-keygen -s",
        figure(of_each, floor)
    ))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ours = runtime.block_on(give(folder))?;
    say(&format!(
        "{:<34} {}",
        "watchward, with its row",
        figure(GIVEN, ours)
    ))
}

/// What it costs to give so many.
async fn give(folder: &Path) -> Result<Duration> {
    let key = std::fs::read_to_string(folder.join("ada.pub"))?;
    let url = format!("sqlite://{}/certificates.db", folder.display());
    let store = Store::open(&url, &[keys::SCHEMA, alerting::SCHEMA]).await?;
    let (revocations, _told) = Revocations::open(&store).await?;
    let policy = Live::fixed(policy()?);
    let authority = Authority::new(store, Sealing::fleeting(), policy, revocations);
    let roles = Roles::from(Role::Operator);
    let before = cpu::own();
    for _ in 0..GIVEN {
        authority
            .certify(("ada", &roles), &key, clock::now())
            .await?;
    }
    Ok(cpu::own() - before)
}

fn policy() -> Result<Policy> {
    #[derive(Deserialize)]
    struct Whole {
        networks: Networks,
        keys: Policy,
    }
    let read = config::parse::<Whole>(POLICY, Path::new("policy.toml"), |whole| {
        whole.networks.join()?;
        whole.keys.join(&Groups::default(), &whole.networks)
    });
    read.map(|whole| whole.keys)
        .map_err(|error| anyhow!("{error}"))
}
