//! What waits for connections on this host, as procfs tells it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use watchward_daemon::clock;
use watchward_protocol::restriction::{Listener, News, Restriction, Transport};

use crate::sockets::{Place, places};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(30);
/// How many are told.
const MOST: usize = 1024;

/// Tells what listens, at the start and whenever it changes, for as long as anybody wants to know.
pub(super) async fn watch(told: UnboundedSender<Restriction>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        ticks.tick().await;
        let places = lasting();
        let now: BTreeSet<Place> = places.keys().copied().collect();
        if known.as_ref() == Some(&now) {
            continue;
        }
        // Who it is, is asked for only then: it is a look at every process.
        let Ok(programs) = spawn_blocking(programs).await else {
            continue;
        };
        known = Some(now);
        let news = News::Listening(listeners(&places, &programs));
        let at = clock::now();
        if told.send(Restriction { at, news }).is_err() {
            return;
        }
    }
}

fn listeners(places: &BTreeMap<Place, u64>, programs: &HashMap<u64, String>) -> Vec<Listener> {
    let listeners = places.iter().map(|(place, socket)| Listener {
        transport: place.transport,
        address: place.address,
        port: place.port,
        program: programs.get(socket).cloned(),
    });
    listeners.take(MOST).collect()
}

/// Where anything listens, but for what clients have for a moment.
fn lasting() -> BTreeMap<Place, u64> {
    let (mut places, passing) = (places(), passing());
    places.retain(|place, _| place.transport == Transport::Tcp || !passing.contains(&place.port));
    places
}

/// The ports that the kernel gives to clients: who asks a name server waits there for an answer.
fn passing() -> std::ops::RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut words = text.split_ascii_whitespace().map(str::parse);
    match (words.next(), words.next()) {
        (Some(Ok(first)), Some(Ok(last))) => first..=last,
        _ => 32_768..=60_999,
    }
}

/// Whose each socket is, as far as this user may know.
fn programs() -> HashMap<u64, String> {
    let mut programs = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let folder = process.path();
        let Ok(files) = fs::read_dir(folder.join("fd")) else {
            continue;
        };
        let mut name = None;
        for file in files.flatten() {
            let Some(number) = fs::read_link(file.path()).ok().and_then(|to| number(&to)) else {
                continue;
            };
            let name = name.get_or_insert_with(|| {
                let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
                name.trim_end().to_owned()
            });
            programs.entry(number).or_insert_with(|| name.clone());
        }
    }
    programs
}

/// `socket:[12345]`
fn number(link: &std::path::Path) -> Option<u64> {
    let inside = link.to_str()?.strip_prefix("socket:[")?;
    inside.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_socket_that_listens_is_seen_with_its_program_and_one_of_a_client_is_not() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listeners = listeners(&lasting(), &programs());
        for listener in [&four, &six] {
            let at = listener.local_addr().unwrap();
            let same = |one: &&Listener| {
                one.transport == Transport::Tcp && one.address == at.ip() && one.port == at.port()
            };
            let seen = listeners.iter().find(same).unwrap();
            assert!(seen.program.is_some(), "{seen:?}");
        }
        let port = client.local_addr().unwrap().port();
        let asks = |one: &Listener| one.transport == Transport::Udp && one.port == port;
        assert!(!listeners.iter().any(asks));
    }
}
