//! What others see of gates while they change, and when the enforcer is killed at each step of that.

#![expect(
    clippy::expect_used,
    reason = "a thread of a test that panics is a failed test"
)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use watchward_enforcer::{Gates, Mode, Request};
use watchward_tests::ready::with_networks;
use watchward_tests::tracer::{Passed, Step, Traced, Tracer};
use watchward_tests::wait::{SOON, until};

use super::ground::{Ground, HOST, INSIDE, OUTSIDE, Place, bans, gates, is_open};

/// Whom a generation lets pass, and neither the one before nor the next.
fn passer(generation: u64) -> String {
    format!("203.0.113.{}", 30 + generation % 2)
}

/// A thousand networks besides the one that is inside.
fn thousand(generation: u64) -> Gates {
    let seed = generation * 7 % 50;
    let nets: Vec<String> = (0..1000)
        .map(|it| format!("172.{}.{}.0/25", 16 + (it + seed) / 256 % 16, it % 256))
        .collect();
    let one = format!("{}/32", passer(generation));
    let nets = nets
        .iter()
        .map(String::as_str)
        .chain(["10.99.1.0/24", &*one]);
    gates(generation, Mode::Enforce, nets)
}

#[test]
fn a_thousand_networks_change_with_no_instant_of_open_or_shut() -> Result<()> {
    with_networks("no instant", || {
        let ground = begin()?;
        probed(&ground, || {
            for generation in 2..40 {
                ground.gates(thousand(generation))?;
                if generation % 4 == 0 {
                    let gates = thousand(generation + 1);
                    ground.done(Request::Try { gates, seconds: 60 })?;
                    ground.done(Request::Back)?;
                }
            }
            Ok(())
        })
    })
}

#[test]
fn killed_before_each_step_of_a_change_the_old_gates_hold_or_the_new() -> Result<()> {
    with_networks("killed before each step", || {
        let ground = begin()?;
        let tracer = Tracer::note(Traced::One(ground.process()))?;
        ground.gates(thousand(2))?;
        let steps = tracer.steps()?;
        let (mut old, mut new, mut passed) = (0, 0, Passed::default());
        probed(&ground, || {
            for (step, generation) in steps.iter().zip(3..) {
                let held = killed_before(step, &ground, generation);
                let held = held.with_context(|| format!("killed before {step} of {steps:?}"))?;
                *match held {
                    Some(held) if held == generation => &mut new,
                    Some(_) => &mut old,
                    None => {
                        passed.note(step, &steps)?;
                        continue;
                    }
                } += 1;
            }
            Ok(())
        })?;
        ensure!(old > 5 && new > 5, "{old}, {new} of {steps:?}");
        Ok(())
    })
}

/// Which of both held when it was killed; none, if this time it did without the step. Then it starts again,
/// and the change is asked for again, as the agent does.
fn killed_before(step: &Step, ground: &Ground, generation: u64) -> Result<Option<u64>> {
    let tracer = Tracer::kill_before(Traced::One(ground.process()), step)?;
    let changed = ground.gates(thousand(generation));
    ground.kill()?;
    drop(tracer);
    let held = held(ground, generation)?;
    ground.start()?;
    if changed.is_ok() {
        ensure!(held == generation);
        return Ok(None);
    }
    let now = ground.holding()?.generation;
    ensure!(
        self::held(ground, generation)? == now,
        "it says that {now} holds"
    );
    ground.gates(thousand(generation))?;
    ensure!(self::held(ground, generation)? == generation);
    Ok(Some(held))
}

#[test]
fn killed_before_each_step_of_its_start_the_gates_hold() -> Result<()> {
    with_networks("killed while it starts", || {
        let ground = begin()?;
        ground.kill()?;
        ground.prepare()?;
        let tracer = Tracer::note(Traced::One(ground.process()))?;
        go_on(&ground)?;
        ground.until_there()?;
        let steps = tracer.steps()?;
        // The kernel is changed by the programs that it starts; until then it reads.
        let acts = |step: &&Step| ["clone3", "vfork", "poll", "wait4"].contains(&step.call());
        let steps: Vec<&Step> = steps.iter().filter(acts).collect();
        ensure!(steps.len() > 10, "{steps:?}");
        probed(&ground, || {
            ground.kill()?;
            for step in &steps {
                ground.prepare()?;
                let tracer = Tracer::kill_before(Traced::One(ground.process()), step)?;
                go_on(&ground)?;
                until("it is killed", SOON, || {
                    Ok(ground.has_ended()?.then_some(()))
                })
                .with_context(|| format!("before {step} of {steps:?}"))?;
                drop(tracer);
                ground.kill()?;
                ensure!(held(&ground, 1)? == 1, "after {step}");
            }
            ground.start()
        })?;
        ensure!(held(&ground, 1)? == 1);
        Ok(())
    })
}

fn go_on(ground: &Ground) -> Result<()> {
    let process = i32::try_from(ground.process()).ok().and_then(Pid::from_raw);
    Ok(kill_process(process.context("no process")?, Signal::CONT)?)
}

/// Which of both generations packets go through. The slots are whole, or empty.
fn held(ground: &Ground, generation: u64) -> Result<u64> {
    let table = ground.sh(Place::Host, "nft -j list table inet watchward")?;
    let table: Value = serde_json::from_str(&table)?;
    let all = table.pointer("/nftables").and_then(Value::as_array);
    let all = all.context("no list")?;
    let trial = |it: &&Value| it.pointer("/set/name").is_some_and(|it| it == "trial");
    let trial = all.iter().find(trial).context("no set of trials")?;
    let [old, new] = ["old_0", "new_0"].map(|chain| passing(all, chain));
    for slot in [&old, &new] {
        ensure!(slot.len() == 1002 || slot.is_empty(), "{}", slot.len());
    }
    let on_trial = trial.pointer("/set/elem").is_some();
    let slot = if on_trial { new } else { old };
    let lets = |generation| slot.contains(&Value::from(passer(generation)));
    match (lets(generation - 1), lets(generation)) {
        (true, false) => Ok(generation - 1),
        (false, true) => Ok(generation),
        both => bail!("the old and the new: {both:?}"),
    }
}

/// Whom a chain lets pass.
fn passing(table: &[Value], chain: &str) -> Vec<Value> {
    let of = |it: &&Value| it.pointer("/rule/chain").is_some_and(|it| it == chain);
    let nets = |it: &Value| it.pointer("/rule/expr/0/match/right/set").cloned();
    let sets = table.iter().filter(of).filter_map(nets);
    let sets = sets.filter_map(|it| it.as_array().cloned());
    sets.flatten().collect()
}

#[test]
fn killed_before_each_step_of_bans_they_stand_all_or_none() -> Result<()> {
    with_networks("bans before each step", || {
        let ground = begin()?;
        let these = |number: usize| {
            let nets = [1, 2].map(|last| format!("198.51.{number}.{last}/32"));
            let wide = format!("198.51.{number}.128/25");
            bans(nets.iter().chain([&wide]).map(String::as_str), 3600)
        };
        ground.ask(these(0))?;
        let tracer = Tracer::note(Traced::One(ground.process()))?;
        ground.ask(these(1))?;
        let steps = tracer.steps()?;
        let (mut none, mut all, mut passed) = (0, 0, Passed::default());
        for (step, number) in steps.iter().zip(2..) {
            let before = ground.holding()?.bans;
            let tracer = Tracer::kill_before(Traced::One(ground.process()), step)?;
            let asked = ground.ask(these(number));
            ground.kill()?;
            drop(tracer);
            ground.start()?;
            let stand = ground.holding()?.bans - before;
            if asked.is_ok() {
                ensure!(stand == 3, "{stand} after all");
                passed.note(step, &steps)?;
                continue;
            }
            ensure!([0, 3].contains(&stand), "{stand} before {step}");
            *if stand == 3 { &mut all } else { &mut none } += 1;
            ground.ask(these(number))?;
            ensure!(ground.holding()?.bans == before + 3);
        }
        ensure!(none > 0 && all > 0, "{none}, {all} of {steps:?}");
        Ok(())
    })
}

/// The first gates hold.
fn begin() -> Result<Ground> {
    let ground = Ground::new("never = []")?;
    ground.serve(22)?;
    ground.until_open(Place::Inside, INSIDE, HOST[0], true)?;
    ground.gates(thousand(1))?;
    ground.until_open(Place::Inside, INSIDE, HOST[0], true)?;
    ensure!(!is_open(&ground, OUTSIDE)?);
    Ok(ground)
}

/// Does something while somebody connects who may pass all the time, and others who may not.
fn probed(ground: &Ground, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let over = AtomicBool::new(false);
    let asked @ [of_inside, of_outside] = &[AtomicU32::new(0), AtomicU32::new(0)];
    let probe = |from: &str, asked: &AtomicU32| -> Result<u32> {
        let mut seen = 0;
        while !over.load(Ordering::Relaxed) {
            seen += u32::from(is_open(ground, from)?);
            asked.fetch_add(1, Ordering::Relaxed);
        }
        Ok(seen)
    };
    let (inside, outside) = thread::scope(|scope| {
        let inside = scope.spawn(|| probe(INSIDE, of_inside));
        // Whoever is shut out waits long: many of them, so that each instant is seen.
        let outside: Vec<_> = (5..25)
            .map(|last| scope.spawn(move || probe(&format!("203.0.113.{last}"), of_outside)))
            .collect();
        let changed = change().and_then(|()| {
            until("all have probed", SOON, || {
                let enough = asked.iter().all(|it| it.load(Ordering::Relaxed) > 100);
                Ok(enough.then_some(()))
            })
        });
        over.store(true, Ordering::Relaxed);
        let inside = inside.join().expect("it does not panic");
        let outside: Result<Vec<u32>> = outside
            .into_iter()
            .map(|it| it.join().expect("it does not panic"))
            .collect();
        changed.map(|()| (inside, outside))
    })?;
    assert_eq!(outside?.iter().sum::<u32>(), 0, "it was open for a moment");
    assert_eq!(
        inside?,
        of_inside.load(Ordering::Relaxed),
        "it was shut for a moment"
    );
    // Had a packet been dropped, it would have been sent again.
    let turned = ground.sh(Place::Host, "nft list set inet watchward turned4")?;
    ensure!(
        turned.contains("203.0.113.5 . 22") && !turned.contains(INSIDE),
        "{turned}"
    );
    Ok(())
}
