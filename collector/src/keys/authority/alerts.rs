//! What people are told of the authority: ahead, when the next one waits, and when it is missed; and its
//! days on the calendar.

use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::Whose;
use super::schedule::Schedule;
use super::step::Step;
use crate::alerting::{self, Alert, Severity};
use crate::keys::rotation::Entry;
use crate::keys::rows::authority::{self as rows, Kept};
use crate::store::{Store, Tx};

/// The incident of an authority whose turn does not come.
const LATE: &str = "keys.authority next";
/// Of one that is replaced before long, and of one that should have been.
const SOON: &str = "keys.authority-soon next";
const MISSED: &str = "keys.authority-missed next";

/// Tells what is so, and ends what is not.
pub(super) async fn tell(
    tx: &mut Tx,
    (live, step): (&[Kept], &Step),
    schedule: &Schedule,
    now: Timestamp,
) -> sqlx::Result<()> {
    let next = live.iter().find(|one| one.signs_at.is_none());
    let waits = match step {
        Step::Wait(hosts) => hosts.as_slice(),
        Step::Rest | Step::Make | Step::Sign(_) | Step::End(_) => &[],
    };
    let since = rows::signing(live).and_then(|one| Some((one, one.signs_at?)));
    let late = next.filter(|it| {
        let waited = now >= it.made_at + schedule.overlap.0.duration();
        waited && !waits.is_empty()
    });
    let soon = since.filter(|(_, since)| {
        let is_near = schedule.warn(*since) <= now && now < schedule.due(*since);
        is_near && next.is_none()
    });
    let missed = since.filter(|(_, since)| now >= schedule.deadline(*since));
    for (key, alert) in [
        (LATE, late.map(|next| waiting(next, waits))),
        (
            SOON,
            soon.map(|(one, since)| ahead(one, schedule.due(since), now)),
        ),
        (
            MISSED,
            missed.map(|(one, since)| over(one, schedule.deadline(since), waits)),
        ),
    ] {
        match alert {
            Some(alert) => alerting::hold(tx, &alert, now).await?,
            None => {
                alerting::resolve(tx, key, "Every host trusts the one that signs.", now).await?
            }
        }
    }
    Ok(())
}

/// Ends what is open: another one signs.
pub(super) async fn end(tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
    for key in [LATE, SOON, MISSED] {
        alerting::resolve(tx, key, "It was replaced.", now).await?;
    }
    Ok(())
}

/// When the authority that signs is replaced.
///
/// # Errors
/// The database's.
pub(in crate::keys) async fn entries(
    store: &Store,
    schedule: &Schedule,
    now: Timestamp,
) -> sqlx::Result<Vec<Entry>> {
    let live = rows::live(store.read(), Whose::People).await?;
    let next = live.iter().find(|one| one.signs_at.is_none());
    let entry = |one: &Kept| {
        let since = one.signs_at?;
        Some(Entry {
            due_at: schedule.due(since),
            what: format!("authority {} of people's certificates", one.id),
            whose: "this collector".to_owned(),
            by_itself: true,
            path: String::new(),
            every: schedule.every.0.to_string(),
            warn_at: Some(schedule.warn(since)),
            deadline_at: Some(schedule.deadline(since)),
            missed: schedule.missed.word(),
            is_late: schedule.due(since) <= now,
            waits: next
                .map(|next| format!("authority {} waits for every host to trust it", next.id))
                .unwrap_or_default(),
        })
    };
    Ok(rows::signing(&live).and_then(entry).into_iter().collect())
}

/// It is replaced before long.
fn ahead(one: &Kept, due: Timestamp, now: Timestamp) -> Alert {
    let day: String = due.to_string().chars().take(10).collect();
    Alert {
        key: SOON.to_owned(),
        severity: Severity::Info,
        host: None,
        title: format!("the authority of certificates is replaced on {day}"),
        detail: format!(
            "The authority {} signs certificates for people. At {due} the next one is made, which signs \
             when every host trusts it. Hosts with watchward-enforcer do so by themselves.",
            one.id
        ),
        advice: "On other hosts the file that TrustedUserCAKeys names will need what `watchward \
                 authority` prints then."
            .to_owned(),
        since: now,
    }
}

/// It should have been replaced by now.
fn over(one: &Kept, deadline: Timestamp, waits: &[String]) -> Alert {
    let day: String = deadline.to_string().chars().take(10).collect();
    let waits = match waits.is_empty() {
        true => "Nothing that is known holds up the next one.".to_owned(),
        false => format!("The next one waits for {}.", named(waits)),
    };
    Alert {
        key: MISSED.to_owned(),
        severity: Severity::Critical,
        host: None,
        title: format!("the authority of certificates was to be replaced by {day}"),
        detail: format!("The authority {} signs still. {waits}", one.id),
        advice:
            "`watchward authority show` says who does not trust the next one; `watchward authority \
                 rotate --now` replaces it at once, and voids every certificate."
                .to_owned(),
        since: deadline,
    }
}

/// Its turn does not come, for these hosts do not trust it yet.
fn waiting(next: &Kept, hosts: &[String]) -> Alert {
    let count = match hosts.len() {
        1 => "a host".to_owned(),
        many => format!("{many} hosts"),
    };
    Alert {
        key: LATE.to_owned(),
        severity: Severity::Warning,
        host: None,
        title: format!("the next authority of certificates waits for {count}"),
        detail: format!(
            "The authority {} was made at {} to take the place of the one that signs certificates for \
             people. It signs nothing before every host that trusts the old one trusts it, too; these do \
             not yet: {}.",
            next.id,
            next.made_at,
            named(hosts)
        ),
        advice: "On a host with watchward-enforcer look why it does not hold what is ordered; on others \
                 add what `watchward authority` prints to the file that TrustedUserCAKeys names."
            .to_owned(),
        since: next.made_at,
    }
}

pub(super) fn named(hosts: &[String]) -> String {
    let names = hosts.iter().take(20);
    let names: Vec<_> = names
        .map(|name| Foreign::from(name.as_str()).shortened(40))
        .collect();
    match hosts.len().saturating_sub(names.len()) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
