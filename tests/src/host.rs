//! A Debian host that really boots: systemd, journald, logind, D-Bus, sshd, a network card.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

use crate::cgroup::Groups;
use crate::network::{self, Network};
use crate::root::{self, Release};
use crate::run::{complaint, output, program, run};
use crate::undo::{Folder, Undo};
use crate::wait::{SOON, until};

/// Done before every boot, outside the host: the disk is an overlay in memory, in a mount
/// namespace that lives as long as the standard input of this shell is open.
const DISK: &str = r#"
set -eu
mount -t tmpfs -o size=4g,mode=0755 watchward-tests "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
tr -d - < /proc/sys/kernel/random/uuid > "$1/root/etc/machine-id"
echo "$3" > "$1/root/etc/hostname"
echo ready
exec cat > /dev/null
"#;

/// A host, powered on until it is dropped or powered off.
#[derive(Debug)]
pub struct Host {
    name: String,
    machine: String,
    address: Ipv4Addr,
    bridge: String,
    disk: Child,
    folder: Folder,
    groups: Groups,
    power: Mutex<Option<Power>>,
}

#[derive(Debug)]
struct Power {
    nspawn: Child,
    leader: u32,
    undo: Option<Undo>,
}

impl Host {
    /// Boots a host of this name, with an address on the network.
    pub fn boot(network: &Network, name: &str) -> Result<Self> {
        Self::boot_as(network, name, Release::Usual)
    }

    /// The same, of this Debian.
    pub fn boot_as(network: &Network, name: &str, release: Release) -> Result<Self> {
        let (address, machine) = network.claim_address();
        let folder = Folder::new(&format!("{machine}-"))?;
        let disk = disk(folder.path(), name, release)?;
        let groups = Groups::new(&machine)?;
        let power = Mutex::new(None);
        let bridge = network.bridge();
        let host = Self {
            name: name.to_owned(),
            machine,
            address,
            bridge,
            disk,
            folder,
            groups,
            power,
        };
        host.power_on()?;
        Ok(host)
    }

    /// Its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the network.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Runs a script in the host as root and gives what it wrote; an error if any line of it fails.
    pub fn sh(&self, script: &str) -> Result<String> {
        run(&mut self.command(&["bash", "-euo", "pipefail", "-c", script])?)
            .with_context(|| format!("in host {}", self.name))
    }

    /// Runs a script in the host as root, whether it fails or not.
    pub fn try_sh(&self, script: &str) -> Result<bool> {
        Ok(output(&mut self.command(&["bash", "-c", script])?)?
            .status
            .success())
    }

    /// A command that will run in the host as root and in `/root`, for at most five minutes.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        let leader = self.leader()?.to_string();
        let enter = [
            "nsenter", "-t", &leader, "-a", "env", "-C", "/root", "timeout", "-k5", "300",
        ];
        let mut command = program(enter.iter().chain(words));
        command.env_clear().envs([
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
        ]);
        Ok(command)
    }

    /// Where a path of the host is seen from outside. Beware of absolute links on the way.
    pub fn outside_path(&self, path: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!(
            "/proc/{}/root{path}",
            self.leader()?
        )))
    }

    /// The number that this machine knows a process of the host by.
    pub fn outside_process(&self, inside: u32) -> Result<u32> {
        let space = |process: u32| fs::read_link(format!("/proc/{process}/ns/pid"));
        let own = space(self.leader()?)?;
        let all = fs::read_dir("/proc")?.flatten();
        let mut all = all.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
        let is_it = |process: &u32| {
            let status = fs::read_to_string(format!("/proc/{process}/status"));
            let status = status.unwrap_or_default();
            let ids = status.lines().find(|line| line.starts_with("NSpid:"));
            ids.is_some_and(|ids| ids.ends_with(&format!("\t{inside}")))
                && space(*process).is_ok_and(|it| it == own)
        };
        let found = all.find(is_it);
        found.with_context(|| format!("{} has no process {inside}", self.name))
    }

    /// Writes a file in the host, with this mode, and the folders that lead to it.
    pub fn write(&self, path: &str, contents: &[u8], mode: u32) -> Result<()> {
        let path = self.outside_path(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, contents)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Cuts its network: nothing comes in or goes out, and no connection is closed.
    pub fn cut(&self) -> Result<()> {
        network::link(&self.machine, "down")
    }

    /// Ends a cut.
    pub fn heal(&self) -> Result<()> {
        network::link(&self.machine, "up")
    }

    /// Pulls the plug. The disk stays as it is.
    pub fn power_off(&self) -> Result<()> {
        let power = self.lock().take().context("the host is off already")?;
        power.off()
    }

    /// Boots it again, with the disk and the address that it had.
    pub fn power_on(&self) -> Result<()> {
        ensure!(self.lock().is_none(), "the host is on already");
        let log = self.folder.path().join("console");
        let power = Power::on(&self.nspawn(), &log).with_context(|| self.console(&log))?;
        *self.lock() = Some(power);
        self.sh(&format!(
            "ip addr add {}/24 dev host0; ip link set host0 up; ip link set lo up",
            self.address
        ))?;
        until("the host is up", SOON * 2, || {
            let script = "systemctl is-system-running | grep -qE 'running|degraded'";
            Ok(self
                .try_sh(&format!("{script} && systemctl -q is-active ssh"))?
                .then_some(()))
        })
        .with_context(|| self.console(&log))
    }

    fn nspawn(&self) -> Vec<String> {
        let holder = self.disk.id().to_string();
        let root = self.folder.path().join("root");
        let mut words = self.groups.enter();
        words.extend(
            [
                "nsenter",
                "-t",
                &holder,
                "-m",
                "systemd-nspawn",
                "-q",
                "--boot",
                "--register=no",
            ]
            .map(str::to_owned),
        );
        words.push(format!("--directory={}", root.display()));
        words.push(format!("--machine={}", self.machine));
        words.push(format!("--hostname={}", self.name));
        words.push(format!("--network-bridge={}", self.bridge));
        // For a VPN, and for file systems of a program.
        for device in ["/dev/net/tun", "/dev/fuse"] {
            if Path::new(device).exists() {
                words.push(format!("--bind={device}"));
            }
        }
        if !Path::new("/run/systemd/system").exists() {
            words.push("--keep-unit".to_owned());
        }
        words
    }

    fn leader(&self) -> Result<u32> {
        self.lock()
            .as_ref()
            .map(|power| power.leader)
            .context("the host is off")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Power>> {
        self.power
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn console(&self, log: &Path) -> String {
        let said = fs::read_to_string(log).unwrap_or_default();
        format!("host {} did not boot; its console says:\n{said}", self.name)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(power) = self.lock().take() {
            let _as_good_as_off = power.off();
        }
        drop(self.disk.stdin.take());
        let _gone = self.disk.wait();
    }
}

impl Power {
    fn on(words: &[String], log: &Path) -> Result<Self> {
        let log = fs::File::create(log)?;
        let mut command = program(words);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut nspawn = command.spawn().context("cannot start systemd-nspawn")?;
        let early = Undo::promise(format!("kill -9 {}", nspawn.id()))?;
        let found = until("systemd runs as process 1 of the host", SOON, || {
            if let Some(status) = nspawn.try_wait()? {
                return Ok(Some(Err(status)));
            }
            Ok(leader_of(nspawn.id()).map(Ok))
        })?;
        let Ok(leader) = found else {
            bail!("systemd-nspawn ended: {found:?}")
        };
        let undo = Undo::promise(format!("kill -9 {leader}"))?;
        early.forget();
        Ok(Self {
            nspawn,
            leader,
            undo: Some(undo),
        })
    }

    fn off(mut self) -> Result<()> {
        drop(self.undo.take());
        self.nspawn.wait().context("systemd-nspawn does not end")?;
        Ok(())
    }
}

/// The child of systemd-nspawn that is process 1 in a namespace of its own.
fn leader_of(nspawn: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        let inner = status.lines().find(|line| line.starts_with("NSpid:"))?;
        let is_leader = status.starts_with("Name:\tsystemd\n") && inner.ends_with("\t1");
        is_leader.then(|| child.parse().ok()).flatten()
    })
}

fn disk(folder: &Path, name: &str, release: Release) -> Result<Child> {
    let base = root::base(release)?;
    let mut disk = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            DISK,
            "disk",
        ])
        .arg(folder)
        .arg(base)
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let out = disk
        .stdout
        .take()
        .context("no pipe from the disk's shell")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said)?;
    if said != "ready\n" {
        let output = disk.wait_with_output()?;
        bail!("{}", complaint(&Command::new("mount"), &output));
    }
    Ok(disk)
}
