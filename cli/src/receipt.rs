//! `watchward receipt` and `watchward verify`: what was done about a key, signed, and whether it is so.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use watchward_protocol::receipt::{How, Public, Receipt, verify as genuine};

use crate::args;
use crate::client::Client;
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
    ensure!(
        key.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/:".contains(&byte)),
        "a key is named by its fingerprint, SHA256:..."
    );
    let key = key.replace('+', "%2B").replace('/', "%2F");
    let path = format!("/v1/receipt?fingerprint={key}");
    let mut download = collector.download(&path).await?;
    let mut text = Vec::new();
    while let Some(piece) = download.next().await? {
        text.extend(piece);
    }
    let text = String::from_utf8(text).context("the collector sends no text")?;
    // Byte by byte as it was signed, with one end of line, which `line` adds.
    let text = text.strip_suffix('\n').context("the receipt is cut off")?;
    Ok(screen.line(text)?)
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
    let receipt = match genuine(&text, &key) {
        Ok(receipt) => receipt,
        Err(why) => bail!("REFUSED: {why}"),
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
        (
            "Sessions",
            format!(
                "{} ended, {} go on",
                counts.sessions_ended, counts.sessions_alive
            ),
        ),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        screen.line(&format!("{name:<9} {}", safe(fact)))?;
    }
    course(receipt, screen)?;
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
