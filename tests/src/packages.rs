//! The Debian packages, made of the programs that are built already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::host::Host;
use crate::programs;
use crate::root;
use crate::run::run;

/// A set of the four packages, in a folder of its own.
#[derive(Clone, Debug)]
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// The packages of this checkout.
    pub fn built() -> Result<Self> {
        Self::of("")
    }

    /// The same programs under a version that is later than any.
    pub fn of_next_version() -> Result<Self> {
        Self::of("999.0")
    }

    /// Makes them once for each test program, quickly: they are large.
    fn of(version: &str) -> Result<Self> {
        static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let mut made = MADE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let folder = root::target()
            .join("test-packages")
            .join(format!("v{version}"));
        if !made.iter().any(|it| it == version) {
            let _none_yet = fs::remove_dir_all(&folder);
            let programs = programs::path(programs::AGENT)?;
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let mut build = Command::new(top.join("packaging/deb"));
            build
                .arg(programs.parent().context("programs lie in a folder")?)
                .arg(&folder)
                .env("COMPRESS", "-Zgzip -z1");
            if !version.is_empty() {
                build.env("VERSION", version);
            }
            run(&mut build).context("packaging/deb")?;
            made.push(version.to_owned());
        }
        Ok(Self { folder })
    }

    /// Copies packages, by their names, into `/root` of a host, and takes away those of the same
    /// name that are there.
    pub fn copy(&self, host: &Host, names: &[&str]) -> Result<()> {
        for name in names {
            host.sh(&format!("rm -f /root/{name}_*.deb"))?;
            let of_name = format!("{name}_");
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                let file = entry.file_name().to_string_lossy().into_owned();
                if file.starts_with(&of_name) {
                    host.write(&format!("/root/{file}"), &fs::read(entry.path())?, 0o644)?;
                }
            }
        }
        Ok(())
    }
}

/// The tarball of this checkout's programs, whatever C library they need; or the file that
/// `WATCHWARD_TARBALL` names.
pub fn tarball() -> Result<PathBuf> {
    if let Some(file) = std::env::var_os("WATCHWARD_TARBALL") {
        return Ok(file.into());
    }
    let folder = root::target().join("test-packages/tarball");
    let programs = programs::path(programs::AGENT)?;
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let made = run(Command::new(top.join("packaging/pack"))
        .arg(programs.parent().context("programs lie in a folder")?)
        .arg(folder)
        .env("COMPRESS", "gzip -1")
        .env("GLIBC", "99"))
    .context("packaging/pack")?;
    Ok(made.trim_end().into())
}
