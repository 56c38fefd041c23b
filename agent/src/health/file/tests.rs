//! Files that are there, fresh or old, large or small, alone or among others.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use watchward_protocol::health::Verdict;

use super::*;

const NOW: u64 = 1_800_000_000;

fn put(path: &Path, size: usize, age: u64) {
    fs::write(path, vec![b'x'; size]).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - age);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(at)
        .unwrap();
}

fn look(path: &Path, more: &str) -> Found {
    let config = toml::from_str(&format!("path = {:?}\n{more}", path.display().to_string()));
    check(
        &config.unwrap(),
        Timestamp::default() + Duration::from_secs(NOW),
    )
}

#[test]
fn age_and_size_have_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.gz");
    put(&path, 2048, 7200);
    for (more, verdict, detail) in [
        (
            "max_age = \"3h\"",
            Verdict::Passed,
            "written 2 hours ago, 2.0 KiB",
        ),
        (
            "max_age = \"1h\"",
            Verdict::Failed,
            "2.0 KiB: older than 1h",
        ),
        ("min_age = \"3h\"", Verdict::Failed, "younger than 3h"),
        ("max_size = \"2KiB\"", Verdict::Passed, "2.0 KiB"),
        ("max_size = \"2KB\"", Verdict::Failed, "larger than 2KB"),
        (
            "min_size = \"1MB\"\nmax_age = \"1m\"",
            Verdict::Failed,
            "older than 1m, smaller than 1MB",
        ),
        ("exists = false", Verdict::Failed, "db.gz is there"),
    ] {
        let found = look(&path, more);
        assert_eq!(found.verdict, verdict, "{more}: {found:?}");
        assert!(found.detail.ends_with(detail), "{more}: {found:?}");
    }
    let values = look(&path, "").values;
    let values: Vec<_> = values
        .iter()
        .map(|one| (one.name.as_str(), one.number))
        .collect();
    assert_eq!(values, [("age", 7200.0), ("size", 2048.0)]);
}

#[test]
fn of_a_folder_or_a_pattern_the_newest_counts() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(look(folder.path(), "").verdict, Verdict::Failed);
    put(&folder.path().join("db-1.gz"), 1, 9000);
    put(&folder.path().join("db-2.gz"), 2, 300);
    put(&folder.path().join("other"), 3, 1);
    fs::create_dir(folder.path().join("db-9.gz")).unwrap();
    let found = look(&folder.path().join("db-?.*"), "");
    assert!(
        found.detail.contains("db-2.gz was written 5 minutes ago"),
        "{found:?}"
    );
    assert!(look(folder.path(), "").detail.contains("/other "));
    let none = look(&folder.path().join("*.tar"), "");
    assert_eq!(none.verdict, Verdict::Failed);
    assert!(none.detail.ends_with("*.tar is not there"), "{none:?}");
    let absent = look(&folder.path().join("*.tar"), "exists = false");
    assert_eq!(absent.verdict, Verdict::Passed);
    let absent = look(&folder.path().join("other/below"), "");
    assert_eq!(absent.verdict, Verdict::Failed);
}

fn slow(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => slow(rest, name) || !name.is_empty() && slow(pattern, &name[1..]),
        ([one, rest @ ..], [byte, name @ ..]) => (*one == b'?' || one == byte) && slow(rest, name),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_pattern_means_what_it_says(pattern in "[ab*?]{0,6}", name in "[ab]{0,8}") {
        let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
        prop_assert_eq!(matches(pattern, name), slow(pattern, name));
    }
}
