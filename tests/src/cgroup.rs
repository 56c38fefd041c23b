//! Control groups of a host's own.
//!
//! Where this machine's process 1 is not systemd, systemd-nspawn puts every host into the same
//! group `payload`. Two hosts that start a service of the same name then share its group, and now
//! and then one takes it away while the other starts a process in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::undo::Undo;

/// A host's folder in each hierarchy that systemd keeps services in.
#[derive(Debug)]
pub struct Groups {
    folders: Vec<PathBuf>,
    undo: Vec<Undo>,
}

impl Groups {
    /// New ones of this name, below those that the tests run in.
    pub fn new(name: &str) -> Result<Self> {
        let mut groups = Self {
            folders: Vec::new(),
            undo: Vec::new(),
        };
        // A service manager that runs gives every host a scope of its own.
        if Path::new("/run/systemd/system").exists() {
            return Ok(groups);
        }
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        for line in fs::read_to_string("/proc/self/cgroup")?.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(kind), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            let Some(mount) = mount_of(&mounts, kind) else {
                continue;
            };
            let folder = Path::new(mount)
                .join(path.trim_start_matches('/'))
                .join(name);
            fs::create_dir_all(&folder)?;
            groups.undo.push(Undo::promise(format!(
                "find '{}' -depth -type d -exec rmdir {{}} +",
                folder.display()
            ))?);
            groups.folders.push(folder);
        }
        Ok(groups)
    }

    /// Words before a command that have it run in these groups.
    pub fn enter(&self) -> Vec<String> {
        let join = r#"for group in $0; do echo $$ > "$group/cgroup.procs"; done; exec "$@""#;
        let folders: Vec<_> = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        vec![
            "bash".to_owned(),
            "-euc".to_owned(),
            join.to_owned(),
            folders.join(" "),
        ]
    }
}

/// Where the hierarchy is mounted, if it is one of systemd's.
fn mount_of<'a>(mounts: &'a str, kind: &str) -> Option<&'a str> {
    let wanted = |kind_of_mount: &str, options: &str| match kind {
        "" => kind_of_mount == "cgroup2",
        "name=systemd" => kind_of_mount == "cgroup" && options.split(',').any(|it| it == kind),
        _ => false,
    };
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (mount, kind_of_mount, options) = (words.next()?, words.next()?, words.next()?);
        wanted(kind_of_mount, options).then_some(mount)
    })
}
