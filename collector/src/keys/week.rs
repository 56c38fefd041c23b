//! What became of keys in a week: for the report.

use watchward_protocol::receipt::Moment;
use watchward_protocol::report::{BreakGlass, Keys, Late, Retired, Revoked};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::proof::{self, ShownGlass, ShownRevoked};
use super::rotation::{AUTHOR, Calendar, Entry};
use super::rows::{ended, revoked};

/// What became of keys from then until then, and how all of them stand now.
///
/// # Errors
/// The database's.
pub async fn week(
    calendar: &Calendar,
    span: (Timestamp, Timestamp),
    now: Timestamp,
) -> sqlx::Result<Keys> {
    let (store, policy) = (&calendar.store, calendar.policy.now());
    let within = revoked::within(store, span).await?.into_iter();
    let (rotated, revoked): (Vec<_>, Vec<_>) = within.partition(|(_, key)| key.author == AUTHOR);
    let retired = proof::list(store, now).await?;
    let late = calendar.entries(now).await?.into_iter();
    let glass = proof::list_glass(store, &policy, now).await?;
    Ok(Keys {
        rotated: rotated.into_iter().map(acted).collect(),
        revoked: revoked.into_iter().map(acted).collect(),
        late: late.filter(|it| it.is_late).map(overdue).collect(),
        retired: proof::sentence(&retired).0,
        doors: retired
            .into_iter()
            .filter(|key| !key.is_certificate)
            .map(asked)
            .collect(),
        break_glass: glass.into_iter().map(emergency).collect(),
        sessions: ended::counts(store, span).await?,
    })
}

fn acted((receipt, key): (i64, proof::Revoked)) -> Revoked {
    Revoked {
        receipt,
        key: escaped(&key.fingerprint),
        of: match key.person.is_empty() {
            true => key.comment,
            false => key.person,
        },
        at: key.at.into(),
        by: key.author,
    }
}

fn overdue(entry: Entry) -> Late {
    Late {
        what: entry.what,
        of: entry.whose,
        since: entry.due_at.into(),
        why: entry.waits,
    }
}

fn asked(key: ShownRevoked) -> Retired {
    let troubles = key.troubles.iter().chain(&key.unasked);
    let mut unasked: Vec<_> = troubles
        .map(|it| format!("{}: {}", escaped(&it.host), it.why))
        .collect();
    let untold = key.doors.saturating_sub(key.refused + key.opens.len());
    if untold > 0 {
        unasked.push(format!("{untold} × a door of which it cannot be told"));
    }
    let opens = key.opens.iter();
    Retired {
        opens: opens
            .map(|it| format!("{}@{}", it.door.account, it.host))
            .collect(),
        key: escaped(&key.fingerprint),
        doors: key.doors,
        refused: key.refused,
        asked_at: key.asked_at.map(Moment::from),
        unasked,
    }
}

fn emergency(key: ShownGlass) -> BreakGlass {
    BreakGlass {
        why: match (key.lacks.is_empty(), key.asked_at) {
            (false, _) => key.lacking(),
            (true, None) => "not asked yet".to_owned(),
            (true, Some(_)) => String::new(),
        },
        name: key.name,
        host: key.host,
        opened_at: key.opened_at.map(Moment::from),
        is_proven: key.is_proven,
    }
}
