//! Connections that go through the host to others behind it, such as containers.

use anyhow::{Context, Result, ensure};
use watchward_enforcer::Mode;
use watchward_tests::ready::with_networks;
use watchward_tests::wait::{SOON, until};

use super::ground::{Ground, HOST, INSIDE, OUTSIDE, Place, alive, bans, gates};

/// A port of the host that leads to one inside, as a container's does, and the way there itself.
const PUBLISHED: &str = "echo 1 > /proc/sys/net/ipv4/ip_forward
    nft add table ip published
    nft add chain ip published to '{ type nat hook prerouting priority dstnat; }'
    nft add rule ip published to ip daddr 203.0.113.1 tcp dport 8080 dnat to 10.99.1.2:80";

const OTHER: &str = "203.0.113.6";

#[test]
fn what_goes_through_the_host_ends_with_a_ban_and_at_a_gate() -> Result<()> {
    with_networks("containers", || {
        let ground = Ground::new("never = []")?;
        ground.sh(Place::Host, PUBLISHED)?;
        ground.sh(Place::Inside, "ip route add 203.0.113.0/24 via 10.99.1.1")?;
        ground.sh(Place::Outside, "ip route add 10.99.1.0/24 via 203.0.113.1")?;
        ground.serve_at(Place::Inside, 80)?;
        let ways = [(HOST[1], 8080), (INSIDE, 80)];
        let connect = |from, (to, port)| ground.connect(Place::Outside, from, to, port);
        let mut standing = Vec::new();
        for from in [OUTSIDE, OTHER] {
            for way in ways {
                let made = || connect(from, way);
                standing.push(until("there is a way", SOON, made)?);
            }
        }
        let mut talks = || -> Vec<bool> { standing.iter_mut().map(alive).collect() };
        assert_eq!(talks(), [true; 4], "nobody is shut out yet");

        ground.ask(bans([&*format!("{OUTSIDE}/32")], 3600))?;
        assert_eq!(talks(), [false, false, true, true], "the ban");
        for way in ways {
            ensure!(connect(OUTSIDE, way)?.is_none(), "{way:?}");
            connect(OTHER, way)?.context("somebody else is shut out")?;
        }

        let mut published = gates(1, Mode::Enforce, ["10.99.1.0/24"]);
        let ports = &mut published.gates[0].ports[0];
        (ports.first, ports.last) = (8080, 8080);
        ground.gates(published)?;
        // A gate is before the host's own ports, published ones among them.
        assert_eq!(talks(), [false, false, false, true], "the gate");
        ensure!(connect(OTHER, ways[0])?.is_none());
        Ok(())
    })
}
