//! What people are told of the authority of hosts, and its day on the calendar. Pure but for what is read.

use watchward_protocol::time::Timestamp;

use super::Whose;
use super::alerts::named;
use super::hosts_rotate::{Told, spans};
use super::hosts_step::Step;
use crate::alerting::{Alert, Severity};
use crate::keys::Policy;
use crate::keys::rotation::{Entry, Missed};
use crate::keys::rows::authority::{self as rows, Kept};
use crate::store::Store;

/// The incident of one that is replaced before long, and of one that should have been.
const SOON: &str = "keys.hosts-authority-soon next";
const MISSED: &str = "keys.hosts-authority-missed next";

/// What should be open.
pub(super) fn all((live, step): (&[Kept], &Step), policy: &Policy, now: Timestamp) -> Told {
    let schedule = &policy.hosts_authority;
    let since = rows::signing(live).and_then(|one| Some((one, one.signs_at?)));
    let next = live.iter().find(|one| one.signs_at.is_none());
    let soon = since.filter(|(_, since)| {
        let is_near = schedule.warn(*since) <= now && now < schedule.due(*since);
        is_near && next.is_none()
    });
    let published = spans(policy).published;
    // The one that should sign does not; or it does, and hosts show what the one before signed.
    let unsigned = since.map(|(one, since)| (one, schedule.deadline(since) + published));
    let unsigned = unsigned.filter(|(_, deadline)| now >= *deadline);
    let leaning = match step {
        Step::Wait(hosts) => since.map(|(one, since)| (one, since + schedule.grace(), hosts)),
        Step::Rest | Step::Make | Step::Publish(_) | Step::Sign(_) | Step::End(_) => None,
    };
    let leaning = leaning.filter(|(_, deadline, _)| now >= *deadline);
    let missed = leaning.map(|(one, deadline, hosts)| {
        let why = format!(
            "The authority {} signs for hosts since {}. These show certificates of the one before \
             still, which clients trust until then: {}.",
            one.id,
            deadline - schedule.grace(),
            named(hosts)
        );
        over(why, deadline)
    });
    let missed = missed.or_else(|| {
        unsigned.map(|(one, deadline)| {
            let why = format!("The authority {} signs for hosts still.", one.id);
            over(why, deadline)
        })
    });
    vec![
        (
            SOON,
            soon.map(|(one, since)| ahead(one, schedule.due(since), now)),
        ),
        (MISSED, missed),
    ]
}

fn ahead(one: &Kept, due: Timestamp, now: Timestamp) -> Alert {
    let day: String = due.to_string().chars().take(10).collect();
    Alert {
        key: SOON.to_owned(),
        severity: Severity::Info,
        host: None,
        title: format!("the authority of hosts is replaced on {day}"),
        detail: format!(
            "The authority {} signs certificates of hosts' keys. At {due} the next one is made; clients \
             are given its line beside the old one for a while before it signs.",
            one.id
        ),
        advice:
            "Who signs in with `watchward login` has nothing to do. Files of known hosts that were \
                 written by hand will need what `watchward authority hosts` prints then."
                .to_owned(),
        since: now,
    }
}

fn over(why: String, deadline: Timestamp) -> Alert {
    let day: String = deadline.to_string().chars().take(10).collect();
    Alert {
        key: MISSED.to_owned(),
        severity: Severity::Critical,
        host: None,
        title: format!("the authority of hosts was to be replaced by {day}"),
        detail: why,
        advice: "`watchward authority show --hosts` says how it stands. Look on the hosts that are named \
                 why they show no new certificate."
            .to_owned(),
        since: deadline,
    }
}

/// When the authority that signs is replaced.
///
/// # Errors
/// The database's.
pub(in crate::keys) async fn entries(
    store: &Store,
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<Vec<Entry>> {
    let schedule = &policy.hosts_authority;
    let live = rows::live(store.read(), Whose::Hosts).await?;
    let next = live.iter().find(|one| one.signs_at.is_none());
    let published = spans(policy).published;
    let entry = |one: &Kept| {
        let since = one.signs_at?;
        Some(Entry {
            due_at: schedule.due(since),
            what: format!("authority {} of hosts' certificates", one.id),
            whose: "this collector".to_owned(),
            by_itself: true,
            path: String::new(),
            every: schedule.every.0.to_string(),
            warn_at: Some(schedule.warn(since)),
            deadline_at: Some(schedule.deadline(since) + published),
            missed: Missed::Page.word(),
            is_late: schedule.due(since) <= now,
            waits: next
                .map(|next| {
                    let at = next.made_at + published;
                    format!(
                        "authority {} signs at {at}, when clients could know it",
                        next.id
                    )
                })
                .unwrap_or_default(),
        })
    };
    // Of hosts that are to show nothing there is nothing to replace.
    let signing = rows::signing(&live).filter(|_| !policy.hosts.is_empty());
    Ok(signing.and_then(entry).into_iter().collect())
}
