//! From the lines of `wg show all dump`, as the enforcer gives them, to peers. Pure.

use std::net::SocketAddr;

use watchward_protocol::peers::Peer;
use watchward_protocol::time::Timestamp;

/// The peers in a text; a line that makes no sense is none.
pub(super) fn read(text: &[u8]) -> Vec<Peer> {
    let text = String::from_utf8_lossy(text);
    text.lines().filter_map(peer).collect()
}

fn peer(line: &str) -> Option<Peer> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [interface, key, endpoint, allowed, proved, received, sent, _] = fields[..] else {
        return None;
    };
    let seconds: i64 = proved.parse().ok()?;
    let nets = allowed.split(',').filter_map(|net| net.parse().ok());
    Some(Peer {
        interface: interface.to_owned(),
        key: key.parse().ok()?,
        allowed: nets.take(Peer::MOST_ALLOWED).collect(),
        endpoint: endpoint.parse().ok().map(plain),
        proved_at: (seconds > 0).then(|| Timestamp::from_micros(seconds.saturating_mul(1_000_000))),
        received: received.parse().ok()?,
        sent: sent.parse().ok()?,
        kept: None,
    })
    .filter(|peer| (1..=Peer::LONGEST_INTERFACE).contains(&peer.interface.len()))
}

/// An IPv4 address is never written as one of IPv6.
fn plain(place: SocketAddr) -> SocketAddr {
    SocketAddr::new(place.ip().to_canonical(), place.port())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVg=";

    #[test]
    fn lines_are_read() {
        let text = format!(
            "wg0\t{KEY}\t192.0.2.7:40000\t10.9.0.2/32,fd00::2/128\t1700000000\t148\t92\toff\n\
             wg0\t{KEY}\t(none)\t(none)\t0\t0\t0\t25\n\
             wg1\t{KEY}\t[::ffff:192.0.2.8]:7\t0.0.0.0/0\t1700000001\t1\t2\t25\n\
             wg1\t{KEY}\t[2001:db8::1]:7\tnonsense\t0\t1\t2\t25\n"
        );
        let peers = read(text.as_bytes());
        let [ada, idle, mapped, ipv6] = &peers[..] else {
            panic!("{peers:?}");
        };
        assert_eq!(ada.endpoint, Some("192.0.2.7:40000".parse().unwrap()));
        assert_eq!(ada.allowed.len(), 2);
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        assert_eq!((ada.proved_at, ada.received, ada.sent), (Some(at), 148, 92));
        assert_eq!((idle.endpoint, idle.proved_at), (None, None));
        assert!(idle.allowed.is_empty());
        assert_eq!(mapped.endpoint, Some("192.0.2.8:7".parse().unwrap()));
        assert_eq!(ipv6.endpoint, Some("[2001:db8::1]:7".parse().unwrap()));
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        for line in [
            "",
            "wg0",
            "wg0\tshort\t(none)\t(none)\t0\t0\t0\toff",
            &format!("an-interface-too-long\t{KEY}\t(none)\t(none)\t0\t0\t0\toff"),
            &format!("\t{KEY}\t(none)\t(none)\t0\t0\t0\toff"),
            &format!("wg0\t{KEY}\t(none)\t(none)\tnever\t0\t0\toff"),
            &format!("wg0\t{KEY}\t(none)\t(none)\t0\t0\t0\toff\tmore"),
        ] {
            assert_eq!(read(line.as_bytes()), [], "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }
    }
}
