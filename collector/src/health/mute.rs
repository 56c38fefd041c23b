//! Checks that have fallen silent while their host is heard: told, or forgotten if the host's agent
//! does not run them any more.

use futures_util::future::BoxFuture;
use watchward_protocol::hosts::{Doctor, Finding, FindingState, HostId};
use watchward_protocol::time::Timestamp;

use super::judge::{self, Late};
use super::rows::late;
use super::{alerts, end};
use crate::alerting;
use crate::intake::Heard;
use crate::store::Tx;

/// Says when a host was last heard, and what its agent says that it watches; nothing of a host that
/// is unknown.
pub type Signs = for<'a> fn(
    &'a mut Tx,
    HostId,
) -> BoxFuture<'a, sqlx::Result<Option<(Timestamp, Vec<Finding>)>>>;

/// Looks at checks that are overdue, and says how many incidents began or ended.
pub(super) async fn look(tx: &mut Tx, signs: Signs, now: Timestamp) -> sqlx::Result<usize> {
    let mut changed = 0;
    for host in late::hosts(tx, now).await? {
        let Some((seen_at, findings)) = signs(tx, host).await? else {
            continue;
        };
        let sampled_at = late::heard(tx, host, SAMPLED).await?;
        for check in late::checks(tx, host, now).await? {
            let unmounted = check.name.starts_with(DISK)
                && sampled_at.is_some_and(|sampled_at| sampled_at > check.due_at);
            let runs = !unmounted && findings.iter().any(|finding| may_run(finding, &check.name));
            match judge::late((check.due_at, check.mute_at), seen_at, runs, now) {
                Late::Wait(mute_at) if mute_at == check.mute_at => {}
                Late::Wait(mute_at) => late::wait(tx, &check, mute_at).await?,
                Late::Tell => {
                    if late::tell(tx, &check).await? {
                        alerting::raise(tx, &alerts::mute(&check), now).await?;
                        changed += 1;
                    }
                }
                Late::Forget => {
                    let gone = late::take(tx, &check).await?;
                    let why = if unmounted { UNMOUNTED } else { NOT_RUN };
                    changed += end(tx, &gone, why, now).await?;
                }
            }
        }
    }
    Ok(changed)
}

/// What the names of disks begin with: each look at a host finds those that are mounted, and those
/// that should be. So while the rest of the host is heard, a disk without a word has gone.
const DISK: &str = "host.disk ";
/// What each look at a host finds.
const SAMPLED: &str = "host.cpu";
const UNMOUNTED: &str = "The disk is not mounted any more.";

const NOT_RUN: &str = "The host's agent does not run this check any more.";

/// Whether a finding says that this check is run, or that not all is said. What one check finds may
/// have several names: those of `host` are `host.cpu`, `host.memory` and so on.
fn may_run(finding: &Finding, check: &str) -> bool {
    if finding.subject == Doctor::LEFT_OUT {
        return true;
    }
    let Some(runs) = finding.check() else {
        return false;
    };
    let part = || {
        check
            .strip_prefix(runs)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    finding.state != FindingState::Absent && (runs == check || !runs.contains('.') && part())
}

/// Forgets checks that agents say they do not run any more.
///
/// # Errors
/// The database's.
pub async fn doctors(tx: &mut Tx, heard: &[Heard<Doctor>], now: Timestamp) -> sqlx::Result<()> {
    for doctor in heard {
        let findings = doctor.report.findings.iter();
        for finding in findings.filter(|finding| finding.state == FindingState::Absent) {
            if let Some(check) = finding.check() {
                let gone = late::end(tx, doctor.host.id, check, doctor.kept_at).await?;
                end(tx, &gone, NOT_RUN, now).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subject: &str, state: FindingState) -> Finding {
        Finding {
            subject: subject.to_owned(),
            state,
            detail: String::new(),
        }
    }

    #[test]
    fn a_finding_speaks_of_its_check_and_its_parts() {
        let watched = |subject| finding(subject, FindingState::Watched);
        assert!(may_run(&watched("health: tcp.db"), "tcp.db"));
        assert!(!may_run(&watched("health: tcp.db"), "tcp.db.more"));
        assert!(!may_run(&watched("health: tcp.d"), "tcp.db"));
        assert!(may_run(&watched("health: host"), "host.disk /var"));
        assert!(!may_run(&watched("access: journal"), "access: journal"));
        let failing = finding("health: tcp.db", FindingState::Failing);
        assert!(may_run(&failing, "tcp.db"), "it is run, and fails");
        let absent = finding("health: tcp.db", FindingState::Absent);
        assert!(!may_run(&absent, "tcp.db"));
        let left_out = finding(Doctor::LEFT_OUT, FindingState::Failing);
        assert!(may_run(&left_out, "tcp.db"), "nobody knows");
    }
}
