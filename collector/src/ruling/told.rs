//! What is said of the version in force: in the log, and to people where it is not the newest.

use std::path::Path;

use watchward_daemon::service;
use watchward_protocol::time::Timestamp;

use super::objection::Objection;
use super::standing::Standing;
use crate::alerting::{self, Alert, Bell, Severity};
use crate::store::Store;

/// Says which version is in force, and tells people if it is not the newest.
pub(super) async fn tell((store, bell): (&Store, &Bell), standing: &Standing, now: Timestamp) {
    if let Some(version) = &standing.version {
        let (number, author) = (version.number, &version.author);
        tracing::info!(policy.version = number, author, "this policy is in force");
    }
    for notice in standing.policy.restriction.notices(now) {
        tracing::warn!("{notice}");
    }
    if let Some((number, error)) = &standing.trouble {
        tracing::error!(
            policy.version = number,
            error,
            "this version of the policy cannot be read here; an older one stays in force"
        );
    }
    match alert(store, standing, now).await {
        Ok(()) => bell.ring(),
        Err(error) => tracing::error!(%error, "cannot tell people how the policy stands"),
    }
}

/// Tells people why the policy's file is not taken, or that it is again.
pub(super) async fn file(
    (store, bell): (&Store, &Bell),
    file: &Path,
    taken: &anyhow::Result<()>,
    now: Timestamp,
) {
    match alert_file(store, file, taken, now).await {
        Ok(()) => bell.ring(),
        Err(error) => tracing::error!(%error, "cannot tell people how the policy's file stands"),
    }
}

async fn alert_file(
    store: &Store,
    file: &Path,
    taken: &anyhow::Result<()>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let (machine, stands) = (service::machine(), file.exists());
    let key = format!("collector.policy-file {machine}");
    let file = file.display();
    let mut tx = store.begin().await?;
    match taken {
        Ok(()) => {
            let how = match stands {
                true => "The policy's file is right.",
                false => "The policy's file is gone; the policy in force stays.",
            };
            alerting::resolve(&mut tx, &key, how, now).await?;
        }
        Err(why) => {
            let locks = why.downcast_ref::<Objection>().is_some();
            let (what, advice) = match locks {
                true => (
                    "would lock people out",
                    format!(
                        "Change it, or, if it is meant: `watchward policy apply --even-so {file}`."
                    ),
                ),
                false => (
                    "is not right",
                    format!("Mend it: `watchward policy check {file}`."),
                ),
            };
            let title = format!("policy: {file} on {machine} {what}, and is not taken");
            let alert = Alert {
                key,
                severity: Severity::Warning,
                host: None,
                title: alerting::cut(&title, 100),
                detail: format!("The policy before stays in force.\n{why:#}"),
                advice,
                since: now,
            };
            alerting::raise(&mut tx, &alert, now).await?;
        }
    }
    tx.commit().await
}

async fn alert(store: &Store, standing: &Standing, now: Timestamp) -> sqlx::Result<()> {
    let number = standing
        .version
        .as_ref()
        .map_or(0, |version| version.number);
    let machine = service::machine();
    let key = format!("collector.policy {machine}");
    let mut tx = store.begin().await?;
    match &standing.trouble {
        None => {
            let why = format!("Version {number} of the policy is in force.");
            alerting::resolve(&mut tx, &key, &why, now).await?;
        }
        Some((newer, detail)) => {
            let title = format!("policy: version {newer} cannot be read on {machine}");
            let advice = format!(
                "Version {number} is in force there; apply a policy that this version of Watchward \
                 can read."
            );
            let alert = Alert {
                key,
                severity: Severity::Critical,
                host: None,
                title: alerting::cut(&title, 100),
                detail: detail.clone(),
                advice,
                since: now,
            };
            alerting::raise(&mut tx, &alert, now).await?;
        }
    }
    tx.commit().await
}
