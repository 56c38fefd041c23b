//! What may live on of a session that was ended: whatever left it in time.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use watchward_enforcer::keys as role_of;
use watchward_protocol::instruments::Ended;
use watchward_protocol::text::Foreign;

use super::live::{Monitor, monitors};
use super::open::{Open, Place};
use super::processes::{self, Process};
use crate::sockets::opened::opened;

/// So many processes are named.
const MOST_NAMED: usize = 12;

/// What is known of a session before it ends.
#[derive(Debug)]
pub(super) struct Survivors {
    account: Option<Foreign>,
    monitor: Monitor,
    login: Option<String>,
    /// The number of its user, where logind has the session.
    pub(super) user: Option<u32>,
    /// The scope that logind made for it.
    scope: Option<String>,
    /// What the kernel knows that by, also when it is gone.
    number: Option<u64>,
}

/// How a process has to do with the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    /// It came from it.
    Own,
    /// It is one of the services that its user has.
    Service,
    /// It is the user's, and runs elsewhere.
    Users,
    /// It has nothing to do with it.
    None,
}

impl Survivors {
    /// Looks before the session ends.
    pub(super) fn before(monitor: Monitor, account: Option<Foreign>) -> Self {
        let process = Process::read(monitor.pid);
        let group = process.as_ref().and_then(Process::group);
        let mut parts = group.unwrap_or_default().split('/');
        let user = parts.clone().find_map(|part| {
            let number = part.strip_prefix("user-")?.strip_suffix(".slice")?;
            number.parse().ok()
        });
        let scope = parts.next_back().filter(|it| it.starts_with("session-"));
        let scope = scope.and(group).map(str::to_owned);
        Self {
            account,
            monitor,
            user,
            number: scope.as_deref().and_then(processes::number),
            scope,
            login: process.and_then(|it| it.login),
        }
    }

    /// Says what is left after it ended, one sentence each. Of the processes that began since it did and
    /// are its user's, the role has told.
    pub(super) fn after(&self, since: &[role_of::Process], user: Option<u32>) -> Vec<String> {
        let all = processes::all();
        // What others opened who are in still.
        let others = monitors().into_iter().map(|it| it.pid).collect();
        let others = processes::with_children(others, &all);
        let since: HashSet<(u32, u64)> = since.iter().map(|it| (it.pid, it.started)).collect();
        let kin = |one: &Process| match others.contains(&one.pid) {
            true => Kin::None,
            false => self.kin(one, &since),
        };
        let all: Vec<(Kin, Process)> = all.into_iter().map(|it| (kin(&it), it)).collect();
        let mut said = self.sockets(&all, user);
        said.extend(named(&all, user));
        said.extend(self.lingers());
        said.truncate(Ended::MOST_SURVIVORS);
        said
    }

    fn kin(&self, one: &Process, since: &HashSet<(u32, u64)>) -> Kin {
        let of_login = self.login.is_some() && one.login == self.login;
        let in_scope = self.scope.is_some() && one.group() == self.scope.as_deref();
        // What is root's is the system's as well.
        let slice = self.user.filter(|it| *it > 0);
        let slice = slice.map(|it| format!("/user-{it}.slice/"));
        let is_users = slice.is_some_and(|it| one.groups.contains(&it));
        let is_since = since.contains(&(one.pid, one.started));
        match (of_login || in_scope, is_users || is_since) {
            (true, _) if one.groups.contains("/user@") => Kin::Service,
            (true, _) => Kin::Own,
            // Those of other sessions of this user, which other keys opened.
            (false, true) if one.is_in_session() => Kin::None,
            (false, true) if one.groups.contains("/user@") => Kin::Service,
            (false, true) => Kin::Users,
            (false, false) => Kin::None,
        }
    }

    /// What listens or is connected of what began since the session did.
    fn sockets(&self, all: &[(Kin, Process)], user: Option<u32>) -> Vec<String> {
        let sockets = match opened() {
            Ok(sockets) => sockets,
            Err(error) => return vec![format!("which sockets it left could not be seen: {error}")],
        };
        let mut places: BTreeMap<&str, Place> = BTreeMap::new();
        for (kin, one) in all {
            let Some(group) = one.group() else { continue };
            let is_left = *kin != Kin::None && one.started >= self.monitor.started;
            let place = places.entry(group).or_insert_with(|| Place::of(one.unit()));
            match is_left {
                true => place.left.push((one.pid, one.name.clone())),
                false => place.others += 1,
            }
            // A daemon of the system's own may be in the same group.
            place.is_all_theirs |= *kin == Kin::Service || user == Some(0);
        }
        places.retain(|_, place| !place.left.is_empty());
        let numbered = |(group, place)| Some((processes::number(group)?, place));
        let open = Open {
            account: self.account.as_ref().map(Foreign::to_string),
            own: self.number,
            places: places.into_iter().filter_map(numbered).collect(),
            // Of root's, so much is connected that has nothing to do with it.
            connected: user != Some(0),
        };
        open.said(&sockets)
    }

    fn lingers(&self) -> Option<String> {
        let account = self.account.as_ref()?;
        let lingers = fs::read_dir("/var/lib/systemd/linger").ok()?;
        let mut names = lingers.flatten().map(|it| it.file_name());
        let is_one = names.any(|name| name.as_encoded_bytes() == account.as_bytes());
        is_one.then(|| format!("{account} lingers: its services run without a login"))
    }
}

/// The processes that live.
fn named(all: &[(Kin, Process)], user: Option<u32>) -> Vec<String> {
    // What root has begun since then may be anybody's.
    let is_named = |kin: Kin| kin == Kin::Own || kin == Kin::Users && user != Some(0);
    let left: BTreeMap<u32, &Process> = all
        .iter()
        .filter(|(kin, _)| is_named(*kin))
        .map(|(_, one)| (one.pid, one))
        .collect();
    let more = left.len().saturating_sub(MOST_NAMED);
    let sentence = |one: &&Process| {
        let (pid, name) = (one.pid, &one.name);
        match one.unit() {
            unit if one.is_in_session() || unit.is_empty() => {
                format!("process {pid} ({name}) lives on")
            }
            unit => format!("process {pid} ({name}) of {unit} lives on"),
        }
    };
    let mut said: Vec<String> = left.values().take(MOST_NAMED).map(sentence).collect();
    if more > 0 {
        said.push(format!("{more} more processes live on"));
    }
    match all.iter().filter(|(kin, _)| *kin == Kin::Service).count() {
        0 => {}
        services => said.push(format!(
            "services of the user's own have {services} processes"
        )),
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_a_user_calls_like_a_session_is_a_service_of_its_own() {
        let survivors = Survivors {
            account: Some("zoe".into()),
            monitor: Monitor { pid: 2, started: 1 },
            login: None,
            user: Some(1000),
            scope: None,
            number: None,
        };
        let kin = |below: &str| {
            let one = Process {
                pid: 3,
                parent: 1,
                started: 2,
                name: "nc".to_owned(),
                groups: format!("0::/user.slice/user-1000.slice/{below}"),
                login: None,
            };
            survivors.kin(&one, &HashSet::new())
        };
        let service = "user@1000.service/app.slice/session-x.service";
        assert_eq!(kin(service), Kin::Service);
        assert_eq!(kin("session-7.scope"), Kin::None, "another key opened it");
        assert_eq!(kin("session-7.service"), Kin::Users);
    }
}
