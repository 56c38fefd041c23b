//! Logs as several systems write them, and what is understood of every line.

use std::path::Path;

use watchward_agent::access::parse::parse_command;

/// Compares a log with what was expected of it.
fn compare(name: &str) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let log = std::fs::read(folder.join(format!("{name}.log")))?;
    let expected = std::fs::read_to_string(folder.join(format!("{name}.jsonl")))?;
    let mut output = Vec::new();
    parse_command(log.as_slice(), &mut output, true)?;
    let output = String::from_utf8(output)?;
    let log = String::from_utf8_lossy(&log);
    assert_eq!(output.lines().count(), expected.lines().count());
    for ((line, found), expected) in log.lines().zip(output.lines()).zip(expected.lines()) {
        assert_eq!(found, expected, "{line}");
    }
    Ok(())
}

#[test]
fn openssh_6_6_with_rsyslog() -> anyhow::Result<()> {
    compare("ubuntu-14.04")
}

#[test]
fn openssh_7_4_with_rsyslog() -> anyhow::Result<()> {
    compare("centos-7")
}

#[test]
fn openssh_9_2_with_iso_times() -> anyhow::Result<()> {
    compare("debian-12")
}

#[test]
fn openssh_10_with_rfc_5424() -> anyhow::Result<()> {
    compare("openssh-10")
}

#[test]
fn openssh_9_2_asked_for_strange_users() -> anyhow::Result<()> {
    compare("strange-9.2")
}

#[test]
fn sudo_1_9_and_both_kinds_of_su() -> anyhow::Result<()> {
    compare("sudo-su")
}

#[test]
fn openvpn_2_4_and_2_6_by_syslog_and_in_its_own_log() -> anyhow::Result<()> {
    compare("openvpn")
}
