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
/// Who we are, for whoever reads the other end's log: RFC 4253, section 4.2.
const GREETING: &[u8] = b"SSH-2.0-Watchward_probe\r\n";
/// The longest greeting, in bytes, by the same section.
const LONGEST: u64 = 255;

/// Tries what is ordered, in its rhythm and whenever another is ordered, until told to stop.
///
/// # Errors
/// The spool has ended.
pub(super) async fn run(
    mut ordered: watch::Receiver<Option<Arc<Probes>>>,
    keeper: Keeper,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut told = HashMap::new();
    loop {
        let wanted = ordered.borrow_and_update().clone();
        let round = async {
            let Some(wanted) = wanted else {
                return std::future::pending().await;
            };
            told.retain(|probe, _| wanted.probes.contains(probe));
            round(&wanted.probes, &mut told, &keeper).await?;
            tokio::time::sleep(wanted.every.duration()).await;
            Ok::<_, Ended>(())
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = ordered.changed() => {
                if changed.is_err() {
                    stop.cancelled().await;
                    return Ok(());
                }
            }
            done = round => done?,
        }
    }
}

/// What was told of a probe last, and when.
type Told = HashMap<Probe, (Reached, Option<Foreign>, Instant)>;

/// Tries each once, and tells what is news.
async fn round(probes: &[Probe], told: &mut Told, keeper: &Keeper) -> Result<(), Ended> {
    let mut waiting: VecDeque<Probe> = probes.iter().copied().collect();
    let mut trying = JoinSet::new();
    loop {
        while trying.len() < AT_ONCE
            && let Some(probe) = waiting.pop_front()
        {
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
        if same {
            continue;
        }
        told.insert(probed.probe, now);
        keeper.keep(entry(probed)).await?;
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
        socket.send(&[0]).await?;
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
mod tests {
    use tokio::net::TcpListener;
    use watchward_protocol::span::Span;

    use super::*;

    fn probe(address: SocketAddr, ssh: bool) -> Probe {
        Probe {
            address: address.ip(),
            transport: Transport::Tcp,
            port: address.port(),
            ssh,
        }
    }

    async fn server(says: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(says).await.unwrap();
                let mut heard = Vec::new();
                let _gone = stream.read_to_end(&mut heard).await;
                assert!(heard.is_empty() || heard == GREETING, "{heard:?}");
            }
        });
        serving.detach_all();
        address
    }

    #[tokio::test]
    async fn an_open_gate_is_told_with_its_greeting() {
        let address = server(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\nmore").await;
        let probed = attempt(probe(address, true)).await;
        assert_eq!(probed.reached, Reached::Open);
        let banner = probed.banner.unwrap();
        assert_eq!(banner.as_bytes(), b"SSH-2.0-OpenSSH_9.2p1 Debian-2");
        assert_eq!(probed.from, Some(address.ip()));
        let probed = attempt(probe(address, false)).await;
        assert_eq!((probed.reached, probed.banner), (Reached::Open, None));
    }

    #[tokio::test]
    async fn a_greeting_without_end_is_not_read_for_ever() {
        let address = server(&[b'x'; 4096]).await;
        let probed = attempt(probe(address, true)).await;
        assert_eq!(probed.banner.unwrap().as_bytes().len(), 255);
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_refuses_by_tcp_and_by_udp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let tcp = probe(address, true);
        assert_eq!(attempt(tcp).await.reached, Reached::Refused);
        let udp = Probe {
            transport: Transport::Udp,
            ..tcp
        };
        assert_eq!(attempt(udp).await.reached, Reached::Refused);
    }

    #[tokio::test]
    async fn what_has_not_changed_is_told_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let probes = [probe(listener.local_addr().unwrap(), false)];
        let (keeper, mut kept) = Keeper::new();
        let mut told = Told::new();
        round(&probes, &mut told, &keeper).await.unwrap();
        round(&probes, &mut told, &keeper).await.unwrap();
        drop(listener);
        round(&probes, &mut told, &keeper).await.unwrap();
        drop(keeper);
        let mut reached = Vec::new();
        while let Some(entry) = kept.recv().await {
            for report in entry.reports {
                if let Report::Restriction(told) = report
                    && let News::Probed(probed) = told.news
                {
                    reached.push(probed.reached);
                }
            }
        }
        assert_eq!(reached, [Reached::Open, Reached::Refused]);
    }

    #[tokio::test]
    async fn another_order_is_followed_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (orders, ordered) = watch::channel(None);
        let (keeper, mut kept) = Keeper::new();
        let stop = Stop::new();
        let mut running = JoinSet::new();
        running.spawn(run(ordered, keeper, stop.clone()));
        for transport in [Transport::Tcp, Transport::Udp] {
            let probe = Probe {
                transport,
                ..probe(listener.local_addr().unwrap(), false)
            };
            orders.send_replace(Some(Arc::new(Probes {
                every: Span::days(1),
                probes: vec![probe],
            })));
            let entry = timeout(Duration::from_secs(30), kept.recv()).await;
            assert!(entry.unwrap().is_some());
        }
        stop.cancel();
        running.join_next().await.unwrap().unwrap().unwrap();
    }
}
