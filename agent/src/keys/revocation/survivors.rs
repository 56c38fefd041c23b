//! What may live on of a session that was ended: whatever left it in time.

use std::collections::BTreeMap;
use std::fs;

use watchward_protocol::instruments::Ended;
use watchward_protocol::text::Foreign;

use super::live::said;

/// What a process is in that no login began (`(unsigned) -1`).
const NO_SESSION: &str = "4294967295";
/// So many processes are named.
const MOST_NAMED: usize = 20;

/// What is known of a session before it ends.
#[derive(Debug)]
pub(super) struct Survivors {
    account: Option<Foreign>,
    /// The kernel's own number of the login, which no process can put off.
    audit: Option<String>,
    /// Where logind has what its user runs; none for root.
    slice: Option<String>,
}

impl Survivors {
    /// Looks before the session ends.
    pub(super) fn before(pid: u32, account: Option<Foreign>) -> Self {
        let audit = said(pid, "sessionid").filter(|it| it != NO_SESSION);
        let groups = said(pid, "cgroup").unwrap_or_default();
        let of_user = groups.split('/').find_map(|part| {
            let number = part.strip_prefix("user-")?.strip_suffix(".slice")?;
            number.parse::<u32>().ok()
        });
        Self {
            account,
            audit,
            // What is root's is the system's as well.
            slice: of_user
                .filter(|it| *it > 0)
                .map(|it| format!("/user-{it}.slice/")),
        }
    }

    /// Says what is left after it ended, one sentence each.
    pub(super) fn after(&self) -> Vec<String> {
        let mut all = self.processes();
        if let Some(account) = &self.account {
            let lingers = fs::read_dir("/var/lib/systemd/linger")
                .into_iter()
                .flatten();
            let mut names = lingers.flatten().map(|it| it.file_name());
            if names.any(|name| name.as_encoded_bytes() == account.as_bytes()) {
                all.push(format!(
                    "{account} lingers: its services run without a login"
                ));
            }
        }
        all.truncate(Ended::MOST_SURVIVORS);
        all
    }

    fn processes(&self) -> Vec<String> {
        let (mut named, mut services, mut more) = (BTreeMap::new(), 0, 0);
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let all = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
        for pid in all {
            let groups = said(pid, "cgroup").unwrap_or_default();
            let audit = said(pid, "sessionid");
            let of_login = self.audit.is_some() && audit == self.audit;
            let is_users = self.slice.as_ref().is_some_and(|it| groups.contains(it));
            if !of_login && !is_users {
                continue;
            }
            // Those of other sessions of this user, which other keys opened.
            if !of_login && groups.contains("/session-") {
                continue;
            }
            if groups.contains("/user@") {
                services += 1;
            } else if named.len() < MOST_NAMED {
                named.insert(pid, name(pid));
            } else {
                more += 1;
            }
        }
        let sentence = |(pid, name): (u32, String)| format!("process {pid} ({name}) lives on");
        let mut all: Vec<String> = named.into_iter().map(sentence).collect();
        if more > 0 {
            all.push(format!("{more} more processes live on"));
        }
        if services > 0 {
            all.push(format!(
                "services of the user's own have {services} processes"
            ));
        }
        all
    }
}

/// What a process calls itself; it may call itself anything.
fn name(pid: u32) -> String {
    Foreign::from(said(pid, "comm").unwrap_or_default().as_str()).shortened(40)
}
