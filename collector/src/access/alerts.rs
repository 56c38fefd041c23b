//! What the room's alerts say. Pure.
//!
//! Pages leave the collector, so the strictest rule holds for names: one that the host does not know
//! may be a password typed in the wrong field, and is only measured, never shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use watchward_protocol::access::{Service, Trust};
use watchward_protocol::record::Gap;
use watchward_protocol::restriction::ShutOut;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::BruteForce;
use super::address::Source;
use super::rows::attack::Attack;
use super::rows::counted::Witness;
use super::rows::elevation::Failure;
use super::rows::standing::Standing;
use crate::alerting::{Alert, Severity, moment};
use crate::intake::{Heard, Host};

/// The key of the incident for a burst from this source.
pub(super) fn brute_force_key(source: Source) -> String {
    format!("access.brute-force {source}")
}

/// The key of the incident for a login after such a burst.
pub(super) fn login_after_key(source: Source) -> String {
    format!("access.login-after-brute-force {source}")
}

/// Many failures from one source.
pub(super) fn brute_force(attack: &Attack, seen: &[Witness], severity: Severity) -> Alert {
    let Attack {
        source, failures, ..
    } = attack;
    let hosts = tally(seen.iter().map(|one| shown(&one.host, 30)));
    Alert {
        key: brute_force_key(*source),
        severity,
        host: only(&hosts),
        title: format!(
            "{} brute force from {source}: {failures} failures on {}",
            gates(seen),
            place(&hosts)
        ),
        detail: format!(
            "{failures} failures from {source} between {} and {}.\nHosts: {}\nUsers: {}\nMethods: {}\n\
             {YOURS}`watchward ban add {source} --for 7d --reason attack`",
            attack.since,
            attack.last_at,
            list(&hosts),
            list(&tally(seen.iter().map(user))),
            list(&tally(seen.iter().map(method))),
        ),
        advice: format!("{YOURS}watchward ban add."),
        since: attack.since,
    }
}

/// How what to do about a source begins.
const YOURS: &str = "If it is not yours: ";

/// The same where the source is shut out by now.
pub(super) fn shut_out(alert: Alert, source: Source, by: ShutOut, now: Timestamp) -> Alert {
    let hosts = match by.hosts {
        1 => "1 host".to_owned(),
        hosts => format!("{hosts} hosts"),
    };
    let since = moment(by.since, now);
    let out = format!("Shut out since {since} UTC, on {hosts}.");
    let lift = format!("watchward ban lift {source} --reason ours");
    let lines = alert.detail.lines();
    let before: Vec<_> = lines.filter(|line| !line.starts_with(YOURS)).collect();
    Alert {
        detail: format!("{}\n{out} If it is yours: `{lift}`", before.join("\n")),
        advice: out,
        ..alert
    }
}

/// Somebody got in from a source that was guessing.
pub(super) fn login_after(attack: &Attack, seen: &[Witness]) -> Alert {
    let Attack {
        source, failures, ..
    } = attack;
    let hosts = tally(seen.iter().map(|one| shown(&one.host, 30)));
    let mut detail = format!(
        "{failures} failures from {source} since {}, and then they got in:",
        attack.since
    );
    for (login, times) in tally(seen.iter().map(login)) {
        let _ = write!(detail, "\n{login}{}", repeated(times));
    }
    detail.push_str("\nIf it was not the account's owner, end the session and lock the account.");
    Alert {
        key: login_after_key(*source),
        severity: Severity::Critical,
        host: only(&hosts),
        title: format!(
            "{} login after brute force from {source} on {}",
            gates(seen),
            place(&hosts)
        ),
        detail,
        advice: "Ask the owner; if it was not them, end the session.".to_owned(),
        since: attack.since,
    }
}

/// Why an attack counts as over.
pub(super) fn quiet(attack: &Attack, config: &BruteForce) -> String {
    format!(
        "No further failure from {} for {}; {} in all, the last at {}. \
         Whether a login from there was a good one, only a person can say.",
        attack.source, config.quiet, attack.failures, attack.last_at
    )
}

/// The key of the incident for a user of this host who fails to become somebody else.
pub(super) fn elevation_key(host: &Host, user: &Foreign) -> String {
    format!("access.elevation {} {}", host.id, user.shortened(100))
}

/// Said where what was seen may have been made up to accuse somebody.
const FORGED: &str = "\nThe lines stood in a text file, where any local user of the host can write \
    them (`logger -t sudo`), also in the name of somebody else.";

/// A user who failed again and again to become somebody else. The name is an account of the host:
/// sudo and su take it from there, and not from what was typed.
pub(super) fn elevation(
    host: &Host,
    user: &Foreign,
    standing: &Standing,
    seen: &[Failure],
    severity: Severity,
) -> Alert {
    let (name, who) = (shown(&host.name, 30), user.shortened(40));
    let program = |one: &Failure| if one.by_su { "su" } else { "sudo" }.to_owned();
    let targets = tally(
        seen.iter()
            .filter_map(|one| Some(one.target.as_ref()?.shortened(40))),
    );
    let whom = match only(&targets) {
        Some(target) => target,
        None => "another user".to_owned(),
    };
    let programs = tally(seen.iter().map(program));
    let tools = programs.keys().cloned().collect::<Vec<_>>().join(" and ");
    let count = standing.count;
    let by_text = seen.iter().any(|one| one.trust == Trust::Text);
    let doubt = if by_text { FORGED } else { "" };
    Alert {
        key: standing.key.clone(),
        severity,
        host: Some(host.name.clone()),
        title: format!("{name}: {who} failed {count} times to become {whom} ({tools})"),
        detail: format!(
            "{count} failures of {who} on {name} since {}.\nPrograms: {}\nAccounts asked for: {}\n\
             Why: {}{doubt}\n\
             If it was not {who}, somebody else is in their account: end its sessions and lock it. \
             `watchward access --host {name} --user {who}` shows where it logged in from.",
            standing.since,
            list(&programs),
            list(&targets),
            list(&tally(seen.iter().map(|one| shown(&one.form, 40)))),
        ),
        advice: "Ask them; if it was somebody else, lock the account.".to_owned(),
        since: standing.since,
    }
}

/// The key of the incident for lines of this host that nobody recognises.
pub(super) fn unrecognised_key(host: &Host) -> String {
    format!("access.unrecognised {}", host.id)
}

/// Lines that nobody recognises. Beware: such a line may have a password anywhere in it, so that
/// none is shown here.
pub(super) fn unrecognised(host: &Host, standing: &Standing) -> Alert {
    let name = shown(&host.name, 30);
    let lines = match standing.count {
        1 => "1 line of a log that nobody recognises".to_owned(),
        count => format!("{count} lines of a log that nobody recognises"),
    };
    Alert {
        key: standing.key.clone(),
        severity: Severity::Warning,
        host: Some(host.name.clone()),
        title: format!("{name}: {lines}"),
        detail: format!(
            "{lines} on {name} since {}. They are kept, but what they say is not counted: \
             attempts may be missing.\n`watchward access --host {name}` shows them; \
             `watchward-agent parse` on the host says what it makes of a line.",
            standing.since
        ),
        advice: "Look at the lines, and report them with the server's version.".to_owned(),
        since: standing.since,
    }
}

/// The key of the incident for gaps in this source of this host.
pub(super) fn gap_key(heard: &Heard<Gap>) -> String {
    let source = shown(&heard.report.source, 100);
    format!("access.gap {} {source}", heard.host.id)
}

/// Something that cannot be known any more.
pub(super) fn gap(heard: &Heard<Gap>, standing: &Standing) -> Alert {
    let Gap {
        source,
        from,
        to,
        lost,
        why,
    } = &heard.report;
    let name = shown(&heard.host.name, 30);
    let from = from.map_or_else(|| "an unknown time".to_owned(), |from| from.to_string());
    let lost = lost.map_or_else(
        || "an unknown number of records is lost".to_owned(),
        |lost| format!("{lost} records are lost"),
    );
    Alert {
        key: standing.key.clone(),
        severity: Severity::Warning,
        host: Some(heard.host.name.clone()),
        title: format!("{name}: access log has a gap"),
        detail: format!(
            "On {name}, in {}: {lost} between {from} and {to}.\nWhy: {}\nGaps there so far: {}",
            shown(source, 200),
            shown(why, 500),
            standing.count,
        ),
        advice: "See that the log is kept until the agent has read it.".to_owned(),
        since: standing.since,
    }
}

/// Text that an agent gave, safe to show and not too long.
fn shown(text: &str, longest: usize) -> String {
    Foreign::from(text).shortened(longest)
}

fn user(one: &Witness) -> String {
    match &one.user {
        Some((name, true)) => name.shortened(40),
        Some((name, false)) => {
            let characters = String::from_utf8_lossy(name.as_bytes()).chars().count();
            format!("unknown name ({characters} characters)")
        }
        None => "no name given".to_owned(),
    }
}

fn method(one: &Witness) -> String {
    let method = one.method.as_deref().unwrap_or("not said");
    shown(method, 40)
}

fn login(one: &Witness) -> String {
    let key = one.fingerprint.as_deref();
    let key = key.map_or_else(String::new, |key| format!(", key {}", shown(key, 80)));
    let host = shown(&one.host, 30);
    format!("{} on {host} by {}{key}", user(one), method(one))
}

fn tally(all: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

/// What somebody tried to come in by.
fn gates(seen: &[Witness]) -> String {
    let vpn = seen.iter().any(|one| one.service == Service::OpenVpn);
    let ssh = seen.iter().any(|one| one.service == Service::Sshd);
    match (ssh, vpn) {
        (_, false) => "SSH",
        (false, true) => "OpenVPN",
        (true, true) => "SSH and OpenVPN",
    }
    .to_owned()
}

fn only(hosts: &BTreeMap<String, usize>) -> Option<String> {
    let mut names = hosts.keys();
    names.next().filter(|_| names.next().is_none()).cloned()
}

fn place(hosts: &BTreeMap<String, usize>) -> String {
    only(hosts).unwrap_or_else(|| format!("{} hosts", hosts.len()))
}

/// The most frequent ones first; what does not fit is counted.
fn list(counts: &BTreeMap<String, usize>) -> String {
    let mut all: Vec<_> = counts.iter().collect();
    all.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    let more = all.len().saturating_sub(MOST);
    let mut text: Vec<_> = all
        .iter()
        .take(MOST)
        .map(|(one, times)| format!("{one}{}", repeated(**times)))
        .collect();
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    text.join(", ")
}

const MOST: usize = 20;

fn repeated(times: usize) -> String {
    match times {
        1 => String::new(),
        _ => format!(" ×{times}"),
    }
}
