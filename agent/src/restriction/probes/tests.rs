//! Probes of servers on this host, and which orders are followed.

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

async fn once(probes: &[Probe], told: &mut Told, keeper: &Keeper) {
    let all = probes.iter().copied().collect();
    let done = round(all, (told, &mut Tried::new()), keeper, || false).await;
    done.unwrap();
}

#[test]
fn only_other_hosts_are_tried() {
    for address in ["192.0.2.7", "10.0.0.1", "2001:db8::1", "fd00::1"] {
        assert!(is_of_another(address.parse().unwrap()), "{address}");
    }
    let four = ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"];
    let six = ["::1", "fe80::1", "ff02::1", "::", "::ffff:127.0.0.1"];
    for address in four.iter().chain(&six).chain(&["255.255.255.255"]) {
        assert!(!is_of_another(address.parse().unwrap()), "{address}");
    }
}

#[tokio::test]
async fn orders_that_change_all_the_time_let_what_is_begun_end_and_begin_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = probe(listener.local_addr().unwrap(), false);
    let udp = Probe {
        transport: Transport::Udp,
        ..tcp
    };
    let (keeper, mut kept) = Keeper::new();
    let (mut told, mut tried) = (Told::new(), Tried::new());
    let both = VecDeque::from([tcp, udp]);
    let done = round(both, (&mut told, &mut tried), &keeper, || true).await;
    done.unwrap();
    assert!(kept.recv().await.is_some());
    let tried: Vec<_> = tried.into_keys().collect();
    assert_eq!(tried, [tcp]);
}

#[tokio::test]
async fn what_has_not_changed_is_told_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let probes = [probe(listener.local_addr().unwrap(), false)];
    let (keeper, mut kept) = Keeper::new();
    let mut told = Told::new();
    once(&probes, &mut told, &keeper).await;
    once(&probes, &mut told, &keeper).await;
    drop(listener);
    once(&probes, &mut told, &keeper).await;
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
    running.spawn(follow(ordered, |_| true, keeper, stop.clone()));
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
