//! Whether sshd takes an account at all: its lists of users and groups, and whether root may come.

use std::net::IpAddr;

use watchward_protocol::reach::{Step, Verdict};

use super::patterns::{fits, means};
use super::{SUBJECT, Seen, refuses, unknown};

/// As `allowed_user` of OpenSSH does, in its order.
pub(super) fn judge(seen: &Seen, address: IpAddr) -> Step {
    let (rules, name) = (&seen.rules, seen.account.name.as_bytes());
    let user = |pattern: &Vec<u8>| is_user(name, address, pattern);
    let group = |pattern: &Vec<u8>| seen.groups.iter().any(|own| fits(own, pattern));
    let named = |pattern: &Vec<u8>| by_name(pattern);
    let lists = [&rules.deny_users, &rules.allow_users];
    if rules.names && lists.iter().any(|list| list.iter().any(named)) {
        return unknown("AllowUsers or DenyUsers name hosts, whose addresses only DNS knows");
    }
    let shown = |pattern: &[u8]| String::from_utf8_lossy(pattern).into_owned();
    if let Some(pattern) = rules.deny_users.iter().find(|it| user(it)) {
        return refuses(format!("DenyUsers {} means it", shown(pattern)));
    }
    if !rules.allow_users.is_empty() && !rules.allow_users.iter().any(user) {
        let all = shown(&rules.allow_users.join(&b' '));
        return refuses(format!("AllowUsers {all} does not mean it from {address}"));
    }
    if let Some(pattern) = rules.deny_groups.iter().find(|it| group(it)) {
        return refuses(format!("DenyGroups {} means it", shown(pattern)));
    }
    if !rules.allow_groups.is_empty() && !rules.allow_groups.iter().any(group) {
        let all = shown(&rules.allow_groups.join(&b' '));
        return refuses(format!("AllowGroups {all} means none of its groups"));
    }
    if seen.account.uid == 0 && rules.root == "no" {
        return refuses("PermitRootLogin is no");
    }
    Step::new(
        SUBJECT,
        Verdict::Permits,
        "its lists of users and groups take it",
    )
}

fn is_user(name: &[u8], address: IpAddr, pattern: &[u8]) -> bool {
    match pattern.iter().rposition(|byte| *byte == b'@') {
        Some(at) => {
            let (user, host) = pattern.split_at(at);
            fits(name, user) && means(address, host.get(1..).unwrap_or_default())
        }
        None => fits(name, pattern),
    }
}

/// Whether a pattern has a host that is no address.
fn by_name(pattern: &[u8]) -> bool {
    let at = pattern.iter().rposition(|byte| *byte == b'@');
    let host = at.and_then(|at| pattern.get(at + 1..)).unwrap_or_default();
    let address = |byte: &u8| byte.is_ascii_hexdigit() || b".:*?/!,".contains(byte);
    !host.iter().all(address)
}
