//! What only a client can show: that the new key opens, and that the old one does not.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use watchward_protocol::elsewhere::{Answer, ElsewhereDoor, Expected, Login, Question};
use watchward_protocol::proof::{Control, Said};
use watchward_protocol::question;
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use super::turn::Try;
use crate::intake::{Questions, Site, Unanswered};
use crate::keys::rows::rotation::{self as rows, Known};
use crate::store::Store;

/// How many connections a try may take.
const CALLS: usize = 6;
/// A host that answers somebody else is asked again after so long, and so often.
const PAUSE: Duration = Duration::from_secs(2);
const TIMES: usize = 6;
/// For how long they are expected.
const WITHIN: Duration = Duration::from_secs(40);
/// Where ports begin and end that nothing else is given.
const PORTS: std::ops::Range<u16> = 50_000..60_000;
/// How much is kept of why something failed, in characters.
const LONGEST: usize = 300;

/// Tries it, and keeps what came of it.
pub(super) async fn attempt(
    store: &Store,
    (questions, sites): (&Questions, &[Site]),
    host_keys: Vec<Vec<u8>>,
    one: &Try,
    now: impl Fn() -> Timestamp,
) -> sqlx::Result<()> {
    let came = ask(questions, sites, host_keys, one).await;
    let now = now();
    let mut known = Known {
        tried_at: Some(now),
        tries: one.known.tries + 1,
        trouble: None,
        ..one.known.clone()
    };
    match came {
        Ok(()) => {
            // The same place is tried again when this key goes.
            (known.tried_at, known.tries) = (None, 0);
            match one.refusal {
                true => known.refused_at = Some(now),
                false => known.proven_at = Some(now),
            }
        }
        Err(why) => known.trouble = Some(escaped(&why).chars().take(LONGEST).collect()),
    }
    let tried = match (&one.old, one.refusal) {
        (Some((serial, _)), true) => *serial,
        _ => one.new.0,
    };
    let mut tx = store.begin().await?;
    rows::keep_place(&mut tx, (&one.name, &one.at, tried), &known).await?;
    tx.commit().await
}

/// Asks the client; why it is not shown, in one sentence.
async fn ask(
    questions: &Questions,
    sites: &[Site],
    host_keys: Vec<Vec<u8>>,
    one: &Try,
) -> Result<(), String> {
    let (at, from) = path(sites, one)?;
    if host_keys.is_empty() {
        return Err("by which key its sshd proves itself is not known yet".to_owned());
    }
    let from: Vec<_> = calls(from);
    let expected = question::Question::Expect(Expected {
        from: from.clone(),
        within: WITHIN,
    });
    match patiently(questions, &one.at.host, &expected).await {
        Ok(question::Answer::Expecting) => {}
        // Whoever comes unannounced would be taken for an attacker.
        Ok(_) => return Err(format!("{}: its agent is of an older version", one.at.host)),
        Err(why) => return Err(format!("{} {why}", one.at.host)),
    }
    let question = question::Question::Elsewhere(question(one, host_keys, at, from));
    match patiently(questions, &one.client, &question).await {
        Ok(question::Answer::Elsewhere(said)) => judge(one, &said),
        Ok(_) => Err(format!("{}: its agent is of an older version", one.client)),
        Err(why) => Err(format!("{} {why}", one.client)),
    }
}

/// Asks a host, and waits while it answers somebody else.
async fn patiently(
    questions: &Questions,
    host: &str,
    question: &question::Question,
) -> Result<question::Answer, Unanswered> {
    for _ in 1..TIMES {
        match questions.ask(host, question.clone()).await {
            Err(Unanswered::Busy) => tokio::time::sleep(PAUSE).await,
            said => return said,
        }
    }
    questions.ask(host, question.clone()).await
}

fn question(
    one: &Try,
    host_keys: Vec<Vec<u8>>,
    at: Vec<SocketAddr>,
    from: Vec<SocketAddr>,
) -> Question {
    let account = Foreign::from(one.at.account.as_str());
    let door = one.old.as_ref().filter(|_| one.refusal);
    let door = door.map(|(_, key)| ElsewhereDoor {
        account: account.clone(),
        key: key.clone(),
        controls: vec![one.new.1.clone()],
    });
    let login = (!one.refusal).then(|| Login {
        identity: one.name.clone(),
        serial: one.new.0,
        account,
    });
    Question {
        at,
        host_keys,
        doors: door.into_iter().collect(),
        login,
        from,
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
            .filter_map(move |from| Some((common(*at, **from)?, *at, **from)))
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

/// How many bits two addresses begin with in common, if they are of one family.
fn common(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros() + 96)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// Places that connections come from, with ports that nobody can guess.
fn calls(from: IpAddr) -> Vec<SocketAddr> {
    let mut ports: Vec<u16> = Vec::new();
    while ports.len() < CALLS {
        let port = PORTS.start + rand::random::<u16>() % (PORTS.end - PORTS.start);
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
        .into_iter()
        .map(|port| SocketAddr::new(from, port))
        .collect()
}
