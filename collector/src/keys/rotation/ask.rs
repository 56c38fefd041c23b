//! What only a client can show: that the new key opens, and that the old one does not.

use std::net::{IpAddr, SocketAddr};

use watchward_protocol::elsewhere::{Answer, ElsewhereDoor, Login, Question};
use watchward_protocol::proof::{Control, Said};
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use super::turn::Try;
use crate::intake::{Questions, Site};
use crate::keys::rows::rotation as rows;
use crate::keys::visit::{Missed, Visit, near};
use crate::store::Store;

/// How much is kept of why something failed, in characters.
const LONGEST: usize = 300;

/// What came of a try.
enum Came {
    /// It is shown.
    Shown,
    /// It is not; why.
    Failed(String),
    /// The client was sent and said nothing of use; why.
    Mute(String),
    /// Nobody could be asked, so that no sshd heard of it; why.
    Unasked(String),
}

/// Tries it, and keeps what came of it; says whether somebody could be asked.
pub(super) async fn attempt(
    store: &Store,
    (questions, sites): (&Questions, &[Site]),
    host_keys: Vec<Vec<u8>>,
    one: &Try,
    now: impl Fn() -> Timestamp,
) -> sqlx::Result<bool> {
    let came = ask(questions, sites, host_keys, one).await;
    let now = now();
    let asked = matches!(came, Came::Shown | Came::Failed(_));
    let mut known = one.known.clone();
    let trouble = match came {
        Came::Shown => {
            // The same place is tried again when this key goes.
            (known.tried_at, known.tries) = (None, 0);
            match one.refusal {
                true => known.refused_at = Some(now),
                false => known.proven_at = Some(now),
            }
            None
        }
        // A client that answers wrongly is not asked for ever without a pause.
        Came::Failed(why) | Came::Mute(why) => {
            (known.tried_at, known.tries) = (Some(now), known.tries + 1);
            Some(why)
        }
        Came::Unasked(why) => {
            known.tried_at = Some(now);
            Some(why)
        }
    };
    if let Some(why) = &trouble {
        let (rotation, host) = (&one.name, &one.at.host);
        tracing::info!(rotation, host.name = host, error = why, "not shown yet");
    }
    known.trouble = trouble.map(|why| escaped(&why).chars().take(LONGEST).collect());
    let tried = match (&one.old, one.refusal) {
        (Some((serial, _)), true) => *serial,
        _ => one.new.0,
    };
    let mut tx = store.begin().await?;
    rows::keep_place(&mut tx, (&one.name, &one.at, tried), &known).await?;
    tx.commit().await?;
    Ok(asked)
}

/// Asks the client.
async fn ask(questions: &Questions, sites: &[Site], host_keys: Vec<Vec<u8>>, one: &Try) -> Came {
    let (at, from) = match path(sites, one) {
        Ok(path) => path,
        Err(why) => return Came::Unasked(why),
    };
    if host_keys.is_empty() {
        return Came::Unasked("by which key its sshd proves itself is not known yet".to_owned());
    }
    let visit = Visit {
        host: &one.at.host,
        visitor: &one.client,
        from,
    };
    match visit.ask(questions, question(one, host_keys, at)).await {
        Ok(said) => judge(one, &said).map_or_else(Came::Failed, |()| Came::Shown),
        Err(Missed::Mute(why)) => Came::Mute(why),
        Err(Missed::Unsent(why)) => Came::Unasked(why),
    }
}

fn question(one: &Try, host_keys: Vec<Vec<u8>>, at: Vec<SocketAddr>) -> Question {
    let account = Foreign::from(one.at.account.as_str());
    let door = one.old.as_ref().filter(|_| one.refusal);
    let door = door.map(|(_, key)| ElsewhereDoor {
        account: account.clone(),
        keys: vec![key.clone()],
        controls: vec![one.new.1.clone()],
    });
    Question {
        at,
        host_keys,
        doors: door.into_iter().collect(),
        login: Some(Login {
            identity: one.name.clone(),
            serial: one.new.0,
            account,
        }),
        tries: None,
        from: Vec::new(),
    }
}

/// Whether what the client said shows it. A refusal counts where the new key was taken in the same
/// breath.
fn judge(one: &Try, said: &Answer) -> Result<(), String> {
    let trouble = |otherwise: &str| {
        let why = said.trouble.clone();
        Err(why.unwrap_or_else(|| otherwise.to_owned()))
    };
    if !one.refusal {
        return match &said.opened {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(format!("the new key does not open it: {why}")),
            None => trouble("the client did not try the new key"),
        };
    }
    match said.doors.first() {
        Some(door) if door.said == Said::Accepted => Err("it still takes the old key".to_owned()),
        Some(door) if door.said == Said::Refused && door.control != Control::None => Ok(()),
        Some(door) if door.said == Said::Refused => {
            Err("it refuses the old key, and the new one, too".to_owned())
        }
        Some(door) if !door.note.is_empty() => Err(door.note.clone()),
        Some(_) | None => trouble("it could not be asked about the old key"),
    }
}

/// Where the other host's sshd is, and from where the client comes: what is closest to each other.
fn path(sites: &[Site], one: &Try) -> Result<(Vec<SocketAddr>, IpAddr), String> {
    let site = |name: &str| sites.iter().find(|site| site.name == name);
    let unknown = |name: &str| format!("where {name} is, is not known yet");
    let client = site(&one.client).ok_or_else(|| unknown(&one.client))?;
    let server = site(&one.at.host).ok_or_else(|| unknown(&one.at.host))?;
    // The key opens from elsewhere as little as the line says.
    let permitted = |it: &&IpAddr| one.from.iter().any(|net| net.contains(&it.to_canonical()));
    let mut own: Vec<_> = client.addresses.iter().filter(permitted).collect();
    if own.is_empty() {
        own = client.addresses.iter().collect();
    }
    let own = &own;
    let pairs = server.addresses.iter().flat_map(|at| {
        own.iter()
            .filter_map(move |from| Some((near(*at, **from)?, *at, **from)))
    });
    let outside = pairs.filter(|(_, at, _)| !at.is_loopback());
    let (_, at, from) = outside.max_by_key(|(bits, ..)| *bits).ok_or_else(|| {
        format!(
            "{} and {} have no kind of address in common",
            one.client, one.at.host
        )
    })?;
    let ports = server.ssh.iter().take(4);
    Ok((ports.map(|port| SocketAddr::new(at, *port)).collect(), from))
}
