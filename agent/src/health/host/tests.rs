//! What is told of the host itself.

use watchward_protocol::health::Verdict;

use super::*;

#[test]
fn what_is_above_its_limit_fails_and_says_so() {
    let config = Config::default();
    let memory = |available| {
        memory(
            Memory {
                total: 4 << 30,
                available,
            },
            &config,
        )
    };
    assert_eq!(memory(2 << 30).verdict, Verdict::Passed);
    assert_eq!(
        memory(2 << 30).detail,
        "50% of memory in use, 2.0 GiB available"
    );
    assert_eq!(memory(100 << 20).verdict, Verdict::Failed);
    assert_eq!(
        cpu(100.0, 2, Percent::try_from(100).unwrap()).verdict,
        Verdict::Passed
    );
    assert_eq!(
        cpu(96.0, 2, Percent::try_from(95).unwrap()).detail,
        "96% of 2 processors in use: above 95"
    );
    assert_eq!(
        load(Some([9.0, 9.0, 9.0]), 2, &config).verdict,
        Verdict::Failed
    );
    assert_eq!(
        load(Some([9.0, 7.0, 7.0]), 2, &config).verdict,
        Verdict::Passed
    );
}

#[test]
fn a_disk_can_be_full_of_files() {
    let disk = Disk {
        mount: "/var".to_owned(),
    };
    let room = disks::Room {
        used: 1,
        free: 9,
        files: 99,
        files_free: 1,
    };
    let found = full(&disk, room, &Config::default());
    assert_eq!(found.verdict, Verdict::Failed);
    assert_eq!(
        found.detail,
        "/var is 99% full of files (inodes), 1 more fit: above 90"
    );
}

#[test]
fn a_host_without_swap_is_well() {
    let limit = Percent::try_from(80).unwrap();
    assert_eq!(swap(0, 0, limit).verdict, Verdict::Passed);
    assert_eq!(
        swap(1 << 30, 4 << 30, limit).detail,
        "25% of 4.0 GiB swap in use"
    );
    assert_eq!(swap(4 << 30, 4 << 30, limit).verdict, Verdict::Failed);
}

#[test]
fn this_host_can_be_sampled() {
    let names: Vec<String> = Sampler::new()
        .sample(&Config::default())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in [
        "host.cpu",
        "host.memory",
        "host.swap",
        "host.load",
        "host.disk /",
    ] {
        assert!(
            names.iter().any(|one| one == name),
            "no {name} in {names:?}"
        );
    }
}

#[test]
fn a_disk_that_should_be_mounted_fails_and_another_that_has_gone_is_not_spoken_of() {
    let mut sampler = Sampler::new();
    let config = Config::default();
    let fstab = b"UUID=1 / ext4 rw 0 1\nUUID=2 /data ext4 rw 0 2\n";
    let mut names = |mounts: &str| -> Vec<String> {
        let all = sampler.disks(mounts.as_bytes(), fstab, &config);
        let failed = all.into_iter().map(|(name, found)| match found.verdict {
            Verdict::Failed => format!("{name}: {}", found.detail),
            Verdict::Passed | Verdict::Unknown => name,
        });
        failed.collect()
    };
    let root = "/dev/null / ext4 rw 0 0\n";
    let missing = "host.disk /data: /data is not mounted; /etc/fstab says it should be";
    assert!(names(root).iter().any(|name| name == missing));
    let both = format!("{root}/dev/full /data ext4 rw 0 0\n/dev/zero /mnt/usb vfat rw 0 0\n");
    let found = names(&both);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|name| name != missing));
    assert_eq!(names(root).len(), 2);
}
