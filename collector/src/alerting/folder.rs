//! Writes messages into a folder, a file each, while no server sends them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::attempt::Outcome;
use super::message::Message;

/// Writes a message whole or not at all. Written once more, it is the same file.
pub(super) fn write(folder: &Path, message: &Message, ending: &str, content: &[u8]) -> Outcome {
    place(folder, &path(folder, message, ending), content)
}

/// Writes a letter under this name, in place of the one before.
pub(super) fn write_as(folder: &Path, name: &str, content: &[u8]) -> Outcome {
    place(folder, &folder.join(name), content)
}

fn place(folder: &Path, path: &Path, content: &[u8]) -> Outcome {
    match put(folder, path, content) {
        Ok(()) => Outcome::Written(path.display().to_string()),
        Err(error) => Outcome::Later(format!("cannot write {}: {error}", path.display())),
    }
}

/// Whether a message was written.
pub(super) fn find(folder: &Path, message: &Message, ending: &str) -> Outcome {
    let path = path(folder, message, ending);
    if path.exists() {
        return Outcome::Written(path.display().to_string());
    }
    Outcome::Absent
}

/// Forgets messages that were written before `oldest`. What is not ours is left alone.
pub(super) fn prune(folder: &Path, oldest: SystemTime) -> io::Result<usize> {
    let mut gone = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let old = entry.metadata()?.modified()? < oldest;
        if old && is_ours(&entry.path()) {
            fs::remove_file(entry.path())?;
            gone += 1;
        }
    }
    Ok(gone)
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().and_then(|ending| ending.to_str());
    let numbered = name.split('-').next().is_some_and(|number| {
        number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    numbered && matches!(ending, Some("eml" | "txt" | "unfinished"))
}

/// `007-sms-W-7K3F-opened.txt`: in the order of their numbers they are in the order of time.
fn path(folder: &Path, message: &Message, ending: &str) -> PathBuf {
    folder.join(format!(
        "{:03}-{}-{}-{}.{ending}",
        message.id,
        message.channel.name(),
        message.incident.code,
        message.kind.name()
    ))
}

fn put(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("unfinished");
    // A letter has a link in it that lets in.
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}
