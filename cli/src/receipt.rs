//! `watchward receipt` and `watchward verify`: what was done about a key, signed, and whether it is so.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;
use watchward_protocol::receipt::{Counts, How, Public, Receipt, Untrusted, verify as genuine};
use watchward_protocol::report;

use crate::args;
use crate::client::Client;
use crate::named::fingerprint;
use crate::row::Row;
use crate::screen::{Screen, safe};

/// No receipt is longer, in bytes.
const LARGEST: u64 = 1 << 30;
/// Nor any file with a key.
const LARGEST_KEY: u64 = 64 << 10;

/// Prints a receipt as it was signed, or what receipts are verified with.
pub(crate) async fn run(
    collector: &Client,
    asked: args::Receipt,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let Some(key) = asked.key else {
        let answer: Value = collector.fetch("/v1/receipt/key", &[]).await?;
        if screen.is_for_programs() {
            return Ok(screen.json(&answer)?);
        }
        return Ok(screen.line(Row::of(&answer).text("pem").trim_end())?);
    };
    let path = match key.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("/v1/receipt?number={key}"),
        false => {
            let key = fingerprint(&key)?.replace('+', "%2B");
            let key = key.replace('/', "%2F").replace('=', "%3D");
            format!("/v1/receipt?fingerprint={key}")
        }
    };
    Ok(screen.line(&signed(collector, &path).await?)?)
}

/// What the collector signed, byte by byte, without the end of its last line.
pub(crate) async fn signed(collector: &Client, path: &str) -> anyhow::Result<String> {
    let mut download = collector.download(path).await?;
    let mut text = Vec::new();
    while let Some(piece) = download.next().await? {
        text.extend(piece);
    }
    let text = String::from_utf8(text).context("the collector sends no text")?;
    let text = text
        .strip_suffix('\n')
        .context("what was signed is cut off")?;
    Ok(text.to_owned())
}

/// Looks whether a receipt is as it was signed; an error, unless it is.
pub(crate) fn verify(asked: &args::Verify, screen: &mut Screen) -> anyhow::Result<()> {
    let pem = String::from_utf8(read(&asked.key, LARGEST_KEY)?);
    let key = pem.ok().as_deref().and_then(Public::from_pem);
    let place = asked.key.display();
    let key = key.with_context(|| {
        format!("{place} is no public key: `watchward receipt --public-key` prints the right one")
    })?;
    let text = read(&asked.receipt, LARGEST)?;
    let receipt = match (genuine(&text, &key), report::verify(&text, &key)) {
        (Ok(receipt), _) => receipt,
        (_, Ok(report)) => return crate::report::verified(&report, screen),
        (Err(Untrusted::NotOne), Err(why)) | (Err(why), _) => bail!("REFUSED: {why}"),
    };
    if screen.is_for_programs() {
        return Ok(screen.json(&serde_json::to_value(&receipt)?)?);
    }
    show(&receipt, screen)
}

fn read(file: &Path, largest: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(largest).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    let place = || format!("cannot read {}", file.display());
    let open = std::fs::File::open(file).with_context(place)?;
    open.take(largest)
        .read_to_end(&mut bytes)
        .with_context(place)?;
    Ok(bytes)
}

fn show(receipt: &Receipt, screen: &mut Screen) -> anyhow::Result<()> {
    let (key, act, counts) = (&receipt.key, &receipt.revoked, &receipt.counts);
    let facts = [
        ("Genuine", format!("signed by {}", receipt.signer)),
        ("Written", receipt.made_at.0.clone()),
        (
            "Proven",
            match receipt.is_proven {
                true if key.is_certificate() => {
                    "every host's sshd refuses it; of a certificate no door is asked".to_owned()
                }
                true if key.is_peer() => "it stands on no interface of any host".to_owned(),
                true => "every door of every host refuses the key".to_owned(),
                false => "not yet: see what is missing".to_owned(),
            },
        ),
        (
            "Key",
            format!("{} {} {}", key.fingerprint, key.kind, key.comment),
        ),
        ("Of", key.person.clone()),
        ("Revoked", format!("{} by {}", act.at.0, act.by)),
        ("Why", act.why.clone()),
        (
            "Hosts",
            format!(
                "{} of {} hold it, {} pending",
                counts.held, counts.hosts, counts.pending
            ),
        ),
        (
            "Doors",
            format!(
                "{} asked: {} refuse it, {} of them with a control; {} take it, {} cannot be told of",
                counts.doors, counts.refused, counts.controlled, counts.accepted, counts.unknown
            ),
        ),
        ("Sessions", ended(counts)),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        screen.line(&format!("{name:<9} {}", safe(fact)))?;
    }
    course(receipt, screen)?;
    tunnels(receipt, screen)?;
    sessions(receipt, screen)?;
    if receipt.missing.is_empty() {
        return Ok(screen.line("Nothing was missing when it was written.")?);
    }
    screen.line("Missing when it was written:")?;
    for one in &receipt.missing {
        screen.line(&safe(&format!("  {one}")))?;
    }
    Ok(())
}

/// What became of sessions, in numbers.
fn ended(counts: &Counts) -> String {
    let (ended, alive) = (counts.sessions_ended, counts.sessions_alive);
    match counts.sessions_unknown {
        0 => format!("{ended} ended, {alive} go on"),
        unknown => {
            format!("{ended} ended, {alive} go on, of {unknown} it is not known what opened them")
        }
    }
}

/// What happened while it was replaced, and what was seen from elsewhere.
fn course(receipt: &Receipt, screen: &mut Screen) -> anyhow::Result<()> {
    for phase in &receipt.phases {
        screen.line(&format!("          {} {}", phase.at.0, safe(&phase.what)))?;
    }
    for host in &receipt.hosts {
        let elsewhere = host.proof.as_ref().map(|it| it.elsewhere.as_str());
        if let Some(seen) = elsewhere.filter(|it| !it.is_empty()) {
            screen.line(&format!(
                "{:<9} {}",
                "",
                safe(&format!("{}: {seen}", host.host))
            ))?;
        }
    }
    Ok(())
}

/// What became of a peer of WireGuard.
fn tunnels(receipt: &Receipt, screen: &mut Screen) -> anyhow::Result<()> {
    for host in &receipt.hosts {
        let Some(tunnel) = &host.tunnel else { continue };
        let mut said: Vec<_> = tunnel
            .taken
            .iter()
            .map(|one| match one.times {
                1 => format!("taken away from {} at {}", one.interface, one.first_at.0),
                times => format!(
                    "taken away from {} {times} times, first at {}, last at {}",
                    one.interface, one.first_at.0, one.last_at.0
                ),
            })
            .collect();
        said.push(match tunnel.standing.as_slice() {
            [] => format!("not standing at {}", tunnel.looked_at.0),
            some => format!("standing on {} at {}", some.join(", "), tunnel.looked_at.0),
        });
        let line = format!("          {}: {}", host.host, said.join("; "));
        screen.line(&safe(&line))?;
    }
    Ok(())
}

fn sessions(receipt: &Receipt, screen: &mut Screen) -> anyhow::Result<()> {
    for host in &receipt.hosts {
        for one in &host.sessions {
            let ended = match one.how {
                How::Ended | How::Gone => one.ended_at.0.as_str(),
                How::Alive => one.why.as_str(),
            };
            let line = format!(
                "          {}@{} from {}, open since {}: {} {ended}",
                one.account,
                host.host,
                one.address,
                one.opened_at.0,
                one.how.words()
            );
            screen.line(&safe(&line))?;
            for survivor in &one.survivors {
                screen.line(&safe(&format!("            may live on: {survivor}")))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_said_of_sessions_than_is_known() {
        let mut counts = Counts {
            sessions_ended: 2,
            ..Counts::default()
        };
        assert_eq!(ended(&counts), "2 ended, 0 go on");
        counts.sessions_unknown = 1;
        let said = "2 ended, 0 go on, of 1 it is not known what opened them";
        assert_eq!(ended(&counts), said);
    }
}
