//! Gates of other hosts, tried from here: whether one is shut is known only where it should be shut to.
//!
//! A probe opens a connection, says who it is, reads how a server of SSH greets, and goes: it tries
//! no account, so that it counts against nobody.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::record::Report;
use watchward_protocol::restriction::{
    News, Probe, Probed, Probes, Reached, Restriction, Transport,
};
use watchward_protocol::text::Foreign;

use crate::spool::{Ended, Entry, Keeper};

/// How many are tried at once.
const AT_ONCE: usize = 8;
/// How long a connection may take, and how long a greeting.
const PATIENCE: Duration = Duration::from_secs(5);
/// What has not changed is told again after so long.
const AGAIN: Duration = Duration::from_secs(3600);
/// What was tried so lately is not tried again for another order.
const LATELY: Duration = Duration::from_secs(10);
/// The shortest time between two rounds.
const LEAST: Duration = Duration::from_secs(30);
/// Who we are, for whoever reads the other end's log: RFC 4253, section 4.2.
const GREETING: &[u8] = b"SSH-2.0-Watchward_probe\r\n";
/// The first packet of a client of OpenVPN, `P_CONTROL_HARD_RESET_CLIENT_V2`: a server answers it
/// unless it wants a signature. Who serves something else does not know it.
const KNOCK: &[u8] = b"\x38WatchwdP\0\0\0\0\0";
/// The longest greeting, in bytes, by the same section.
const LONGEST: u64 = 255;

/// Tries what is ordered, in its rhythm and whenever another is ordered, until told to stop.
///
/// # Errors
/// The spool has ended.
pub(super) async fn run(
    ordered: watch::Receiver<Option<Arc<Probes>>>,
    keeper: Keeper,
    stop: Stop,
) -> anyhow::Result<()> {
    follow(ordered, is_of_another, keeper, stop).await
}

async fn follow(
    mut ordered: watch::Receiver<Option<Arc<Probes>>>,
    may: fn(IpAddr) -> bool,
    keeper: Keeper,
    stop: Stop,
) -> anyhow::Result<()> {
    let (mut told, mut tried) = (Told::new(), Tried::new());
    loop {
        let wanted = ordered.borrow_and_update().clone();
        if let Some(wanted) = &wanted {
            told.retain(|probe, _| wanted.probes.contains(probe));
            tried.retain(|_, at| at.elapsed() < LATELY);
            let probes = wanted.probes.iter().copied();
            let due = probes.filter(|probe| may(probe.address) && !tried.contains_key(probe));
            let due: VecDeque<Probe> = due.collect();
            let other = || ordered.has_changed().unwrap_or(false);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                done = round(due, (&mut told, &mut tried), &keeper, other) => done?,
            }
        }
        let rest = async {
            match &wanted {
                Some(wanted) => tokio::time::sleep(wanted.every.duration().max(LEAST)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = ordered.changed() => {
                if changed.is_err() {
                    stop.cancelled().await;
                    return Ok(());
                }
            }
            () = rest => {}
        }
    }
}

/// Whether it may be another host: nobody has this one try its own services, or all that are near.
fn is_of_another(address: IpAddr) -> bool {
    let near = match address.to_canonical() {
        IpAddr::V4(four) => four.is_link_local() || four.is_broadcast(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    let address = address.to_canonical();
    !near && !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
}

/// What was told of a probe last, and when.
type Told = HashMap<Probe, (Reached, Option<Foreign>, Instant)>;
/// When a probe was tried last.
type Tried = HashMap<Probe, Instant>;

/// Tries each once, and tells what is news; where there is another order, only what is begun.
async fn round(
    mut waiting: VecDeque<Probe>,
    (told, tried): (&mut Told, &mut Tried),
    keeper: &Keeper,
    other: impl Fn() -> bool,
) -> Result<(), Ended> {
    let mut trying = JoinSet::new();
    loop {
        while trying.len() < AT_ONCE
            && (trying.is_empty() || !other())
            && let Some(probe) = waiting.pop_front()
        {
            tried.insert(probe, Instant::now());
            trying.spawn(attempt(probe));
        }
        let Some(ended) = trying.join_next().await else {
            return Ok(());
        };
        let Ok(probed) = ended else { continue };
        let now = (probed.reached, probed.banner.clone(), Instant::now());
        let known = told.get(&probed.probe);
        let same = known.is_some_and(|(reached, banner, at)| {
            (reached, banner) == (&now.0, &now.1) && at.elapsed() < AGAIN
        });
        if !same {
            told.insert(probed.probe, now);
            keeper.keep(entry(probed)).await?;
        }
        if trying.is_empty() && other() {
            return Ok(());
        }
    }
}

fn entry(probed: Probed) -> Entry {
    let told = Restriction {
        at: clock::now(),
        news: News::Probed(probed),
    };
    Entry {
        reports: vec![Report::Restriction(told)],
        position: None,
    }
}

/// Tries one.
async fn attempt(probe: Probe) -> Probed {
    let begun = Instant::now();
    let (reached, banner) = match probe.transport {
        Transport::Tcp => tcp(probe).await,
        Transport::Udp => (udp(probe).await, None),
    };
    Probed {
        probe,
        from: from(probe.address, probe.port).await.ok(),
        reached,
        banner,
        took: begun.elapsed(),
    }
}

async fn tcp(probe: Probe) -> (Reached, Option<Foreign>) {
    let mut stream = match timeout(PATIENCE, TcpStream::connect((probe.address, probe.port))).await
    {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return (failed(&error), None),
        Err(_) => return (Reached::Silent, None),
    };
    if !probe.ssh {
        return (Reached::Open, None);
    }
    let banner = timeout(PATIENCE, greet(&mut stream)).await;
    (Reached::Open, banner.ok().and_then(Result::ok))
}

/// Says who we are; how the other end greets, without what ends the line.
async fn greet(stream: &mut TcpStream) -> io::Result<Foreign> {
    stream.write_all(GREETING).await?;
    let mut greeting = Vec::new();
    let mut limited = stream.take(LONGEST);
    while !greeting.ends_with(b"\n") {
        if limited.read_buf(&mut greeting).await? == 0 {
            break;
        }
        if let Some(end) = greeting.iter().position(|byte| *byte == b'\n') {
            greeting.truncate(end + 1);
        }
    }
    Ok(greeting.trim_ascii_end().into())
}

/// Of UDP only what is refused is known: whoever says nothing may have heard.
async fn udp(probe: Probe) -> Reached {
    let ask = async {
        let socket = UdpSocket::bind(any(probe.address)).await?;
        socket.connect((probe.address, probe.port)).await?;
        socket.send(KNOCK).await?;
        socket.recv(&mut [0; 1]).await
    };
    match timeout(PATIENCE, ask).await {
        Ok(Ok(_)) => Reached::Open,
        Ok(Err(error)) => failed(&error),
        Err(_) => Reached::Silent,
    }
}

fn failed(error: &io::Error) -> Reached {
    let is = |kind| error.kind() == kind;
    if is(ErrorKind::ConnectionRefused) || is(ErrorKind::ConnectionReset) {
        Reached::Refused
    } else if is(ErrorKind::TimedOut) {
        Reached::Silent
    } else {
        Reached::Unreachable
    }
}

/// The address that this host has on the way there; nothing is sent.
async fn from(address: IpAddr, port: u16) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(any(address)).await?;
    socket.connect((address, port)).await?;
    Ok(socket.local_addr()?.ip())
}

/// Any address of the same kind, and any port.
fn any(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

#[cfg(test)]
mod tests;
