//! Gates: who passes, what is tried and not confirmed, and what is seen of them while they change.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use watchward_enforcer::{Answer, Change, Exception, Mode, Protocol, Request};
use watchward_tests::ready::with_networks;
use watchward_tests::wait::{SOON, until, until_seen};

use super::ground::{Ground, HOST, INSIDE, OUTSIDE, Place, alive, gates, is_open};

const FAR: u64 = 4_000_000_000;

#[test]
fn a_gate_lets_in_whom_it_should_and_nobody_else() -> Result<()> {
    with_networks("gates", || {
        let ground = Ground::new("never = [\"203.0.113.30/32\"]")?;
        ground.serve(22)?;
        ground.serve(80)?;
        ground.until_open(Place::Outside, OUTSIDE, HOST[1], true)?;
        ground.until_open(Place::Inside, INSIDE, HOST[0], true)?;
        let mut standing = ground
            .connect(Place::Outside, OUTSIDE, HOST[1], 22)?
            .expect("open");

        let mut some = gates(1, Mode::Watch, ["10.99.1.0/24", "2001:db8:1::/64"]);
        some.gates[0].exceptions = vec![
            Exception {
                net: "203.0.113.20/32".parse()?,
                until: FAR,
            },
            Exception {
                net: "203.0.113.21/32".parse()?,
                until: 1_000_000_000,
            },
        ];
        ground.gates(some.clone())?;
        ensure!(is_open(&ground, OUTSIDE)?, "it only watches");
        let turned = ground.sh(Place::Host, "nft list set inet watchward turned4")?;
        ensure!(turned.contains("203.0.113.5 . 22"), "{turned}");

        (some.generation, some.gates[0].mode) = (2, Mode::Enforce);
        ground.gates(some)?;
        ensure!(
            !alive(&mut standing),
            "a connection still talks through the gate"
        );
        for (from, open) in [
            (INSIDE, true),
            (OUTSIDE, false),
            ("203.0.113.20", true),
            ("203.0.113.21", false),
            ("203.0.113.30", true),
        ] {
            assert_eq!(is_open(&ground, from)?, open, "{from}");
        }
        ensure!(ground.open(Place::Inside, "2001:db8:1::2", HOST[2], 22)?);
        ensure!(!ground.open(Place::Outside, "2001:db8:bad::2", HOST[3], 22)?);
        ensure!(
            ground.open(Place::Outside, OUTSIDE, HOST[1], 80)?,
            "another port"
        );
        let address = OUTSIDE.parse()?;
        ground.done(Request::Vouch {
            address,
            seconds: 60,
        })?;
        ensure!(
            is_open(&ground, OUTSIDE)?,
            "somebody came in with a key from there"
        );
        Ok(())
    })
}

#[test]
fn who_came_in_with_a_key_may_sign_in_and_passes_no_other_gate() -> Result<()> {
    with_networks("a key opens one door", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        ground.serve(80)?;
        let reaches = |port| ground.open(Place::Outside, OUTSIDE, HOST[1], port);
        until("there is a way", SOON, || Ok(reaches(80)?.then_some(())))?;
        let mut both = gates(1, Mode::Enforce, ["10.99.1.0/24", "203.0.113.5/32"]);
        both.gates.push(both.gates[0].clone());
        for port in &mut both.gates[1].ports {
            (port.first, port.last) = (80, 90);
        }
        both.gates[1].from = vec!["10.99.1.0/24".parse()?];
        ground.gates(both.clone())?;
        ground.done(Request::Vouch {
            address: OUTSIDE.parse()?,
            seconds: 60,
        })?;
        ensure!(reaches(22)? && !reaches(80)?);
        both.generation = 2;
        both.gates[0].from = vec!["10.99.1.0/24".parse()?];
        ground.guard("never = [\"192.0.2.0/24\"]\n")?;
        ground.gates(both)?;
        ensure!(reaches(22)? && !reaches(80)?, "it may sign in");
        ground.guard("[gates]\nsigning_in = [\"80/tcp\"]\n")?;
        let look = || Ok((reaches(22)?, reaches(80)?));
        until_seen("the guard says so", SOON, look, |it| *it == (false, true))?;
        Ok(())
    })
}

#[test]
fn whom_gates_turn_away_is_counted_across_their_changes() -> Result<()> {
    with_networks("counting", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        ground.gates(gates(1, Mode::Watch, ["10.99.1.0/24"]))?;
        ground.until_open(Place::Inside, INSIDE, HOST[0], true)?;
        let turned = || -> Result<_> {
            let Answer::Turned(gates) = ground.ask(Request::Turned)? else {
                bail!("it does not count");
            };
            Ok((gates[0].packets, gates[0].from.clone()))
        };
        assert_eq!(turned()?, (0, Vec::new()), "who may pass counts for nobody");
        ground.until_open(Place::Outside, OUTSIDE, HOST[1], true)?;
        let mut busy = ground
            .connect(Place::Outside, "203.0.113.6", HOST[1], 22)?
            .expect("open");
        ensure!((0..20).all(|_| alive(&mut busy)));
        let (first, from) = turned()?;
        let both: Vec<IpAddr> = vec!["203.0.113.6".parse()?, OUTSIDE.parse()?];
        ensure!(first > 20, "{first}");
        assert_eq!(from, both, "who sends most comes first");

        ground.gates(gates(2, Mode::Watch, ["10.99.1.0/25"]))?;
        ensure!(turned()?.0 >= first, "{:?}", turned()?);
        ground.kill()?;
        ground.start()?;
        ensure!(turned()?.0 >= first, "{:?}", turned()?);
        ground.gates(gates(3, Mode::Enforce, ["10.99.1.0/24"]))?;
        ensure!(turned()?.0 < first, "shut is not watched: {:?}", turned()?);
        ensure!(!is_open(&ground, OUTSIDE)? && turned()?.0 > 0);
        Ok(())
    })
}

#[test]
fn what_is_sent_to_everybody_meets_gates_too() -> Result<()> {
    with_networks("broadcast", || {
        let ground = Ground::new("never = []")?;
        let mut some = gates(1, Mode::Enforce, ["10.99.1.0/24"]);
        some.gates[0].ports[0].protocol = Protocol::Udp;
        ground.gates(some)?;
        until("it is turned away", SOON, || {
            ground.broadcast(OUTSIDE, 22)?;
            let turned = ground.sh(Place::Host, "nft list set inet watchward turned4")?;
            Ok(turned.contains("203.0.113.5 . 22").then_some(()))
        })
    })
}

#[test]
fn gates_are_there_again_after_a_restart_of_the_host() -> Result<()> {
    with_networks("gates from the disk", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        ground.gates(gates(2, Mode::Enforce, ["10.99.1.0/24"]))?;
        ground.kill()?;
        ground.sh(Place::Host, "nft flush ruleset")?;
        ensure!(is_open(&ground, "203.0.113.6")?, "there are no gates");
        ground.start()?;
        ensure!(!is_open(&ground, "203.0.113.6")?);
        ensure!(is_open(&ground, INSIDE)?);
        assert_eq!(ground.holding()?.generation, 2);
        Ok(())
    })
}

#[test]
fn what_is_not_confirmed_is_undone_by_the_kernel_alone() -> Result<()> {
    with_networks("commit-confirmed", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        ground.gates(gates(1, Mode::Enforce, ["10.99.1.0/24"]))?;
        let attempt = |generation, net| Request::Try {
            gates: gates(generation, Mode::Enforce, [net]),
            seconds: 4,
        };
        ground.done(attempt(2, "203.0.113.0/24"))?;
        ensure!(is_open(&ground, OUTSIDE)? && !is_open(&ground, INSIDE)?);
        ground.kill()?;
        ground.until_open(Place::Inside, INSIDE, HOST[0], true)?;
        ensure!(!is_open(&ground, OUTSIDE)?, "the old gates hold");

        ground.start()?;
        let mut agent = ground.client()?;
        ground.done(attempt(2, "203.0.113.0/24"))?;
        let trial = ground.holding()?.trial.context("nothing is on trial")?;
        assert_eq!(trial.generation, 2);
        assert_eq!(agent.wait()?, Change::RolledBack { generation: 2 });
        ensure!(is_open(&ground, INSIDE)? && !is_open(&ground, OUTSIDE)?);
        let late = ground.ask(Request::Confirm { generation: 2 })?;
        ensure!(matches!(late, Answer::Refused(_)), "{late:?}");

        ground.done(attempt(3, "203.0.113.0/24"))?;
        ground.done(Request::Back)?;
        ensure!(is_open(&ground, INSIDE)? && !is_open(&ground, OUTSIDE)?);
        for (generation, seconds) in [(0, 60), (1, 60), (4, 301), (4, 0)] {
            let gates = gates(generation, Mode::Enforce, ["203.0.113.0/24"]);
            let answer = ground.ask(Request::Try { gates, seconds })?;
            ensure!(
                matches!(answer, Answer::Refused(_)),
                "{generation} {seconds}: {answer:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn gates_that_the_guard_forbids_or_that_lock_out_are_refused() -> Result<()> {
    with_networks("refused gates", || {
        let ground = Ground::new("[gates]\nports = [\"22/tcp\"]\n")?;
        let attempt = |gates| ground.ask(Request::Try { gates, seconds: 60 });
        let mut web = gates(1, Mode::Enforce, ["10.99.1.0/24"]);
        web.gates[0].ports[0].last = 23;
        let answer = attempt(web)?;
        ensure!(
            matches!(&answer, Answer::Refused(why) if why.contains("ssh")),
            "{answer:?}"
        );
        let nobody = gates(1, Mode::Enforce, []);
        let answer = attempt(nobody.clone())?;
        ensure!(
            matches!(&answer, Answer::Refused(why) if why.contains("nobody")),
            "{answer:?}"
        );
        let others = gates(1, Mode::Enforce, ["10.99.1.0/24"]);
        assert_eq!(attempt(others)?, Answer::Done, "the trial is for that");
        ground.done(Request::Back)?;
        let address = OUTSIDE.parse()?;
        ground.done(Request::Vouch {
            address,
            seconds: 60,
        })?;
        let answer = attempt(nobody)?;
        ensure!(
            matches!(&answer, Answer::Refused(why) if why.contains("key")),
            "{answer:?}"
        );
        assert_eq!(
            attempt(gates(1, Mode::Enforce, ["203.0.113.0/24"]))?,
            Answer::Done
        );
        Ok(())
    })
}
