//! The Debian roots that every host is an overlay of: each made once by debootstrap, kept under `target/`.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

use crate::run::run;

/// Which Debian a host is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// Debian 12 with OpenSSH 9.2, unless `WATCHWARD_SUITE` names another one, and all that tests use.
    #[default]
    Usual,
    /// Debian 13 with OpenSSH 10.0, in which whoever serves a connection is a program of its own; and
    /// little else.
    Thirteen,
}

impl Release {
    fn suite(self) -> String {
        match self {
            Self::Usual => {
                std::env::var("WATCHWARD_SUITE").unwrap_or_else(|_| "bookworm".to_owned())
            }
            Self::Thirteen => "trixie".to_owned(),
        }
    }

    /// What is in its root, and what is done to it when it is fresh; another text makes another root.
    fn recipe(self) -> (&'static str, &'static str) {
        match self {
            Self::Usual => (PACKAGES, SETTLE),
            Self::Thirteen => (FEW_PACKAGES, SETTLE_FEW),
        }
    }
}

const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,openssh-client,\
    sshpass,nftables,iproute2,rsyslog,logrotate,sudo,procps,postfix,ca-certificates,\
    openvpn,wireguard-go,wireguard-tools,postgresql,\
    monitoring-plugins-basic";

/// Done to a fresh root: what every host of a test wants otherwise than Debian has it. A wrong
/// password is refused at once; rsyslog is told of a rotation by a plain signal, for `systemctl
/// kill` needs what a container may not have.
const SETTLE: &str = "
    mkdir -p etc/systemd/journald.conf.d
    printf '[Journal]\\nRateLimitIntervalSec=0\\n' > etc/systemd/journald.conf.d/tests.conf
    chroot . systemctl -q disable postfix openvpn postgresql
    sed -i 's/pam_unix.so nullok/pam_unix.so nullok nodelay/' etc/pam.d/common-auth
    printf '#!/bin/sh\\nkill -HUP $(systemctl show -P MainPID rsyslog)\\n' \
        > usr/lib/rsyslog/rsyslog-rotate
    chroot . systemctl -q mask systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer
    rm -rf var/cache/apt/archives/*.deb var/lib/apt/lists/* etc/ssh/ssh_host_*_key*
    ssh-keygen -q -A -f .
";

const FEW_PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,openssh-client,\
    iproute2,nftables,procps";

/// The same, of what is there.
const SETTLE_FEW: &str = "
    mkdir -p etc/systemd/journald.conf.d
    printf '[Journal]\\nRateLimitIntervalSec=0\\n' > etc/systemd/journald.conf.d/tests.conf
    chroot . systemctl -q mask systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer
    rm -rf var/cache/apt/archives/*.deb var/lib/apt/lists/* etc/ssh/ssh_host_*_key*
    ssh-keygen -q -A -f .
";

/// The folder with the root; the first call on a checkout makes it, which takes about a minute.
pub fn base(release: Release) -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let folder = target().join("test-hosts");
    fs::create_dir_all(&folder)?;
    let lock = fs::File::create(folder.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;

    let name = format!("{}-{:016x}", release.suite(), fingerprint(release));
    let root = folder.join(name);
    if !root.exists() {
        let unfinished = folder.join("unfinished");
        build(release, &unfinished)?;
        fs::rename(&unfinished, &root)?;
    }
    Ok(root)
}

/// Cargo's target folder, where the test program that runs now was built.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists());
    target
        .unwrap_or_else(|| Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")))
        .to_path_buf()
}

fn fingerprint(release: Release) -> u64 {
    let mut hasher = DefaultHasher::new();
    release.recipe().hash(&mut hasher);
    hasher.finish()
}

fn build(release: Release, folder: &Path) -> Result<()> {
    let (packages, settle) = release.recipe();
    crate::ready::notice(&format!(
        "making a Debian root in {}, once",
        folder.display()
    ));
    if folder.exists() {
        fs::remove_dir_all(folder).context("cannot remove an unfinished Debian root")?;
    }
    let include = format!("--include={}", packages.replace(' ', ""));
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", &include, &release.suite()])
        .arg(folder)
        .args(mirror());
    run(&mut debootstrap).context("debootstrap could not make a Debian root")?;
    run(Command::new("bash")
        .args(["-euc", settle])
        .current_dir(folder))?;
    Ok(())
}

/// The mirror that this machine's own apt uses; without one, debootstrap's own choice.
fn mirror() -> Option<String> {
    let targets = run(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]));
    targets.ok()?.lines().next().map(str::to_owned)
}
