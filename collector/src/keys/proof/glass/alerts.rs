//! What is told of a break-glass key that does not open what it should, or is not proven to.

use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::{Glass, Stand};
use crate::alerting::{self, Alert, Severity, cut};
use crate::keys::guarded::BreakGlass;
use crate::keys::rows::glass as rows;
use crate::store::{Store, Tx};

/// How long a title is at most, in characters.
const TITLE: usize = 100;

/// Tells how a key stands on a host, where people do not know it; says whether it did.
pub(super) async fn tell(
    store: &Store,
    (one, key): (&Glass, &BreakGlass),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let alert = alert(one, key, now);
    let told = alert.as_ref().map(|alert| alert.detail.clone());
    if told == one.told {
        return Ok(false);
    }
    let mut tx = store.begin().await?;
    match &alert {
        Some(alert) => alerting::raise(&mut tx, alert, now).await?,
        None => resolve(&mut tx, one, "It opens what it should.", now).await?,
    }
    let now_told = Glass {
        told,
        ..one.clone()
    };
    rows::keep(&mut tx, &now_told).await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends what is told of a key that is not to open this host any more.
pub(super) async fn end(tx: &mut Tx, one: &Glass, now: Timestamp) -> sqlx::Result<()> {
    resolve(tx, one, "It is not to open this host any more.", now).await?;
    rows::forget(tx, one).await
}

async fn resolve(tx: &mut Tx, one: &Glass, why: &str, now: Timestamp) -> sqlx::Result<()> {
    alerting::resolve(tx, &key_of(one), why, now).await
}

fn key_of(one: &Glass) -> String {
    format!("keys.break-glass-shut {} {}", one.fingerprint, one.host)
}

fn alert(one: &Glass, key: &BreakGlass, now: Timestamp) -> Option<Alert> {
    let (name, host) = (key.name(), Foreign::from(one.host.as_str()).shortened(30));
    let accounts: Vec<_> = one.lacks.iter().map(|it| it.account.as_str()).collect();
    let accounts = match &accounts[..] {
        [] | [""] => "anything".to_owned(),
        all => all.join(", "),
    };
    let (since, title, advice) = match one.stand(now) {
        Stand::Well => return None,
        Stand::Shut(since) => (
            since,
            format!("{host}: break-glass key {name} does not open {accounts}"),
            "Put right what is named, as a rule its line in authorized_keys there. It is asked again \
             within ten minutes, without a login.",
        ),
        Stand::Unproven(since) => (
            since,
            format!("{host}: break-glass key {name} was not proven for a week"),
            "See why the host cannot be asked: `watchward keys break-glass` says what is known.",
        ),
    };
    let lacks = one.lacks.iter().map(|it| match it.account.as_str() {
        "" => format!("No account: {}", it.why),
        account => format!("{account}: {}", it.why),
    });
    let mut lines: Vec<_> = lacks.collect();
    lines.push(match one.opened_at {
        Some(at) => format!("It was seen last to open what it should at {at}."),
        None => format!(
            "It was never seen to, since the policy names it ({}).",
            one.wanted_at
        ),
    });
    Some(Alert {
        key: key_of(one),
        severity: Severity::Warning,
        host: Some(one.host.clone()),
        title: cut(&title, TITLE),
        detail: format!(
            "The key for emergencies {name}, {}, is to open {}. Its sshd is asked with the public half \
             alone.\n{}",
            one.fingerprint,
            one.host,
            lines.join("\n")
        ),
        advice: advice.to_owned(),
        since,
    })
}
