//! Which disks should be mounted: those of `/etc/fstab`. Pure.

use std::collections::BTreeSet;

use super::disks::{Disk, IMAGES, POOLS, unescaped};

/// A disk that `/etc/fstab` has mounted at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    mount: String,
    /// The host does without it (`nofail`), until it has been there.
    optional: bool,
}

/// The disks of `/etc/fstab` that are not mounted although they should be. What may be missing when
/// the host boots must have been `seen` since.
pub(super) fn missing(fstab: &[u8], mounts: &[u8], seen: &BTreeSet<String>) -> Vec<Disk> {
    let mounts = String::from_utf8_lossy(mounts);
    let mounted: BTreeSet<String> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(unescaped)
        .collect();
    let fstab = String::from_utf8_lossy(fstab);
    let missing = fstab.lines().filter_map(entry).filter(|entry| {
        !mounted.contains(&entry.mount) && (!entry.optional || seen.contains(&entry.mount))
    });
    missing.map(|entry| Disk { mount: entry.mount }).collect()
}

/// What a line has mounted at boot (fstab(5)), if it is a disk that can fill up.
fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let (source, mount, kind) = (fields.next()?, fields.next()?, fields.next()?);
    let options = fields.next().unwrap_or("defaults");
    let has = |option: &str| options.split(',').any(|one| one == option);
    let device = ["/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID="]
        .iter()
        .any(|start| source.starts_with(start));
    let disk = (device || POOLS.contains(&kind)) && kind != "swap" && !IMAGES.contains(&kind);
    let later = has("noauto") || has("x-systemd.automount");
    let again = has("bind") || has("rbind");
    if !disk || later || again || !mount.starts_with('/') {
        return None;
    }
    let mount = match mount.trim_end_matches('/') {
        "" => "/",
        mount => mount,
    };
    Some(Entry {
        mount: unescaped(mount),
        optional: has("nofail"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FSTAB: &[u8] = b"\
        # /etc/fstab\n\
        UUID=1-2 / ext4 errors=remount-ro 0 1\n\
        LABEL=my\\040disk\t/srv/my\\040disk/\txfs\tdefaults 0 2\n\
        /dev/sdb1 /data ext4 defaults,nofail 0 2\n\
        /dev/sdc1 /mnt/usb vfat noauto,user 0 0\n\
        /dev/sdd1 /mnt/lazy ext4 x-systemd.automount 0 0\n\
        /dev/sr0 /media/cd udf,iso9660 user,noauto 0 0\n\
        /dev/sda2 none swap sw 0 0\n\
        /srv/www /var/www none bind 0 0\n\
        server:/home /home nfs4 rw 0 0\n\
        tmpfs /tmp tmpfs rw 0 0\n\
        tank/vm /vm zfs rw\n\
        \xff /nothing\n";

    fn gone(mounts: &str, seen: &[&str]) -> Vec<String> {
        let seen = seen.iter().map(|mount| (*mount).to_owned()).collect();
        let missing = missing(FSTAB, mounts.as_bytes(), &seen);
        missing.into_iter().map(|disk| disk.mount).collect()
    }

    #[test]
    fn what_should_be_mounted_at_boot_is_missed() {
        assert_eq!(gone("", &[]), ["/", "/srv/my disk", "/vm"]);
        let mounts = "/dev/sda1 / ext4 rw 0 0\n/dev/sdx1 /srv/my\\040disk xfs rw 0 0\n";
        assert_eq!(gone(mounts, &[]), ["/vm"]);
        assert_eq!(
            gone(&format!("{mounts}tank/vm /vm zfs rw 0 0\n"), &[]),
            [""; 0]
        );
    }

    #[test]
    fn what_the_host_can_do_without_is_missed_only_after_it_was_there() {
        let mounts =
            "/dev/sda1 / ext4 rw 0 0\n/dev/sdx1 /srv/my\\040disk xfs rw 0 0\ntank/vm /vm zfs rw\n";
        assert_eq!(gone(mounts, &["/", "/mnt/usb"]), [""; 0]);
        assert_eq!(gone(mounts, &["/data"]), ["/data"]);
        assert_eq!(
            gone(&format!("{mounts}/dev/sdb1 /data ext4 rw\n"), &["/data"]),
            [""; 0]
        );
    }
}
