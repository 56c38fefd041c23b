//! The configurations that `up` writes: nearly everything is as it is by default.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;

use super::door::Door;
use super::ground::{Ground, IDENTITY, SOCKET};

const HEAD: &str = "\
# Written by `make up`, and yours to edit: an edited file is not written again.
# Every knob, its comment and its default are in the file of this name under config/.

";

/// Writes both, unless somebody has edited them.
pub(super) fn write(ground: &Ground, door: &Door) -> anyhow::Result<()> {
    put(ground, "collector.toml", &collector(ground))?;
    put(ground, "agent.toml", &agent(ground, door))
}

/// Writes a file that is not there, or is as an earlier run has written it: a copy tells.
fn put(ground: &Ground, name: &str, text: &str) -> anyhow::Result<()> {
    let (path, copy) = (ground.path(name), ground.path("written").join(name));
    let current = std::fs::read(&path).ok();
    if current.is_some() && current != std::fs::read(&copy).ok() {
        return Ok(());
    }
    for path in [&copy, &path] {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn collector(ground: &Ground) -> String {
    let ports = ground.ports();
    format!(
        "{HEAD}\
         [store]\n\
         database = {database}\n\
         \n\
         [hosts]\n\
         authority = {authority}\n\
         \n\
         [admin]\n\
         socket = {socket}\n\
         \n\
         [web]\n\
         listen = \"127.0.0.1:{page}\"\n\
         \n\
         [intake]\n\
         listen = \"127.0.0.1:{agents}\"\n\
         enrolment = \"127.0.0.1:{enrolment}\"\n\
         \n\
         # For a trial on one machine a password will do; the default is \"required\".\n\
         [people]\n\
         second_factor = \"optional\"\n\
         \n\
         # What should hold, by groups of hosts: nothing is ruled while there is no such file.\n\
         [policy]\n\
         file = {policy}\n\
         \n\
         # While no server is named, messages are written into this folder, a file each:\n\
         # docs/receiving-alerts.md says how to name one.\n\
         [alerting]\n\
         folder = {messages}\n",
        database = quoted(&format!(
            "sqlite://{}",
            in_url(ground, "collector/collector.db")
        )),
        authority = path(ground, "collector/authority.pem"),
        socket = path(ground, SOCKET),
        agents = ports.agents,
        enrolment = ports.enrolment,
        policy = path(ground, "policy.toml"),
        page = ports.page,
        messages = path(ground, "messages"),
    )
}

fn agent(ground: &Ground, door: &Door) -> String {
    let ports = ground.ports();
    let access = match door {
        Door::Host(_) => String::new(),
        Door::Missing(_) => format!(
            "# This host has no SSH server that can be watched: the one for the occasion logs here.\n\
             [access]\n\
             {}files = [\"/var/log/auth.log\", \"/var/log/secure\", {}]\n\
             \n",
            // Where there is no journal, the agent reads files by itself.
            match Path::new("/run/systemd/system").exists() {
                true => "source = \"files\"\n",
                false => "",
            },
            path(ground, "sshd/auth.log")
        ),
    };
    format!(
        "{HEAD}\
         [uplink]\n\
         collector = \"127.0.0.1:{agents}\"\n\
         enrolment = \"127.0.0.1:{enrolment}\"\n\
         \n\
         [spool]\n\
         directory = {spool}\n\
         \n\
         [hosts]\n\
         identity = {identity}\n\
         \n\
         {access}\
         # The host itself is checked unless told otherwise; this is one check more.\n\
         [health.process.collector]\n\
         name = \"watchward-collector\"\n\
         interval = \"10s\"\n",
        agents = ports.agents,
        enrolment = ports.enrolment,
        spool = path(ground, "agent"),
        identity = path(ground, IDENTITY),
    )
}

fn path(ground: &Ground, part: &str) -> String {
    quoted(&ground.path(part).to_string_lossy())
}

/// A path as a URL has it.
fn in_url(ground: &Ground, part: &str) -> String {
    let path = ground.path(part);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' => {
                char::from(*byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A text as TOML has it in a string: the folder may have any name.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_host_until_somebody_edits() {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground::prepare(folder.path()).unwrap();
        let file = folder.path().join("agent.toml");
        let read = || std::fs::read_to_string(&file).unwrap();

        write(&ground, &Door::Missing("none".to_owned())).unwrap();
        assert!(read().contains("auth.log"));
        write(&ground, &Door::Host(0)).unwrap();
        assert!(!read().contains("auth.log"), "sshd was installed meanwhile");

        std::fs::write(&file, "# mine").unwrap();
        write(&ground, &Door::Missing("none".to_owned())).unwrap();
        assert_eq!(read(), "# mine");
    }
}
