//! Very many bans, and what they cost whoever is not one of them.

use std::time::Duration;

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use watchward_enforcer::{Answer, Ban, Mode, Protocol, Request, Verdict};
use watchward_tests::ready::with_networks;

use super::ground::{Ground, HOST, INSIDE, OUTSIDE, Place, bans, gates, is_open};

const MANY: u32 = 100_000;

/// How many connections are made to see what one costs.
const CONNECTIONS: u32 = 300;

#[test]
fn a_hundred_thousand_bans_are_held_and_no_packet_meets_more_rules() -> Result<()> {
    with_networks("many bans", || {
        let ground = Ground::new("[bans]\nper_minute = 200000\n")?;
        ground.serve(22)?;
        ground.until_open(Place::Inside, INSIDE, HOST[0], true)?;
        ground.ask(bans([&*format!("{OUTSIDE}/32")], 3600))?;
        let (rules, none) = (rules(&ground)?, cost(&ground)?);
        let mut client = ground.client()?;
        let nets: Vec<Ban> = (0..MANY).map(ban).collect::<Result<_>>()?;
        for nets in nets.chunks(512) {
            let Answer::Verdicts(verdicts) = client.ask(&Request::Ban(nets.to_vec()))? else {
                bail!("it judges no bans");
            };
            let refused = verdicts.iter().find(|it| **it != Verdict::Done);
            ensure!(refused.is_none(), "{refused:?}: {}", ground.log());
        }
        assert_eq!(ground.holding()?.bans, MANY + 1);
        let held = "nft list set inet watchward banned4_32 | grep -o expires | wc -l";
        let held: u32 = ground.sh(Place::Host, held)?.trim().parse()?;
        assert_eq!(held, MANY + 1, "in the kernel");
        assert_eq!(self::rules(&ground)?, rules, "a packet meets more rules");
        ensure!(is_open(&ground, INSIDE)? && !is_open(&ground, OUTSIDE)?);
        say(none, cost(&ground)?);
        Ok(())
    })
}

fn ban(number: u32) -> Result<Ban> {
    let [_, a, b, c] = number.to_be_bytes();
    Ok(Ban {
        net: format!("45.{a}.{b}.{c}/32").parse()?,
        seconds: 3600,
        own: false,
    })
}

/// How many rules the chains have that each packet goes through.
fn rules(ground: &Ground) -> Result<usize> {
    let lists =
        "for chain in inbound doors gates; do nft -t list chain inet watchward $chain; done";
    Ok(ground.sh(Place::Host, lists)?.lines().count())
}

/// How long a connection takes.
fn cost(ground: &Ground) -> Result<Duration> {
    let begin = clock_gettime(ClockId::Monotonic);
    for _ in 0..CONNECTIONS {
        let made = ground.connect(Place::Inside, INSIDE, HOST[0], 22)?;
        drop(made.context("it is open")?);
    }
    let took = Duration::try_from(clock_gettime(ClockId::Monotonic) - begin)?;
    Ok(took / CONNECTIONS)
}

#[expect(clippy::print_stderr, reason = "people read it; nothing is made of it")]
fn say(none: Duration, many: Duration) {
    eprintln!("a connection takes {none:?} with no bans, and {many:?} with {MANY}");
}

#[test]
fn who_forges_addresses_keeps_nobody_from_being_told_for_long() -> Result<()> {
    with_networks("forged", || {
        let ground = Ground::new("never = []")?;
        let mut some = gates(1, Mode::Enforce, ["10.99.1.0/24"]);
        some.gates[0].ports[0].protocol = Protocol::Udp;
        ground.gates(some)?;
        ground.sh(Place::Outside, "ip route add local 198.18.0.0/16 dev lo")?;
        let forged = |it: u16| {
            let [third, fourth] = it.to_be_bytes();
            IpAddr::from([198, 18, third, fourth])
        };
        let forged: Vec<_> = (0..5000).map(forged).collect();
        ground.send(&forged, HOST[1], 22)?;
        let turned = || -> Result<_> {
            let Answer::Turned(gates) = ground.ask(Request::Turned)? else {
                bail!("it does not count");
            };
            Ok((gates[0].packets, gates[0].from.clone()))
        };
        let (packets, from) = turned()?;
        ensure!(packets >= 5000 && from.len() == 32, "{packets}: {from:?}");
        ground.send(&[OUTSIDE.parse()?], HOST[1], 22)?;
        let (more, from) = turned()?;
        ensure!(more > packets, "what was counted stays: {more}");
        assert_eq!(from, [OUTSIDE.parse::<IpAddr>()?]);
        Ok(())
    })
}
