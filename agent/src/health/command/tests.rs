//! Programs that really run, end, hang, and are refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::Duration;

use super::*;
use crate::health::look::Looks;

/// The agent as cargo built it beside the tests, for the wardens.
pub(super) fn itself() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let agent = tests.ancestors().nth(2).unwrap().join("watchward-agent");
    assert!(
        agent.exists(),
        "`cargo build -p watchward-agent` first: {}",
        agent.display()
    );
    agent
}

fn config(command: &[&str], more: &str) -> Config {
    let command = toml::Value::from(command.to_vec());
    toml::from_str(&format!("command = {command}\n{more}")).unwrap()
}

/// Runs it once, as a check of its own.
async fn once(config: &Config) -> Found {
    check(config, &Looks::default().one()).await
}

async fn sh(script: &str) -> Found {
    once(&config(&["/bin/sh", "-c", script], "")).await
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
        let warning = found.values[0].limits.warning.unwrap();
        assert_eq!((warning.start, warning.end), (Some(0.0), Some(5.0)));
        assert!(found.values[1].limits.is_empty());
    }
    let found = sh("kill -9 $$").await;
    assert_eq!(found.verdict, Verdict::Unknown);
    assert_eq!(found.detail, "sh was ended by signal 9: sh wrote nothing");
    let found = sh("echo 'no such option' >&2; exit 3").await;
    assert_eq!(found.detail, "no such option");
}

#[tokio::test]
async fn what_could_not_do_its_work_says_why_at_the_end() {
    let script = "echo '/usr/bin/ping -n 192.0.2.1'; echo; echo 'CRITICAL - no answer | rta=1'; \
                  echo 'ping: not permitted' >&2";
    let tried = "/usr/bin/ping -n 192.0.2.1";
    assert_eq!(
        sh(&format!("{script}; exit 3")).await.detail,
        format!("{tried} / CRITICAL - no answer / ping: not permitted")
    );
    assert_eq!(
        sh(&format!("{script}; exit 2")).await.detail,
        format!("CRITICAL: {tried}")
    );
}

#[tokio::test]
async fn nothing_of_the_agent_is_in_its_environment() {
    let found = once(&config(
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
    let found = once(&config(&["/no/such/program"], "")).await;
    assert_eq!(found.verdict, Verdict::Unknown);
    assert_eq!(found.detail, "there is no program /no/such/program");
    let found = once(&config(&["/etc/passwd"], "")).await;
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

/// What a program can do to get away: a session of its own, no parent, nothing of its environment.
/// Each writes its process id into the folder.
const RUNAWAYS: &str = r#"
cd "$0"
run='echo $$ > $0.new; mv $0.new $0.pid; exec sleep 600'
sh -c "$run" child &
setsid sh -c "$run" session &
(setsid sh -c "$run" orphan &)
(setsid env -i /bin/sh -c "trap '' HUP TERM; $run" bare &)
(setsid sh -c "$run" silent > /dev/null 2>&1 &)
until [ -e child.pid -a -e session.pid -a -e orphan.pid -a -e bare.pid -a -e silent.pid ]
do sleep 0.01; done
echo all
"#;

fn runaways(folder: &Path) -> Vec<String> {
    let names = ["child", "session", "orphan", "bare", "silent"];
    let pid = |name: &str| fs::read_to_string(folder.join(format!("{name}.pid")));
    let pids = names.iter().map_while(|name| pid(name).ok());
    pids.map(|pid| pid.trim().to_owned()).collect()
}

#[tokio::test]
async fn nothing_that_it_left_outlives_a_program_or_holds_up_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let found = once(&config(&["/bin/sh", "-c", RUNAWAYS, path], "")).await;
    assert_eq!(
        (found.verdict, found.detail.as_str()),
        (Verdict::Passed, "all")
    );
    let pids = runaways(folder.path());
    assert_eq!(pids.len(), 5);
    for pid in pids {
        until_gone(&pid).await;
    }
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "echo $$ > {}/leader\n{RUNAWAYS}\nwait",
        folder.path().display()
    );
    let path = folder.path().to_str().unwrap();
    let config = config(&["/bin/sh", "-c", &script, path], "");
    let mut run = Box::pin(once(&config));
    let mut pids = loop {
        tokio::select! {
            found = &mut run => panic!("it ended: {found:?}"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        let pids = runaways(folder.path());
        if pids.len() == 5 {
            break pids;
        }
    };
    let leader = fs::read_to_string(folder.path().join("leader")).unwrap();
    pids.push(leader.trim().to_owned());
    assert!(pids.iter().all(|pid| lives(pid)), "{pids:?}");
    // As when its time is over.
    drop(run);
    for pid in pids {
        until_gone(&pid).await;
    }
}

/// A folder with a plugin that says what it is told, and what a collector may order of it.
fn plugins() -> (tempfile::TempDir, PathBuf, [AbsolutePath; 1]) {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().canonicalize().unwrap();
    plugin(&folder.join("check_mine"));
    let folders = [AbsolutePath::try_from(folder.to_str().unwrap().to_owned()).unwrap()];
    (kept, folder, folders)
}

fn plugin(file: &Path) {
    fs::write(file, "#!/bin/sh\nprintf '%s|' well \"$@\" | tr '|' ' '\n").unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

async fn ordered(words: &[&str], folders: &[AbsolutePath]) -> Found {
    check_confined(&config(words, ""), folders, &Looks::default().one()).await
}

#[tokio::test]
async fn what_is_ordered_must_lie_in_the_folder_of_plugins() {
    let (_kept, folder, folders) = plugins();
    symlink("check_mine", folder.join("alias")).unwrap();
    symlink("check_mine", folder.join("negate")).unwrap();
    symlink("/bin/echo", folder.join("out")).unwrap();
    symlink("/bin", folder.join("bin")).unwrap();
    for (program, verdict, detail) in [
        ("check_mine", Verdict::Passed, "well"),
        ("./check_mine", Verdict::Passed, "well"),
        ("alias", Verdict::Passed, "well"),
        ("out", Verdict::Unknown, "none of the folders"),
        ("bin/echo", Verdict::Unknown, "none of the folders"),
        ("negate", Verdict::Unknown, "it does whatever it is told to"),
        ("missing", Verdict::Unknown, "cannot be run"),
        ("lines\n\u{1b}[2J", Verdict::Unknown, "lines\\n"),
    ] {
        let program = folder.join(program);
        let found = ordered(&[program.to_str().unwrap()], &folders).await;
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert!(found.detail.contains(detail), "{found:?}");
        assert!(!found.detail.contains('\u{1b}'), "{found:?}");
    }
    let climbs = format!("{}/../../bin/echo", folder.display());
    let climbs: Result<Config, _> = toml::from_str(&format!("command = [{climbs:?}]"));
    climbs.unwrap_err();
}

#[tokio::test]
async fn what_is_ordered_is_not_run_where_others_could_have_put_it() {
    let (_kept, folder, folders) = plugins();
    let (file, below) = (folder.join("check_mine"), folder.join("below"));
    fs::create_dir(&below).unwrap();
    plugin(&below.join("check_theirs"));
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let run = async |file: &Path| ordered(&[file.to_str().unwrap()], &folders).await;

    mode(&below, 0o777);
    let found = run(&below.join("check_theirs")).await;
    assert_eq!(found.verdict, Verdict::Unknown);
    let why = format!("others than root may write {}", below.display());
    assert!(found.detail.ends_with(&why), "{found:?}");
    mode(&below, 0o1777);
    assert_eq!(
        run(&below.join("check_theirs")).await.verdict,
        Verdict::Passed
    );
    mode(&file, 0o757);
    assert_eq!(run(&file).await.verdict, Verdict::Unknown);
    mode(&file, 0o755);
    assert_eq!(run(&file).await.verdict, Verdict::Passed);
    mode(&folder, 0o757);
    assert_eq!(run(&file).await.verdict, Verdict::Unknown);
    mode(&folder, 0o755);
    // Only root can give a file away.
    if chown(&file, Some(65534), None).is_ok() {
        assert_eq!(run(&file).await.verdict, Verdict::Unknown);
    }
}

#[tokio::test]
async fn no_shell_reads_what_is_ordered() {
    let (_kept, folder, folders) = plugins();
    let file = folder.join("check_mine");
    let touched = folder.join("touched");
    let word = format!("a; touch {0} $(touch {0}) `touch {0}`", touched.display());
    let found = ordered(&[file.to_str().unwrap(), "--", &word, "-x"], &folders).await;
    assert_eq!(found.detail, format!("well -- {word} -x"));
    let lines = "a\ntouch x\n";
    assert_eq!(
        ordered(&[file.to_str().unwrap(), lines], &folders)
            .await
            .detail,
        "well a"
    );
    assert!(!touched.exists());
}
