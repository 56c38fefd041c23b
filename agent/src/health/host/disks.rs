//! Which disks the host has, and how full they are.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Of a longer path the name of its check has only so many bytes: the contract refuses names over
/// 200, while any user who may mount (FUSE) can make a path of 4096.
const LONGEST: usize = 150;

/// A disk that can fill up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) mount: String,
}

impl Disk {
    /// The name of its check: as short as names must be, and still no other disk's.
    pub(super) fn check(&self) -> String {
        let mount = &self.mount;
        if mount.len() <= LONGEST {
            return format!("host.disk {mount}");
        }
        let (start, _) = mount.split_at(mount.floor_char_boundary(LONGEST));
        let hash = Sha256::digest(mount.as_bytes());
        let hash: String = hash
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("host.disk {start}...{hash}")
    }
}

/// What is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes in use.
    pub(super) used: u64,
    /// Bytes that ordinary users may still use.
    pub(super) free: u64,
    /// Files (inodes) in use.
    pub(super) files: u64,
    pub(super) files_free: u64,
}

/// File systems that are always full.
pub(super) const IMAGES: [&str; 5] = ["squashfs", "iso9660", "erofs", "udf", "cramfs"];
/// File systems that are disks although their source is no device.
pub(super) const POOLS: [&str; 2] = ["zfs", "bcachefs"];

/// The disks in `/proc/self/mounts`, in the order of their paths. A device that is mounted several
/// times counts once, where its path is shortest. File systems of the network are left out: asking
/// for their room may wait for ever. A path need not be UTF-8: that must not hide the others.
pub(super) fn disks(mounts: &[u8]) -> Vec<Disk> {
    let mounts = String::from_utf8_lossy(mounts);
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(mount), Some(kind)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let lasting = device.starts_with("/dev/") || POOLS.contains(&kind) || mount == "/";
        if !lasting || IMAGES.contains(&kind) {
            continue;
        }
        let mount = unescaped(mount);
        let known = found.entry(device).or_insert_with(|| mount.clone());
        if mount.len() < known.len() {
            *known = mount;
        }
    }
    let mut mounts: Vec<String> = found.into_values().collect();
    mounts.sort();
    mounts.dedup();
    mounts.into_iter().map(|mount| Disk { mount }).collect()
}

/// What is on the disk that is mounted there.
pub(super) fn room(mount: &Path) -> io::Result<Room> {
    let all = rustix::fs::statvfs(mount)?;
    let bytes = |blocks: u64| blocks.saturating_mul(all.f_frsize);
    Ok(Room {
        used: bytes(all.f_blocks.saturating_sub(all.f_bfree)),
        free: bytes(all.f_bavail),
        files: all.f_files.saturating_sub(all.f_ffree),
        files_free: all.f_favail,
    })
}

/// A path as it is: the kernel writes blanks and the like as `\040` (getmntent(3)).
pub(super) fn unescaped(path: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .into_iter()
    .fold(path.to_owned(), |path, (escape, plain)| {
        path.replace(escape, plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_count_once_and_what_cannot_fill_up_not_at_all() {
        let mounts = b"\
            /dev/sda1 /var/tmp/again ext4 rw 0 0\n\
            /dev/sda1 / ext4 ro,relatime 0 0\n\
            proc /proc proc rw 0 0\n\
            tmpfs /run tmpfs rw 0 0\n\
            /dev/loop0 /snap/core/1 squashfs ro 0 0\n\
            server:/home /home nfs4 rw 0 0\n\
            /dev/sdb1 /mnt/my\\040disk xfs rw 0 0\n\
            /dev/fuse /home/eve/\xff fuse rw 0 0\n\
            tank/data /data zfs rw 0 0\n";
        let mounts: Vec<String> = disks(mounts).into_iter().map(|disk| disk.mount).collect();
        assert_eq!(mounts, ["/", "/data", "/home/eve/\u{fffd}", "/mnt/my disk"]);
    }

    #[test]
    fn a_long_path_has_a_short_name_of_its_own() {
        let check = |mount: String| Disk { mount }.check();
        assert_eq!(check("/mnt/my disk".to_owned()), "host.disk /mnt/my disk");
        let long = |end: &str| check(format!("/{}{end}", "\u{fc}".repeat(2000)));
        assert!(long("a").len() <= 200, "{}", long("a"));
        assert_ne!(long("a"), long("b"));
        assert_eq!(long("a"), long("a"));
    }

    #[test]
    fn the_root_of_a_container_is_a_disk() {
        let found = disks(b"overlay / overlay rw 0 0\nshm /dev/shm tmpfs rw 0 0\n");
        assert_eq!(
            found,
            [Disk {
                mount: "/".to_owned()
            }]
        );
        assert!(room(Path::new("/")).unwrap().used > 0);
    }
}
