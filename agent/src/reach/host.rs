//! What this host says of itself: its addresses, the way back to an address, and all of nftables.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::process::Command;
use watchward_daemon::clock;
use watchward_enforcer::client::SOCKET;
use watchward_enforcer::{Answer, Client, Request};

use super::ruleset::Ruleset;

/// How much nft may say.
const LARGEST: usize = 32 << 20;

/// All of nftables, as far as it matters to this address.
///
/// # Errors
/// Nobody who may look at it answers.
pub(super) async fn ruleset(of: IpAddr) -> anyhow::Result<Ruleset> {
    match tokio::task::spawn_blocking(move || asked(of)).await {
        Ok(Ok(ruleset)) => return Ok(ruleset),
        Ok(Err(error)) if !rustix::process::geteuid().is_root() => {
            return Err(error.context("nftables cannot be looked at"));
        }
        Ok(Err(_)) | Err(_) => {}
    }
    for nft in ["/usr/sbin/nft", "/sbin/nft"] {
        if Path::new(nft).exists() {
            return Ruleset::read(&said(nft, &["-j", "list", "ruleset"]).await?);
        }
    }
    bail!("there is no nft on this host")
}

/// What the enforcer says, which leaves out who is banned: there may be very many.
fn asked(of: IpAddr) -> anyhow::Result<Ruleset> {
    let mut client = Client::connect(Path::new(SOCKET))?;
    let mut ruleset = Ruleset::read(&client.ruleset()?)?;
    let mut after = None;
    loop {
        let Answer::Held(held) = client.ask(&Request::Held { after })? else {
            bail!("the enforcer does not say who is banned");
        };
        let nets = held.iter().map(|ban| &ban.net);
        nets.filter(|net| net.contains(&of))
            .for_each(|net| ruleset.ban(net));
        after = held.last().map(|ban| ban.net);
        if after.is_none_or(|last| last.addr() > of) {
            return Ok(ruleset);
        }
    }
}

/// The moment, by the clock on this host's wall, as digits.
pub(super) fn moment() -> u64 {
    let now = jiff::Timestamp::from_microsecond(clock::now().as_micros()).unwrap_or_default();
    let now = now.to_zoned(TimeZone::system());
    now.strftime("%Y%m%d%H%M%S")
        .to_string()
        .parse()
        .unwrap_or(0)
}

/// Where the kernel would answer an address: by which interface, and as whom.
///
/// # Errors
/// It has no way there.
pub(super) async fn route(to: IpAddr) -> anyhow::Result<(String, IpAddr)> {
    let said = said("ip", &["-j", "route", "get", &to.to_string()]).await?;
    let all: Value = serde_json::from_slice(&said)?;
    let route = all.get(0).context("the kernel has no way there")?;
    let text = |name: &str| route.get(name).and_then(Value::as_str);
    let own = text("prefsrc").context("the kernel would answer from nowhere")?;
    Ok((text("dev").unwrap_or_default().to_owned(), own.parse()?))
}

/// The host's own addresses.
///
/// # Errors
/// They are not said.
pub(super) async fn addresses() -> anyhow::Result<BTreeSet<IpAddr>> {
    let said = said("ip", &["-j", "addr", "show"]).await?;
    let all: Value = serde_json::from_slice(&said)?;
    let links = all.as_array().into_iter().flatten();
    let infos = links.filter_map(|link| link.get("addr_info")?.as_array());
    let locals = infos.flatten().filter_map(|it| it.get("local")?.as_str());
    Ok(locals.filter_map(|it| it.parse().ok()).collect())
}

async fn said(program: &str, words: &[&str]) -> anyhow::Result<Vec<u8>> {
    let run = Command::new(program)
        .args(words)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = run
        .await
        .with_context(|| format!("{program} cannot be asked"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", complaint.trim());
    ensure!(output.stdout.len() <= LARGEST, "{program} says too much");
    Ok(output.stdout)
}
