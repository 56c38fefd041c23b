//! What listens on this host, as `/proc/net` says.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use watchward_protocol::reach::{Step, Verdict};
use watchward_protocol::restriction::Transport;

/// Whether anything listens there.
pub(super) fn step(transport: Transport, address: IpAddr, port: u16) -> Step {
    let name = transport.name();
    let read = |version: &str| fs::read_to_string(format!("/proc/net/{name}{version}"));
    let found: Vec<_> = ["", "6"]
        .into_iter()
        .filter_map(|version| read(version).ok())
        .flat_map(|text| listening(&text, transport))
        .filter(|(_, own)| *own == port)
        .map(|(on, _)| on)
        .collect();
    judge(&found, (name, address, port))
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

/// The places that the table names of what waits for others.
fn listening(text: &str, transport: Transport) -> Vec<(IpAddr, u16)> {
    let state = match transport {
        Transport::Tcp => "0A",
        Transport::Udp => "07",
    };
    let line = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let place = fields.next()?;
        (fields.nth(1)? == state).then_some(())?;
        let (address, port) = place.split_once(':')?;
        Some((read(address)?, u16::from_str_radix(port, 16).ok()?))
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Words of 32 bits, each as this machine writes it in memory.
fn read(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn reads_what_the_kernel_says() {
        let text = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:0016 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:0016 0200007F:0400 01 00000000:00000000\n";
        let found = listening(text, Transport::Tcp);
        assert_eq!(found, [("127.0.0.1".parse().unwrap(), 22)]);
        let six = "sl\n0: 00000000000000000000000001000000:0050 0:0 0A 0\n";
        let found = listening(six, Transport::Tcp);
        assert_eq!(found, [("::1".parse().unwrap(), 80)]);
    }

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
