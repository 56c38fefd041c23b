//! The guard file on the disk: read again whenever it is another, if nobody but root can have written it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use crate::guard::Guard;

/// The guard file, read again whenever it is another.
pub(crate) struct Guarded {
    file: PathBuf,
    seen: Option<[i64; 5]>,
    /// The last that could be used.
    pub(crate) guard: Guard,
    /// Why what is there now cannot be.
    pub(crate) trouble: Option<String>,
}

impl Guarded {
    pub(crate) fn new(file: PathBuf) -> Self {
        let mut guarded = Self {
            file,
            seen: None,
            guard: Guard::default(),
            trouble: Some("the guard file was not read yet".to_owned()),
        };
        guarded.look();
        guarded
    }

    /// Looks whether the file is another, and says whether anything is different now.
    pub(crate) fn look(&mut self) -> bool {
        let now = std::fs::symlink_metadata(&self.file).ok();
        let now = now.map(|it| {
            let owner = i64::from(it.uid()) << 32 | i64::from(it.mode());
            [
                it.ino().cast_signed(),
                it.ctime(),
                it.ctime_nsec(),
                it.mtime(),
                owner,
            ]
        });
        if self.trouble.is_none() && now == self.seen {
            return false;
        }
        self.seen = now;
        let before = (self.guard.clone(), self.trouble.clone());
        match read(&self.file) {
            Ok(guard) => (self.guard, self.trouble) = (guard, None),
            Err(why) => {
                let why = in_one_line(&why);
                self.trouble = Some(format!("{}: {why}", self.file.display()));
            }
        }
        before != (self.guard.clone(), self.trouble.clone())
    }
}

/// Reads the file if nobody but root can have written it.
pub(crate) fn read(file: &Path) -> Result<Guard, String> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let of_folder = std::fs::metadata(folder).map_err(|error| error.to_string())?;
    of_root(&of_folder).map_err(|why| format!("its folder {why}"))?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = open(file, flags, Mode::empty()).map_err(io::Error::from);
    let mut opened: File = opened.map_err(|error| error.to_string())?.into();
    let of_file = opened.metadata().map_err(|error| error.to_string())?;
    of_root(&of_file).map_err(|why| format!("it {why}"))?;
    if !of_file.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    let read = (&mut opened).take(LARGEST).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    Guard::parse(&text)
}

/// What is wrong, without the picture of the line: where, and why.
fn in_one_line(why: &str) -> String {
    match why.trim_end().split_once('\n') {
        None => why.to_owned(),
        Some((place, picture)) => {
            let place = place.strip_prefix("TOML parse error at ").unwrap_or(place);
            let reason = picture.lines().last().unwrap_or_default();
            format!("{place}: {reason}")
        }
    }
}

/// How much of a guard file is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

fn of_root(metadata: &Metadata) -> Result<(), &'static str> {
    if metadata.uid() != 0 {
        return Err("does not belong to root");
    }
    match metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => Err("can be written by others than root"),
    }
}
