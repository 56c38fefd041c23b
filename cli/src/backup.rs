//! `watchward backup`: everything that the collector keeps, in one new file, while it works.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::client::{Client, Download};
use crate::screen::{Screen, safe};

/// What else it takes to restore.
const BESIDE: &str = "Not in it, and needed beside it: the certificate authority and the master key \
    (authority.pem and master.key in /var/lib/watchward), and /etc/watchward.";

pub(crate) async fn run(
    collector: &Client,
    file: &Path,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    // Before the collector goes to any trouble.
    if file.symlink_metadata().is_ok() {
        return Err(taken(file));
    }
    let bytes = tokio::select! {
        bytes = keep(collector, file) => bytes?,
        _ = tokio::signal::ctrl_c() => bail!("stopped before it was whole; nothing is left of it"),
    };
    if screen.is_for_programs() {
        return Ok(screen.json(&json!({ "file": file, "bytes": bytes }))?);
    }
    screen.line(&format!(
        "{} has everything up to now, {bytes} bytes.",
        safe(&file.to_string_lossy())
    ))?;
    Ok(screen.line(BESIDE)?)
}

/// Writes what the collector sends under another name, readable by its owner alone, and gives it
/// its own when it is whole.
async fn keep(collector: &Client, file: &Path) -> anyhow::Result<u64> {
    let mut download = collector.download("/v1/backup").await?;
    let mut copy = beside(file).with_context(|| cannot_write(file))?;
    let bytes = take(&mut download, copy.as_file_mut())
        .await
        .with_context(|| cannot_write(file))?;
    match copy.persist_noclobber(file) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(taken(file));
        }
        Err(error) => return Err(error.error).with_context(|| cannot_write(file)),
    }
    std::fs::File::open(folder(file))?.sync_all()?;
    Ok(bytes)
}

async fn take(download: &mut Download, copy: &mut std::fs::File) -> anyhow::Result<u64> {
    let mut bytes = 0;
    while let Some(piece) = download.next().await? {
        copy.write_all(&piece)?;
        bytes += piece.len() as u64;
    }
    ensure!(
        download.length.is_none_or(|length| length == bytes),
        "the collector sent only a part of it"
    );
    copy.sync_all()?;
    Ok(bytes)
}

fn beside(file: &Path) -> anyhow::Result<NamedTempFile> {
    let mut name = file.file_name().context("it has no name")?.to_owned();
    name.push(".partial-");
    let new = tempfile::Builder::new()
        .prefix(&name)
        .tempfile_in(folder(file))?;
    Ok(new)
}

fn folder(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn taken(file: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "{} is there already: a backup is always a new file",
        file.display()
    )
}

fn cannot_write(file: &Path) -> String {
    format!("cannot write {}", file.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::client::answered;

    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbytes";

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[tokio::test]
    async fn is_a_new_file_that_its_owner_alone_reads() {
        let (_socket, client) = answered(WHOLE).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("today.db");
        assert_eq!(keep(&client, &file).await.unwrap(), 5);
        assert_eq!(std::fs::read(&file).unwrap(), b"bytes");
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["today.db"]);
    }

    #[tokio::test]
    async fn never_takes_the_place_of_another() {
        let (_socket, client) = answered(WHOLE).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("today.db");
        std::fs::write(&file, "yesterday").unwrap();
        let early = run(&client, &file, &mut Screen::new(false)).await;
        let late = keep(&client, &file).await;
        for refused in [early, late.map(drop)] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("is there already"), "{refused}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"yesterday");
        assert_eq!(names(folder.path()), ["today.db"]);
    }

    #[tokio::test]
    async fn half_a_backup_is_none() {
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nbytes";
        let (_socket, client) = answered(half).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("today.db");
        keep(&client, &file).await.unwrap_err();
        assert!(names(folder.path()).is_empty());
    }
}
