//! Programs that really run, end, hang, and are refused.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use super::*;

fn config(command: &[&str], more: &str) -> Config {
    toml::from_str(&format!("command = {command:?}\n{more}")).unwrap()
}

async fn sh(script: &str) -> Found {
    check(&config(&["/bin/sh", "-c", script], "")).await
}

#[tokio::test]
async fn the_exit_status_decides_and_measurements_are_kept() {
    for (code, verdict, detail) in [
        (0, Verdict::Passed, "fine"),
        (1, Verdict::Failed, "WARNING: fine (a is 7%, limit 5)"),
        (2, Verdict::Failed, "CRITICAL: fine (a is 7%, limit 5)"),
        (3, Verdict::Unknown, "fine"),
        (
            4,
            Verdict::Unknown,
            "sh ended with status 4, which means nothing: fine",
        ),
    ] {
        let found = sh(&format!("echo 'fine | a=7%;5 b=1s'; exit {code}")).await;
        assert_eq!((found.verdict, found.detail.as_str()), (verdict, detail));
        assert_eq!(found.values.len(), 2);
        assert_eq!(found.values[0].unit, "%");
    }
    let found = sh("kill -9 $$").await;
    assert_eq!(found.verdict, Verdict::Unknown);
    assert_eq!(found.detail, "sh was ended by signal 9: sh wrote nothing");
    let found = sh("echo 'no such option' >&2; exit 3").await;
    assert_eq!(found.detail, "no such option");
}

#[tokio::test]
async fn nothing_of_the_agent_is_in_its_environment() {
    let found = check(&config(
        &[
            "/bin/sh",
            "-c",
            "echo $(env | sort | cut -d= -f1) in $(pwd), $0 $1",
            "a b",
            "$(id)",
        ],
        "directory = \"/usr\"\nenv = { NAME = \"value\" }",
    ))
    .await;
    assert_eq!(found.detail, "LANG NAME PATH PWD in /usr, a b $(id)");
}

#[tokio::test]
async fn much_output_is_read_and_little_is_kept() {
    let found = sh("head -c 1000000 /dev/zero | tr '\\0' x; echo '|late=1'").await;
    assert_eq!(found.verdict, Verdict::Passed);
    assert_eq!(found.detail.chars().count(), 1000);
    assert_eq!(found.values.len(), 0);
}

#[tokio::test]
async fn what_cannot_be_run_is_unknown_and_says_why() {
    let found = check(&config(&["/no/such/program"], "")).await;
    assert_eq!(found.verdict, Verdict::Unknown);
    assert_eq!(found.detail, "there is no program /no/such/program");
    let found = check(&config(&["/etc/passwd"], "")).await;
    assert_eq!(found.detail, "the agent's user may not run /etc/passwd");
}

/// Whether a process lives, and is not just waiting to be buried.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

async fn until_gone(pid: &str) {
    let gone = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_child_in_the_background_is_killed_when_the_program_ends() {
    let found = sh("sleep 600 & echo $!").await;
    assert_eq!(found.verdict, Verdict::Passed);
    until_gone(&found.detail).await;
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!(
        "sleep 600 & echo $$ $! > {0}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let config = config(&["/bin/sh", "-c", &script], "");
    let mut run = Box::pin(check(&config));
    let pids = loop {
        tokio::select! {
            found = &mut run => panic!("it ended: {found:?}"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        if let Ok(pids) = fs::read_to_string(&file) {
            break pids;
        }
    };
    assert!(pids.split_whitespace().all(lives), "{pids}");
    // As when its time is over.
    drop(run);
    for pid in pids.split_whitespace() {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn what_is_ordered_must_lie_in_the_folder_of_plugins() {
    let plugins = tempfile::tempdir().unwrap();
    let folder = plugins.path().canonicalize().unwrap();
    let plugin = folder.join("check_mine");
    fs::write(&plugin, "#!/bin/sh\necho well\n").unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("check_mine", folder.join("alias")).unwrap();
    symlink("check_mine", folder.join("negate")).unwrap();
    symlink("/bin/echo", folder.join("out")).unwrap();
    symlink("/bin", folder.join("bin")).unwrap();
    let folders = [AbsolutePath::try_from(folder.to_str().unwrap().to_owned()).unwrap()];
    for (program, verdict, detail) in [
        ("check_mine", Verdict::Passed, "well"),
        ("alias", Verdict::Passed, "well"),
        ("out", Verdict::Unknown, "none of the folders"),
        ("bin/echo", Verdict::Unknown, "none of the folders"),
        ("negate", Verdict::Unknown, "it does whatever it is told to"),
        ("missing", Verdict::Unknown, "cannot be run"),
    ] {
        let program = folder.join(program);
        let found = check_confined(&config(&[program.to_str().unwrap()], ""), &folders).await;
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert!(found.detail.contains(detail), "{found:?}");
    }
}
