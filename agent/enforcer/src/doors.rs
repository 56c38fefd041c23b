//! Where sshd of this host listens, beside where people sign in by the guard file: for whoever checks it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::gates::Protocol;
use crate::guard::PortRange;

/// Says which ports of sshd `signing_in` leaves out; nothing, where there is no sshd or only root may ask
/// it.
pub(crate) fn left_out(signing_in: &[PortRange]) -> String {
    let asked = Command::new("/usr/sbin/sshd")
        .arg("-T")
        .env_clear()
        .stdin(Stdio::null())
        .output();
    let said = asked.map(|asked| asked.stdout).unwrap_or_default();
    let ports = beyond(&String::from_utf8_lossy(&said), signing_in);
    let line = |port| {
        format!(
            "Beware: sshd listens on port {port}, which `signing_in` does not name. Whoever signed in with \
             a key lately does not pass a gate to it: add \"{port}/tcp\".\n"
        )
    };
    ports.into_iter().map(line).collect()
}

/// The ports of `listenaddress 0.0.0.0:22` (`sshd -T`) that are in none of the ranges.
fn beyond(said: &str, signing_in: &[PortRange]) -> BTreeSet<u16> {
    let port = |line: &str| {
        let (name, place) = line.split_once(' ')?;
        let (_, port) = place.rsplit_once(':')?;
        // Behind it a routing domain may stand.
        let port = port.split_whitespace().next()?.parse::<u16>().ok()?;
        (name == "listenaddress").then_some(port)
    };
    let named = |port: &u16| {
        let mut ranges = signing_in.iter().map(|range| range.0);
        ranges.any(|it| it.protocol == Protocol::Tcp && (it.first..=it.last).contains(port))
    };
    let ports = said.lines().filter_map(port);
    ports.filter(|port| !named(port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_sshd_that_is_not_named_is_found() {
        let said = "port 22\nlistenaddress [::]:2222\nlistenaddress 0.0.0.0:2222\n\
            listenaddress 192.0.2.7:22 rdomain vrf1\nusepam yes\n";
        let ranges = |all: &[&str]| -> Vec<PortRange> {
            let all = all.iter().map(|text| (*text).to_owned());
            all.map(|text| PortRange::try_from(text).unwrap()).collect()
        };
        for (named, expected) in [
            (&["22/tcp"][..], &[2222][..]),
            (&["22/tcp", "2000-3000/tcp"], &[]),
            (&["22/tcp", "2222/udp"], &[2222]),
            (&[], &[22, 2222]),
        ] {
            let found: Vec<_> = beyond(said, &ranges(named)).into_iter().collect();
            assert_eq!(found, expected, "{named:?}");
        }
        assert!(beyond("", &[]).is_empty(), "where there is no sshd");
    }
}
