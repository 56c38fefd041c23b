//! What sshd opens only for some connections, by our inventory and by the real sshd: both say the same.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::ready::notice;
use watchward_tests::site::{Site, play};
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until_seen};

use super::{Key, new_key, openings, watched};

/// Each key stands in a file of its name.
const KEYS: [&str; 5] = ["always", "from", "net", "port", "local"];

const SETTINGS: &str = "
Port 22
Port 2222
AuthorizedKeysFile /etc/ssh/keys/always
Include /etc/ssh/more/*.conf
Match Address 127.0.0.2
    AuthorizedKeysFile /etc/ssh/keys/from
Match Address=127.0.3.0/24,!127.0.3.7
    AuthorizedKeysFile /etc/ssh/keys/net /etc/ssh/keys/always
Match LocalAddress 127.0.0.9 User alice
    AuthorizedKeysFile /etc/ssh/keys/local
Match Host 127.0.0.4
    PubkeyAuthentication no
";

const INCLUDED: &str = "Match LocalPort 2222\n    AuthorizedKeysFile /etc/ssh/keys/port\n";

/// What we call each connection, and from where it comes, whereto and to which port.
const CONNECTIONS: [(&str, &str, &str, u16); 7] = [
    ("", "127.0.0.1", "127.0.0.1", 22),
    ("from 127.0.0.2", "127.0.0.2", "127.0.0.1", 22),
    ("from 127.0.3.0/24", "127.0.3.9", "127.0.0.1", 22),
    ("from 127.0.3.7", "127.0.3.7", "127.0.0.1", 22),
    ("at port 2222", "127.0.0.1", "127.0.0.1", 2222),
    ("at 127.0.0.9", "127.0.0.1", "127.0.0.9", 22),
    ("from host 127.0.0.4", "127.0.0.4", "127.0.0.1", 22),
];

#[test]
fn what_counts_only_for_some_connections_is_told_as_the_real_sshd_has_it() -> Result<()> {
    play("keys by where somebody comes from", "", |site| {
        let web = watched(site)?;
        ssh::allow_many_tries(&web)?;
        web.sh(
            "useradd -m -p '*' alice; useradd -m -p '*' bob; mkdir /etc/ssh/keys /etc/ssh/more",
        )?;
        let mut keys = Vec::new();
        for name in KEYS {
            let key = new_key(&web, name)?;
            // The client is to have only the public half: nobody logs in.
            web.sh(&format!("mv /root/{name} /root/{name}.secret"))?;
            web.write(&format!("/etc/ssh/keys/{name}"), key.text.as_bytes(), 0o644)?;
            keys.push((name, key));
        }
        web.write("/etc/ssh/more/port.conf", INCLUDED.as_bytes(), 0o644)?;
        web.write("/etc/ssh/sshd_config.d/zz.conf", SETTINGS.as_bytes(), 0o644)?;
        web.sh("systemctl restart ssh")?;
        let mut opened = 0;
        for account in ["alice", "bob"] {
            let told = told(site, account, &keys)?;
            let real = real(&web, account)?;
            opened += real.len();
            for (name, _) in &keys {
                for (condition, ..) in CONNECTIONS {
                    let really = real.contains(&((*name).to_owned(), condition.to_owned()));
                    let always = told.contains(&((*name).to_owned(), String::new()));
                    let only = told.contains(&((*name).to_owned(), condition.to_owned()));
                    let what = format!("{account}, key {name}, {condition:?}: {told:?}");
                    ensure!(!really || always || only, "not told: {what}");
                    ensure!(really || !only, "told and not so: {what}");
                }
            }
        }
        notice(&format!("sshd took a key in {opened} cases"));
        ensure!(opened == 14, "{opened}: a test of something else");
        Ok(())
    })
}

/// Which keys open an account, and under which condition; none: always.
fn told(site: &Site, account: &str, keys: &[(&str, Key)]) -> Result<BTreeSet<(String, String)>> {
    let look = || openings(site, &["--account", account]);
    let files = if account == "alice" { 5 } else { 4 };
    let found = until_seen("the account's keys", SOON, look, |found| {
        found.len() == files
    })?;
    let mut told = BTreeSet::new();
    for one in found {
        let fingerprint = one
            .get("fingerprint")
            .and_then(Value::as_str)
            .context("no key")?;
        let mut known = keys
            .iter()
            .filter(|(_, key)| key.fingerprint == fingerprint);
        let (name, _) = known.next().context("an unknown key")?;
        let conditions = one
            .get("condition")
            .and_then(Value::as_str)
            .unwrap_or_default();
        for condition in conditions.split(" or ") {
            told.insert(((*name).to_owned(), condition.to_owned()));
        }
    }
    Ok(told)
}

/// The same by asking sshd of each key on each connection.
fn real(host: &Host, account: &str) -> Result<BTreeSet<(String, String)>> {
    let mut script = String::new();
    for name in KEYS {
        for (condition, from, to, port) in CONNECTIONS {
            script.push_str(&format!(
                "said=$(ssh -v -F none -o BatchMode=yes -o StrictHostKeyChecking=no \
                 -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i /root/{name}.pub \
                 -b {from} -p {port} {account}@{to} true 2>&1 </dev/null || true)
                 case $said in *'Server accepts key'*) echo '{name}|{condition}' ;; esac\n"
            ));
        }
    }
    let said = host.sh(&script)?;
    let pairs = said.lines().filter_map(|line| line.split_once('|'));
    Ok(pairs
        .map(|(name, condition)| (name.to_owned(), condition.to_owned()))
        .collect())
}
