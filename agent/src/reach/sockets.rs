//! Whether anything listens where a connection would arrive.

use std::net::IpAddr;

use watchward_protocol::reach::{Step, Verdict};
use watchward_protocol::restriction::Transport;

use crate::sockets::places;

/// Whether anything listens there.
pub(super) fn step(transport: Transport, address: IpAddr, port: u16) -> Step {
    let all = places().into_keys();
    let found = all.filter(|place| place.transport == transport && place.port == port);
    let found: Vec<_> = found.map(|place| place.address).collect();
    judge(&found, (transport.name(), address, port))
}

fn judge(found: &[IpAddr], (name, address, port): (&str, IpAddr, u16)) -> Step {
    let any = |it: &&IpAddr| it.is_unspecified() && it.is_ipv4() == address.is_ipv4();
    let exact = |it: &&IpAddr| it.to_canonical() == address;
    if let Some(on) = found.iter().find(|it| any(it) || exact(it)) {
        let text = format!("something listens on {} by {name}", shown(*on, port));
        return Step::new("sockets", Verdict::Permits, text);
    }
    if address.is_ipv4() && found.iter().any(IpAddr::is_unspecified) {
        let text = format!("what listens on [::]:{port} by {name} may take IPv4 or not");
        return Step::new("sockets", Verdict::Unknown, text);
    }
    let text = format!("nothing listens on {} by {name}", shown(address, port));
    Step::new("sockets", Verdict::Refuses, text)
}

fn shown(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_listens_there() {
        let verdict = |found: &[&str], address: &str| {
            let found: Vec<_> = found.iter().map(|it| it.parse().unwrap()).collect();
            judge(&found, ("tcp", address.parse().unwrap(), 22)).verdict
        };
        assert_eq!(verdict(&["0.0.0.0"], "10.0.0.1"), Verdict::Permits);
        assert_eq!(verdict(&["::"], "10.0.0.1"), Verdict::Unknown);
        assert_eq!(verdict(&["::"], "2001:db8::1"), Verdict::Permits);
        assert_eq!(verdict(&["127.0.0.1"], "10.0.0.1"), Verdict::Refuses);
        assert_eq!(verdict(&["10.0.0.1"], "10.0.0.1"), Verdict::Permits);
    }
}
