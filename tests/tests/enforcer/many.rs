//! Very many bans, and what they cost whoever is not one of them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use watchward_enforcer::{Answer, Ban, Request, Verdict};
use watchward_tests::ready::with_networks;

use super::ground::{Ground, HOST, INSIDE, OUTSIDE, Place, bans, is_open};

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
