//! The policy by the operator's hand: who would lose access is named before, and one word goes back.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use watchward_tests::enforcer;
use watchward_tests::programs;
use watchward_tests::site::{Site, play};
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until_seen};

const SHUT: &str = "
[groups]
web = [\"we*\"]
[networks]
office = [\"OFFICE\"]
[[restriction.rules]]
groups = [\"web\"]
services = [\"ssh\"]
from = [\"office\"]
mode = \"enforce\"
";

#[test]
fn who_would_lose_access_is_known_before_and_what_was_applied_stays() -> Result<()> {
    play("a policy is planned and applied", "", |site| {
        let (web, office) = (site.watched("web", "")?, site.boot("office")?);
        let cafe = site.boot("cafe")?;
        ssh::add_user(&web, "alice", "correct")?;
        for from in [&office, &cafe, &cafe] {
            assert!(ssh::password(from, &web, "alice", "correct")?);
        }
        let look = || site.collector.ask(&["networks"]);
        until_seen("all three are known", SOON, look, |seen| {
            seen["elsewhere"] == 3
        })?;

        let shut = site.collector.folder().join("shut.toml");
        let text = SHUT.replace("OFFICE", &office.address().to_string());
        fs::write(&shut, &text)?;
        let shut = shut.to_string_lossy().into_owned();
        let plan = site.collector.ask(&["policy", "plan", &shut])?;
        let cafe = cafe.address().to_string();
        let losing = ["host", "user", "address", "logins"].map(|it| &plan["losing"][0][it]);
        let expected = [json!("web"), json!("alice"), json!(cafe), json!(2)];
        assert_eq!(losing, expected.each_ref(), "{plan:#}");
        assert_eq!(plan["losing"].as_array().map(Vec::len), Some(1), "{plan:#}");
        assert_eq!(plan["changes"][0]["hosts"], json!(["web"]), "{plan:#}");
        assert_eq!(site.collector.ask(&["networks"])?["gates"], json!([]));

        let refused = apply_from(site, &cafe, &shut)?;
        for words in ["line 8, column 13", "^^^", "--even-so"] {
            ensure!(refused.contains(words), "{words}: {refused}");
        }
        let words = ["policy", "apply", &shut, "--note", "the office alone"];
        let unasked = site
            .collector
            .ask(&words)
            .err()
            .map(|error| error.to_string());
        let unasked = unasked.unwrap_or_default();
        ensure!(
            unasked.contains("somebody would be turned away by a gate"),
            "{unasked}"
        );
        let words = [&words[..], &["--yes"]].concat();
        let applied = site.collector.command()?.args(&words).output()?;
        let said = String::from_utf8_lossy(&applied.stderr).into_owned();
        ensure!(
            !applied.status.success() && said.contains("1 of the hosts did not take their gates"),
            "nothing is shut there: {said}"
        );
        assert_eq!(plan["unready"][0]["why"], "has no enforcer", "{plan:#}");
        let gate = &site.collector.ask(&["networks"])?["gates"][0];
        assert_eq!([&gate["host"], &gate["mode"]], ["web", "enforce"]);
        let same = site.collector.ask(&["policy", "apply", &shut])?;
        assert_eq!(same["outlook"]["same"], true);
        it_stays(site, &text)
    })
}

#[test]
fn a_session_that_would_end_is_named_for_as_long_as_it_is_open() -> Result<()> {
    play("sessions are planned", "", |site| {
        let (web, cafe) = (site.boot("web")?, site.boot("cafe")?);
        enforcer::start(&web, "never = []\n")?;
        site.watch(&web, "")?;
        ssh::add_user(&web, "alice", "correct")?;
        ssh::add_key(&cafe, "alice", &web)?;
        assert!(ssh::key(&cafe, &web, "alice")?, "one that has ended");
        let held = format!(
            "systemd-run -q --unit=held ssh -o StrictHostKeyChecking=no -o BatchMode=yes \
             -i /root/.ssh/id_ed25519 -l alice {} sleep 600",
            web.address()
        );
        cafe.sh(&held)?;

        let file = site.collector.folder().join("shut.toml");
        fs::write(&file, SHUT.replace("OFFICE", "192.0.2.7"))?;
        let file = file.to_string_lossy().into_owned();
        // It locks alice out, so that it ends with an error.
        let look = || {
            let words = ["--json", "policy", "plan", &file];
            let done = site.collector.command()?.args(words).output()?;
            ensure!(!done.status.success(), "{done:?}");
            Ok(serde_json::from_slice::<Value>(&done.stdout)?)
        };
        let seen = until_seen("both logins are known", SOON, look, |seen| {
            seen["losing"][0]["logins"] == 2
        })?;
        let one = &seen["sessions"][0];
        let expected = json!(["web", "ssh", "alice", cafe.address().to_string()]);
        let shown = json!([one["host"], one["service"], one["user"], one["address"]]);
        assert_eq!(shown, expected, "{seen:#}");
        assert_eq!(
            seen["sessions"].as_array().map(Vec::len),
            Some(1),
            "{seen:#}"
        );
        cafe.sh("systemctl stop held")?;
        until_seen("it has ended", SOON, look, |seen| {
            seen["sessions"] == json!([])
        })?;
        Ok(())
    })
}

/// What comes of an apply by somebody who has come by SSH from there.
fn apply_from(site: &Site, address: &str, file: &str) -> Result<String> {
    let done = Command::new(programs::path(programs::COMMAND)?)
        .arg("--socket")
        .arg(site.collector.folder().join("collector.sock"))
        .args(["policy", "apply", file])
        .env("SSH_CONNECTION", format!("{address} 50000 192.0.2.1 22"))
        .output()?;
    ensure!(!done.status.success(), "{done:?}");
    Ok(String::from_utf8(done.stderr)?)
}

/// A change of the file counts at once, a start undoes nothing, and one word goes back.
fn it_stays(site: &Site, applied: &str) -> Result<()> {
    let look = || site.collector.ask(&["policy", "history"]);
    let latest = |seen: &Value, number: i64| at(seen, "/in_force") == number;
    let text = |version: &[&str]| -> Result<Value> {
        let words = [&["policy", "show"], version].concat();
        Ok(at(&site.collector.ask(&words)?, "/text").clone())
    };
    let file = site.collector.folder().join("policy.toml");
    fs::write(&file, "[groups]\ndb = [\"db-*\"]\n")?;
    let seen = until_seen("the file counts at once", SOON, look, |seen| {
        latest(seen, 2)
    })?;
    assert_eq!(at(&seen, "/versions/0/author"), "policy.toml");
    assert_eq!(at(&seen, "/versions/1/note"), "the office alone");

    site.collector
        .ask(&["policy", "rollback", "--yes", "--no-wait"])?;
    assert_eq!(text(&[])?, applied);
    site.collector.kill()?;
    site.collector.start_again()?;
    ensure!(latest(&look()?, 3), "a start undoes what was applied");
    assert_eq!(text(&["2"])?, fs::read_to_string(&file)?);

    fs::write(&file, "[groups]\ndb = 7\n")?;
    let seen = until_seen("a mistake is shown", SOON, look, |seen| {
        at(seen, "/file_trouble").to_string().contains("line 2")
    })?;
    ensure!(latest(&seen, 3), "and changes nothing: {seen:#}");
    let diff = site.collector.ask(&["policy", "diff", "2", "3"])?;
    assert_eq!(*at(&diff, "/gone"), json!(["db = [\"db-*\"]"]));
    Ok(())
}

/// What stands there; null, if nothing does.
fn at<'a>(value: &'a Value, place: &str) -> &'a Value {
    value.pointer(place).unwrap_or(&Value::Null)
}
