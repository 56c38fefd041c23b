//! Logins, as far as they say something of keys: which was used last, and which is listed nowhere.

use std::collections::BTreeMap;

use watchward_protocol::access::{AccessEvent, Action, Outcome, Service, Trust};
use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::Config;
use super::follow::QUIET;
use super::inventory::Whose;
use super::judge::{SLACK, Stray};
use super::rows::{host, stray};
use crate::intake::Heard;
use crate::store::Tx;

/// Follows logins with keys.
pub(super) async fn follow(
    tx: &mut Tx,
    heard: &[Heard<AccessEvent>],
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    for ((id, account, _), login) in gather(heard, config, now) {
        let account = Whose::Account(account);
        let found = stray::openings(tx, id, &account, &login.fingerprint).await?;
        let was_there =
            |gone: &Option<Timestamp>| gone.is_none_or(|gone| login.last_at <= gone + SLACK);
        if let Some((opening, _)) = found.iter().find(|(_, gone)| was_there(gone)) {
            let used = stray::Use {
                at: login.last_at.min(now),
                address: login.address.as_deref(),
                times: login.times,
            };
            stray::note_use(tx, *opening, &used).await?;
            continue;
        }
        // Of what was before the first look, or of accounts that the host does not list, nothing can
        // be said.
        let since = stray::listed_since(tx, id, &account).await?;
        if since.is_some_and(|since| since <= login.first_at) {
            host::hasten(tx, id, login.due_at).await?;
            stray::add(tx, id, &login, now + QUIET).await?;
        }
    }
    Ok(())
}

type Logins = BTreeMap<(HostId, Foreign, String), Stray>;

/// The logins with keys, those of one account with one key together.
fn gather(heard: &[Heard<AccessEvent>], config: &Config, now: Timestamp) -> Logins {
    let mut all = Logins::new();
    for one in heard {
        let Some(login) = login(&one.report, now + config.settle.duration()) else {
            continue;
        };
        let place = (
            one.host.id,
            login.account.clone(),
            login.fingerprint.clone(),
        );
        let Some(known) = all.get_mut(&place) else {
            all.insert(place, login);
            continue;
        };
        known.times += 1;
        known.first_at = known.first_at.min(login.first_at);
        known.hearsay &= login.hearsay;
        if login.last_at >= known.last_at {
            known.last_at = login.last_at;
            known.address = login.address;
        }
    }
    all
}

fn login(event: &AccessEvent, due_at: Timestamp) -> Option<Stray> {
    let publickey = event.service == Service::Sshd && event.method.as_deref() == Some("publickey");
    if !publickey || event.action != Action::Authentication || event.outcome != Outcome::Success {
        return None;
    }
    let key = event.key.as_ref();
    let fingerprint = match &event.certificate {
        Some(certificate) => certificate.authority.as_ref()?,
        None => &key?.fingerprint,
    };
    // Before OpenSSH 6.8, and where sshd is told to, fingerprints are of MD5: no key is known by it.
    let plain = fingerprint.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain || !fingerprint.starts_with("SHA256:") {
        return None;
    }
    let kind = key
        .map(|key| key.kind.replace('\0', ""))
        .unwrap_or_default();
    Some(Stray {
        id: 0,
        account: event.user.as_ref()?.name.clone(),
        fingerprint: fingerprint.clone(),
        kind,
        first_at: event.at,
        last_at: event.at,
        address: event.peer.map(|peer| peer.address.to_string()),
        times: 1,
        hearsay: event.trust != Trust::Server,
        told: false,
        due_at,
    })
}
