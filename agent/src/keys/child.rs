//! Runs a program and takes what it writes, within a bound of time and size.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// How long a program may take.
const LONGEST: Duration = Duration::from_secs(20);
/// How much it may write.
const LARGEST: u64 = 16 << 20;

/// Runs it, gives it `input`, and takes its output.
///
/// # Errors
/// It cannot be run, fails, takes too long, or writes too much: with what it complained of.
pub(super) async fn run(
    program: &Path,
    arguments: &[&str],
    input: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let name = program.display();
    let run = once(program, arguments, input);
    match tokio::time::timeout(LONGEST, run).await {
        Ok(done) => done.with_context(|| format!("{name} cannot be asked")),
        Err(_) => bail!(
            "{name} does not answer within {} seconds",
            LONGEST.as_secs()
        ),
    }
}

async fn once(program: &Path, arguments: &[&str], input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let mut give = child.stdin.take().context("it has no input")?;
    let take = child.stdout.take().context("it has no output")?;
    let hear = child.stderr.take().context("it has no errors")?;
    let (mut take, mut hear) = (take.take(LARGEST), hear.take(64 << 10));
    let (given, taken, heard) = tokio::join!(
        async move { give.write_all(input).await },
        take.read_to_end(&mut output),
        hear.read_to_end(&mut complaint),
    );
    // Who needs no input does not read it.
    let _as_it_likes = given;
    taken?;
    heard?;
    ensure!(output.len() < 16 << 20, "it says more than 16 MiB");
    let status = child.wait().await?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complaint);
        let last = complaint.lines().rfind(|line| !line.trim().is_empty());
        bail!(
            "{}",
            last.map_or_else(|| status.to_string(), |line| line.trim().to_owned())
        );
    }
    Ok(output)
}
