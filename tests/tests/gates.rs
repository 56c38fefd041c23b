//! Room `restriction`: gates on booted hosts, from the policy to the kernel, and back.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::agent;
use watchward_tests::enforcer;
use watchward_tests::host::Host;
use watchward_tests::site::{Site, play};
use watchward_tests::ssh;
use watchward_tests::tracer::{Traced, Tracer};
use watchward_tests::wait::{SOON, until};

/// Lets no new connection to the collector be made; one that stands goes on.
const CUT: &str = "nft add table ip cut
    nft 'add chain ip cut out { type filter hook output priority 0; }'
    nft add rule ip cut out 'tcp dport 7443 tcp flags & (syn | ack) == syn drop'";

#[test]
fn ssh_is_shut_to_others_and_one_word_opens_it_again() -> Result<()> {
    play("gates are held", "", |site| {
        let (web, office) = (guarded(site, "web")?, site.boot("office")?);
        let cafe = site.boot("cafe")?;
        ssh::add_user(&web, "alice", "correct")?;
        let rule = |mode| rule(office.address(), "ssh", mode);
        apply(site, &rule("watch"))?;
        until("who would be turned away is counted", SOON, || {
            ensure!(ssh::reaches(&cafe, &web)?, "it only watches");
            Ok(counted(&web, &cafe)?.then_some(()))
        })
        .with_context(|| logs(&web))?;
        ensure!(ssh::reaches(&office, &web)? && !counted(&web, &office)?);
        until("people see who came from elsewhere", SOON, || {
            let networks = site.collector.ask(&["networks"])?;
            let gate = networks.pointer("/gates/0").context("there is no gate")?;
            let from = gate.pointer("/turned_away_from/0");
            ensure!(gate["turned_away"].as_u64() > Some(0), "{gate}");
            Ok((from == Some(&Value::from(cafe.address().to_string()))).then_some(()))
        })
        .with_context(|| logs(&web))?;

        apply(site, &rule("enforce"))?;
        until_confirmed(&web, &office)?;
        assert!(!ssh::reaches(&cafe, &web)?, "{}", logs(&web));
        assert!(ssh::password(&office, &web, "alice", "correct")?);

        web.sh("nft flush ruleset")?;
        let put_back = ["web: its restrictions were changed, put back"];
        site.told_until("people hear of it", |told| told.of(&put_back) == (1, 1))
            .with_context(|| logs(&web))?;
        until_confirmed(&web, &office)?;
        assert!(!ssh::reaches(&cafe, &web)?, "{}", logs(&web));
        assert!(ssh::reaches(&office, &web)?, "{}", logs(&web));

        let back = site.collector.ask(&["policy", "rollback"])?;
        let stand = &back["hosts"][0]["stand"];
        assert_eq!(stand, "held", "{back:#}");
        until("it is open again", SOON, || {
            Ok(ssh::reaches(&cafe, &web)?.then_some(()))
        })
        .with_context(|| logs(&web))?;
        assert!(ssh::password(&cafe, &web, "alice", "correct")?);
        Ok(())
    })
}

#[test]
fn what_cannot_be_confirmed_is_taken_back_and_people_hear_of_it() -> Result<()> {
    play("gates are taken back", "", |site| {
        let (web, office) = (guarded(site, "web")?, site.boot("office")?);
        let cafe = site.boot("cafe")?;
        let taken_back = |service: &str| {
            let title = format!("{service} of web not shut: it took its gates back");
            let open = |one: &Value| one["title"].to_string().contains(&title);
            let seen = site.incidents_until("people hear of it", |all| all.iter().any(open));
            seen.with_context(|| logs(&web))
        };
        web.sh(CUT)?;
        apply(site, &rule(office.address(), "ssh", "enforce"))?;
        until("they are tried", SOON, || {
            Ok((!ssh::reaches(&cafe, &web)?).then_some(()))
        })?;
        until("those before hold again", SOON, || {
            Ok(ssh::reaches(&cafe, &web)?.then_some(()))
        })
        .with_context(|| logs(&web))?;
        web.sh("nft delete table ip cut")?;
        taken_back("ssh")?;
        let words = ["[CRITICAL] ssh of web not shut: it took its gates back"];
        site.told_until("people are told", |told| told.of(&words).0 == 1)?;

        // The ports that the host itself calls others from: the answers of the collector are shut out.
        let wide = format!(
            "[restriction.services]\nwide = [\"tcp/32768-60999\"]\n{}",
            rule(office.address(), "wide", "enforce")
        );
        apply(site, &wide)?;
        taken_back("wide")?;
        ensure!(ssh::reaches(&cafe, &web)?);

        apply(site, &rule(office.address(), "ssh", "enforce"))?;
        until_confirmed(&web, &office)?;
        ensure!(!ssh::reaches(&cafe, &web)?);
        until_over(site, &["of web not shut"])
    })
}

/// Before so many steps of a change, of all there are, the agent is killed.
const KILLS: usize = 12;

#[test]
fn an_agent_killed_before_a_step_leaves_the_old_gates_or_the_new_and_finishes() -> Result<()> {
    play("an agent that is killed", "", |site| {
        let (web, office) = (guarded(site, "web")?, site.boot("office")?);
        let cafe = site.boot("cafe")?;
        let change = |new: &Host| apply(site, &rule(new.address(), "ssh", "enforce"));
        change(&office)?;
        until_confirmed(&web, &office)?;
        let tracer = Tracer::note(Traced::All(process(&web)?))?;
        change(&cafe)?;
        until_confirmed(&web, &cafe)?;
        let steps = tracer.steps()?;
        let (mut seen, mut missed) = (BTreeSet::new(), 0);
        let each = steps.len().div_ceil(KILLS).max(1);
        for (round, step) in steps.iter().step_by(each).enumerate() {
            let new = if round % 2 == 0 { &office } else { &cafe };
            let agent = process(&web)?;
            let tracer = Tracer::kill_before(Traced::All(agent), step)?;
            change(new)?;
            let gone = || !Path::new(&format!("/proc/{agent}")).exists();
            let killed = until("it is killed, or has passed that step", SOON, || {
                Ok((gone() || is_confirmed(&web, new)?).then(gone))
            })?;
            drop(tracer);
            missed += u32::from(!killed);
            let table = web.sh("nft list table inet watchward")?;
            let is_new = one_of_both(&table, &office, &cafe, new);
            seen.insert(is_new.with_context(|| format!("before {step}"))?);
            until("one of both may pass, and not both", SOON, || {
                let passes = [ssh::reaches(&office, &web)?, ssh::reaches(&cafe, &web)?];
                Ok((passes[0] != passes[1]).then_some(()))
            })?;
            until_confirmed(&web, new)?;
            ensure!(ssh::reaches(new, &web)?, "{}", logs(&web));
        }
        ensure!(
            seen.len() == 2 && missed < 6,
            "{seen:?}, {missed} of {steps:?}"
        );
        Ok(())
    })
}

/// The agent of a host, as this machine knows it.
fn process(host: &Host) -> Result<u32> {
    let inside = host.sh("systemctl show -P MainPID watchward-agent")?;
    host.outside_process(inside.trim().parse()?)
}

/// Whether the gate that holds is the new one; and it is whole.
fn one_of_both(table: &str, office: &Host, cafe: &Host, new: &Host) -> Result<bool> {
    let trial = table.split_once("set trial {").context("no trial")?.1;
    let trial = trial.split_once("\n\t}").context("no end")?.0;
    let slot = if trial.contains("elements") {
        "new_0"
    } else {
        "old_0"
    };
    let gate = table
        .split_once(&format!("chain {slot} {{"))
        .context("no gate")?
        .1;
    let gate = gate.split_once("\n\t}").context("no end")?.0;
    let passes = |host: &Host| gate.contains(&format!("saddr {} return", host.address()));
    ensure!(passes(office) != passes(cafe), "{table}");
    ensure!(gate.contains(" drop "), "{table}");
    Ok(passes(new))
}

#[test]
fn a_guard_file_that_is_mended_lets_by_itself_be_what_it_refused() -> Result<()> {
    play("the guard file", "", |site| {
        let (web, office) = (guarded(site, "web")?, site.boot("office")?);
        let guard = |text: &str| -> Result<()> {
            let file = "/etc/watchward/guard.toml";
            web.write(file, text.as_bytes(), 0o644).map(drop)
        };
        guard("[gates]\nports = [\"443/tcp\"]\n")?;
        apply(site, &rule(office.address(), "ssh", "enforce"))?;
        let refused = |one: &Value| one["title"].to_string().contains("ssh of web not shut");
        site.incidents_until("it is refused", |all| all.iter().any(refused))
            .with_context(|| logs(&web))?;
        guard("[gates]\nports = [\"22/tcp\"]\n")?;
        until_confirmed(&web, &office)?;

        guard("never = [\"192.0.2.7/24\"]\n")?;
        let told = |one: &Value| {
            one["title"] == "web shuts nobody new out"
                && one["detail"].to_string().contains("line 1")
                && one["detail"].to_string().contains("192.0.2.0/24")
        };
        site.incidents_until("the line is told", |all| all.iter().any(told))
            .with_context(|| logs(&web))?;
        until("its page says it in one line", SOON, || {
            let hosts = site.collector.ask(&["hosts", "web"])?.to_string();
            ensure!(hosts.contains("write 192.0.2.0/24"), "{hosts}");
            Ok((!hosts.contains("\\n")).then_some(()))
        })?;
        guard("never = []\n")?;
        until_over(site, &["web shuts nobody new out", "ssh of web not shut"])
    })
}

#[test]
fn a_gate_that_somebody_opened_is_seen_by_another_host() -> Result<()> {
    let settings = "restriction.probe_every = \"1s\"\nrestriction.settle = \"1s\"";
    play("probes", settings, |site| {
        let (web, office) = (guarded(site, "web")?, site.boot("office")?);
        let cafe = site.watched("cafe", "")?;
        let rule = format!(
            "[restriction.services]\nwireguard = [\"udp/51820\"]\n{}",
            rule(office.address(), "ssh\", \"wireguard", "enforce")
        );
        let told_alone = rule.replace("[restriction]\n", "[restriction]\nput_back = false\n");
        apply(site, &told_alone)?;
        until_confirmed(&web, &office)?;
        until("the gate is tried", SOON, || {
            let turned = web.sh("nft list set inet watchward turned4")?;
            let vpn = turned.contains(&format!("{} . 51820", cafe.address()));
            Ok((vpn && counted(&web, &cafe)?).then_some(()))
        })
        .with_context(|| logs(&web))?;

        web.sh("nft flush ruleset")?;
        let open = format!("web: ssh is open to cafe ({})", cafe.address());
        site.told_until("it is seen", |told| told.of(&[&open]) == (1, 1))
            .with_context(|| logs(&web))?;
        let all = site.collector.incidents()?;
        let changed = "web: its restrictions were changed, not put back";
        for words in [&open, changed] {
            let found = |one: &&Value| one["title"].to_string().contains(words);
            let found = all.iter().find(found);
            ensure!(
                found.is_some_and(|one| one["severity"] == "critical"),
                "{words}: {all:#?}"
            );
        }
        ensure!(ssh::reaches(&cafe, &web)?, "it was put back");

        apply(site, &rule)?;
        until_confirmed(&web, &office)?;
        until_over(site, &[&open, changed])?;
        let bans = site.collector.list(&["bans"])?;
        ensure!(
            bans.is_empty(),
            "who tries a gate attacks nobody: {bans:#?}"
        );
        let log = web.sh("journalctl --no-pager -o cat -t sshd")?;
        let seen = format!("by {} port", cafe.address());
        ensure!(log.contains(&seen), "sshd has not seen it: {log}");
        let from = cafe.address().to_string();
        let tries = site.collector.list(&["access", "--address", &from])?;
        let fails = |one: &&Value| one["outcome"] == "failure" && one["attempt"] == true;
        ensure!(tries.iter().find(fails).is_none(), "{tries:#?}");
        Ok(())
    })
}

/// A watched host that holds gates, each for a short trial.
fn guarded(site: &Site, name: &str) -> Result<Host> {
    let host = site.boot(name)?;
    enforcer::start(&host, "never = []\n")?;
    site.watch(&host, "[restriction]\ntrial = \"15s\"\n")?;
    Ok(host)
}

/// Who may pass to a service of the host `web`.
fn rule(from: Ipv4Addr, service: &str, mode: &str) -> String {
    format!(
        "[groups]\nweb = [\"we*\"]\n[networks]\noffice = [\"{from}\"]\n[restriction]\n\
         [[restriction.rules]]\ngroups = [\"web\"]\nservices = [\"{service}\"]\n\
         from = [\"office\"]\nmode = \"{mode}\"\n"
    )
}

fn apply(site: &Site, policy: &str) -> Result<()> {
    let file = site.collector.folder().join("applied.toml");
    fs::write(&file, policy)?;
    let file = file.to_string_lossy();
    let words = ["policy", "apply", "--yes", "--no-wait", &file];
    site.collector.ask(&words).map(drop)
}

/// Waits until no incident is open that says any of this.
fn until_over(site: &Site, words: &[&str]) -> Result<()> {
    let open = |one: &Value| {
        let title = one["title"].as_str().unwrap_or_default();
        one["resolved_at"].is_null() && words.iter().any(|words| title.contains(words))
    };
    site.incidents_until("it is over", |all| !all.iter().any(open))
}

/// Waits until the kernel has a gate before SSH that this host may pass, and no trial.
fn until_confirmed(host: &Host, from: &Host) -> Result<()> {
    let look = || Ok(is_confirmed(host, from)?.then_some(()));
    until("the gates are confirmed", SOON, look).with_context(|| logs(host))
}

fn is_confirmed(host: &Host, from: &Host) -> Result<bool> {
    let gate = format!(
        "nft list chain inet watchward old | grep -q 'dport 22 jump old_0' &&
         nft list chain inet watchward old_0 | grep -q 'saddr.* {} .*return' &&
         nft list chain inet watchward old_0 | grep -q drop &&
         ! nft list set inet watchward trial | grep -q elements",
        from.address()
    );
    host.try_sh(&gate)
}

/// Whether the kernel has counted that this one is not to pass, or would not be.
fn counted(host: &Host, from: &Host) -> Result<bool> {
    let turned = host.sh("nft list set inet watchward turned4")?;
    Ok(turned.contains(&format!("{} . 22", from.address())))
}

fn logs(host: &Host) -> String {
    format!("{}\n{}", agent::log(host), enforcer::log(host))
}
