//! Whether a file is there, fresh, and neither too large nor too small.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use watchward_protocol::checks::file::Config;
use watchward_protocol::health::Value;
use watchward_protocol::time::Timestamp;

use super::Found;
use super::host::Size;
use super::words::{roughly, shortened};

/// A file as it was found.
#[derive(Debug)]
struct File {
    path: PathBuf,
    size: u64,
    written: Timestamp,
}

/// Looks once. May wait as long as the file system does.
pub(super) fn check(config: &Config, now: Timestamp) -> Found {
    let path = &config.path;
    match newest(path.as_path()) {
        Ok(Some(file)) if !config.exists => {
            Found::failed(format!("{} is there", shown_path(&file.path)))
        }
        Ok(Some(file)) => judge(config, &file, now),
        Ok(None) if !config.exists => Found::passed(format!("{path} is not there")),
        Ok(None) if path.as_path().is_dir() => Found::failed(format!("no file is in {path}")),
        Ok(None) => Found::failed(format!("{path} is not there")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Found::unknown(format!("the agent's user may not look at {path}"))
        }
        Err(error) => Found::unknown(format!("{path} cannot be looked at: {error}")),
    }
}

/// The file that a path means: itself, or the newest of those in a folder or of a pattern.
fn newest(path: &Path) -> io::Result<Option<File>> {
    let pattern = path.file_name().map(|name| name.to_string_lossy());
    let pattern = pattern.filter(|name| name.contains(['*', '?']));
    let (folder, pattern) = match (&pattern, there(fs::metadata(path))?) {
        (Some(pattern), None) => (path.parent().unwrap_or(path), pattern.as_ref()),
        (_, Some(meta)) if meta.is_dir() => (path, "*"),
        (_, Some(meta)) => return file(path, &meta).map(Some),
        (None, None) => return Ok(None),
    };
    let Some(entries) = there(fs::read_dir(folder))? else {
        return Ok(None);
    };
    let mut newest: Option<File> = None;
    for entry in entries {
        let entry = entry?;
        if !matches(
            pattern.as_bytes(),
            entry.file_name().to_string_lossy().as_bytes(),
        ) {
            continue;
        }
        // What is taken away meanwhile is not the newest.
        let Some(meta) = there(fs::metadata(entry.path()))? else {
            continue;
        };
        if meta.is_file() {
            let file = file(&entry.path(), &meta)?;
            if newest
                .as_ref()
                .is_none_or(|known| known.written < file.written)
            {
                newest = Some(file);
            }
        }
    }
    Ok(newest)
}

/// Nothing, if it is not there.
fn there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn file(path: &Path, meta: &fs::Metadata) -> io::Result<File> {
    let written = meta
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(File {
        path: path.to_owned(),
        size: meta.len(),
        written: Timestamp::default() + written,
    })
}

/// Whether a name fits a pattern, in which `*` is anything and `?` one byte.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where the last star was, and how far the name was when it was met.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, seen));
                at += 1;
            }
            (Some(wanted), _) if *wanted == b'?' || wanted == byte => {
                at += 1;
                seen += 1;
            }
            (_, Some((place, since))) => {
                star = Some((place, since + 1));
                at = place + 1;
                seen = since + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

fn judge(config: &Config, file: &File, now: Timestamp) -> Found {
    let age = now.since(file.written);
    let size = Size(file.size);
    let path = shown_path(&file.path);
    let said = format!("{path} was written {} ago, {size}", roughly(age));
    let wrong = [
        config
            .max_age
            .filter(|limit| age > limit.duration())
            .map(|limit| format!("older than {limit}")),
        config
            .min_age
            .filter(|limit| age < limit.duration())
            .map(|limit| format!("younger than {limit}")),
        config
            .max_size
            .filter(|limit| file.size > limit.bytes())
            .map(|limit| format!("larger than {limit}")),
        config
            .min_size
            .filter(|limit| file.size < limit.bytes())
            .map(|limit| format!("smaller than {limit}")),
    ];
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    let mut found = if wrong.is_empty() {
        Found::passed(said)
    } else {
        Found::failed(format!("{said}: {}", wrong.join(", ")))
    };
    found.values = vec![
        Value::new("age", age.as_secs_f64().round(), "s"),
        Value::new("size", size.approximately(), "B"),
    ];
    found
}

fn shown_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    shortened(path.as_os_str().as_bytes(), 300)
}

#[cfg(test)]
mod tests;
