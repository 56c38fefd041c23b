//! An authority and many machines' keys are replaced while programs and a person log in with them: nobody
//! is refused, and of the keys of before none opens anything.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::desk::Desk;
use watchward_tests::run::run;
use watchward_tests::site::play;
use watchward_tests::wait::{SOON, until};

use super::ground::{Ground, policy};

/// As many as `WATCHWARD_KEYS` says; usually few, because every door of every host is asked about each.
fn how_many() -> Result<usize> {
    match std::env::var("WATCHWARD_KEYS") {
        Ok(many) => many.parse().context("WATCHWARD_KEYS"),
        Err(_) => Ok(6),
    }
}

/// So many programs use them.
const PROGRAMS: usize = 3;

#[test]
fn an_authority_and_many_keys_are_replaced_while_they_are_used() -> Result<()> {
    play("many keys and the authority rotate", "", |site| {
        let ground = Ground::new(site)?;
        let many = how_many()?;
        let names: Vec<_> = (1..=many).map(|number| format!("k{number:02}")).collect();
        let outside = site.network.outside();
        let people = "[[keys.logins]]\ngroups = [\"servers\"]\naccounts = [\"alice\"]\nroles = [\"operator\"]\n\
             [[keys.certificates]]\nroles = [\"operator\"]\nfrom = [\"here\", \"bench\"]\nlife = \"1h\"\n";
        let policy = policy(site, &names).replace(
            "[networks]\n",
            &format!("[networks]\nbench = [\"{outside}\"]\n"),
        );
        site.collector.rule(&(policy + people))?;
        let desk = Desk::new(site)?;
        desk.logs_in(&desk.next_code()?)?;
        ground.all_are_idle(&names, 1)?;
        until("her certificate opens", SOON, || {
            for host in &ground.servers {
                ensure!(desk.opens("alice", host)?, "{} refuses her", host.name());
            }
            Ok(Some(()))
        })
        .with_context(|| ground.why())?;
        let before = ground.keys()?;
        ensure!(before.len() == many, "{before:#?}");

        let person = desk.logins("alice", &ground.servers)?;
        let programs: Result<Vec<_>> = names
            .chunks(many.div_ceil(PROGRAMS))
            .map(|some| ground.logins(some))
            .collect();
        run(site.collector.command()?.args(["authority", "rotate"]))?;
        let mut now = site.collector.command()?;
        run(now.args(["rotation", "now"]).args(&names))?;
        ground.all_are_idle(&names, 2)?;
        let mut last = Value::Null;
        until("the next authority signs", SOON * 3, || {
            let standing = site.collector.ask(&["authority", "show"])?;
            last.clone_from(&standing);
            let all = standing.get("authorities").and_then(Value::as_array);
            let all = all.context("no authorities")?;
            let sign = all.iter().filter(|it| !it["signs_at"].is_null());
            Ok((sign.count() == 2).then_some(()))
        })
        .with_context(|| format!("{last:#}\n{}", ground.why()))?;
        desk.logs_in(desk.recovery(0)?)?;
        ground.always_worked(person)?;
        for program in programs? {
            ground.always_worked(program)?;
        }
        let after = ground.keys()?;
        ensure!(after.len() == many, "{after:#?}");
        let left: Vec<_> = after.intersection(&before).collect();
        ensure!(left.is_empty(), "{left:#?}");
        ground.is_quiet()?;
        // What the new one signed, alone.
        desk.ask("ssh-add -q -D")?;
        desk.logs_in(desk.recovery(1)?)?;
        for host in &ground.servers {
            ensure!(desk.opens("alice", host)?, "{}", ground.why());
        }
        Ok(())
    })
}
