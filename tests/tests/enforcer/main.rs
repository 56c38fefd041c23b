//! The enforcer, with a real kernel, real connections, and people who mean no good.

mod drift;
mod ground;
mod many;
mod shut;
mod steps;
mod through;

use anyhow::{Result, bail, ensure};
use watchward_enforcer::{Answer, Ban, Change, Mode, Request, Verdict, Veto};
use watchward_tests::ready::with_networks;
use watchward_tests::wait::{SOON, until};

use ground::{GATEWAY, Ground, HOST, Place, alive, bans, gates};

#[test]
fn a_ban_shuts_out_and_ends_what_stands() -> Result<()> {
    with_networks("bans", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        let peers = [
            ("203.0.113.5", HOST[1], "203.0.113.5/32"),
            ("203.0.113.6", HOST[1], "203.0.113.6/31"),
            ("2001:db8:bad:1::2", HOST[3], "2001:db8:bad:1::/64"),
            ("2001:db8:bad:2::2", HOST[3], "2001:db8:bad:2::2/128"),
        ];
        let mut standing = Vec::new();
        for (peer, host, _) in peers {
            ground.until_open(Place::Outside, peer, host, true)?;
            let connection = ground.connect(Place::Outside, peer, host, 22)?;
            standing.push(connection.expect("it was open"));
        }
        ensure!(standing.iter_mut().all(alive), "nobody is banned yet");
        let answer = ground.ask(bans(peers.map(|it| it.2), 3600))?;
        assert_eq!(answer, Answer::Verdicts(vec![Verdict::Done; 4]));
        for (peer, host, _) in peers {
            assert!(!ground.open(Place::Outside, peer, host, 22)?, "{peer}");
        }
        for (connection, (peer, ..)) in standing.iter_mut().zip(peers) {
            assert!(!alive(connection), "{peer} still talks");
        }
        let sockets = || ground.sh(Place::Host, "ss -Htn state established");
        until("the sockets are gone", SOON, || {
            Ok(sockets()?.trim().is_empty().then_some(()))
        })?;
        ground.until_open(Place::Outside, "203.0.113.8", HOST[1], true)?;
        ground.until_open(Place::Outside, "2001:db8:bad:0::2", HOST[3], true)?;
        assert_eq!(ground.holding()?.bans, 4);

        let net = "203.0.113.5/32".parse()?;
        ground.done(Request::Unban(vec![net]))?;
        ground.until_open(Place::Outside, "203.0.113.5", HOST[1], true)?;
        assert_eq!(ground.holding()?.bans, 3);
        Ok(())
    })
}

#[test]
fn a_ban_ends_by_itself_also_when_nobody_is_there() -> Result<()> {
    with_networks("bans that end", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        ground.until_open(Place::Outside, "203.0.113.5", HOST[1], true)?;
        ground.ask(bans(["203.0.113.5/32"], 3600))?;
        // The later time counts.
        ground.ask(bans(["203.0.113.5/32", "2001:db8:bad::/64"], 4))?;
        assert!(!ground.open(Place::Outside, "203.0.113.5", HOST[1], 22)?);
        ground.kill()?;
        ground.until_open(Place::Outside, "203.0.113.5", HOST[1], true)?;
        ground.until_open(Place::Outside, "2001:db8:bad::2", HOST[3], true)
    })
}

#[test]
fn bans_outlive_the_enforcer_and_are_known_to_the_next() -> Result<()> {
    with_networks("bans and restarts", || {
        let ground = Ground::new("never = []")?;
        let nets = [
            "203.0.113.5/32",
            "203.0.113.32/28",
            "2001:db8:bad::/56",
            "2001:db8:9::/64",
        ];
        ground.ask(bans(nets, 3600))?;
        let held = ground.ask(Request::Held { after: None })?;
        ground.kill()?;
        ground.start()?;
        let Answer::Held(again) = ground.ask(Request::Held { after: None })? else {
            bail!("it says nothing of bans");
        };
        let Answer::Held(held) = held else {
            bail!("it says nothing of bans");
        };
        let nets = |bans: &[Ban]| -> Vec<_> { bans.iter().map(|ban| ban.net).collect() };
        assert_eq!(nets(&held), nets(&again));
        assert!(
            again.iter().all(|ban| (3000..=3600).contains(&ban.seconds)),
            "{again:?}"
        );
        let second = Request::Held {
            after: Some(again[1].net),
        };
        assert_eq!(ground.ask(second)?, Answer::Held(again[2..].to_vec()));
        Ok(())
    })
}

#[test]
fn nobody_is_banned_who_must_not_be() -> Result<()> {
    with_networks("vetoes", || {
        let guard = "never = [\"198.51.100.0/24\", \"2001:db8:ad::/48\"]\n\
             collector = [\"192.0.2.7/32\"]\n";
        let ground = Ground::new(guard)?;
        ground.serve(22)?;
        let verdicts = |nets: &[&str]| verdicts(&ground, nets);
        let gateway = format!("{GATEWAY}/32");
        for (net, veto) in [
            ("0.0.0.0/0", Veto::TooWide),
            ("::/0", Veto::TooWide),
            ("203.0.0.0/23", Veto::TooWide),
            ("2001:db8::/55", Veto::TooWide),
            ("10.99.1.1/32", Veto::Own),
            ("203.0.113.0/24", Veto::Own),
            ("2001:db8:bad::/64", Veto::Own),
            (&*gateway, Veto::Gateway),
            ("10.99.1.253/32", Veto::Gateway),
            ("2001:db8:1::fe/128", Veto::Gateway),
            ("2001:db8:1::fd/128", Veto::Gateway),
            ("198.51.100.77/32", Veto::Guard),
            ("198.51.100.0/24", Veto::Guard),
            ("2001:db8:ad:1::/64", Veto::Guard),
            ("192.0.2.7/32", Veto::Collector),
            ("127.0.0.1/32", Veto::Reserved),
            ("fe80::/64", Veto::Reserved),
            ("::1/128", Veto::Reserved),
        ] {
            assert_eq!(verdicts(&[net])?, [Verdict::Vetoed(veto)], "{net}");
        }
        assert_eq!(ground.holding()?.bans, 0);
        Ok(())
    })
}

#[test]
fn nobody_is_banned_from_where_somebody_came_in_with_a_key() -> Result<()> {
    with_networks("vouching", || {
        let ground = Ground::new("never = []")?;
        ground.serve(22)?;
        let verdicts = |nets: &[&str]| verdicts(&ground, nets);
        assert_eq!(verdicts(&["203.0.113.9/32"])?, [Verdict::Done]);
        assert!(!ground.open(Place::Outside, "203.0.113.9", HOST[1], 22)?);
        let vouch = |address: &str| -> Result<_> {
            let address = address.parse()?;
            Ok(Request::Vouch {
                address,
                seconds: 600,
            })
        };
        ground.done(vouch("203.0.113.9")?)?;
        ground.done(vouch("2001:db8:bad:1::2")?)?;
        ground.until_open(Place::Outside, "203.0.113.9", HOST[1], true)?;
        for net in ["203.0.113.9/32", "2001:db8:bad:1::2/128"] {
            assert_eq!(verdicts(&[net])?, [Verdict::Vetoed(Veto::Vouched)], "{net}");
        }
        for net in ["203.0.113.8/30", "2001:db8:bad:1::/64"] {
            assert_eq!(verdicts(&[net])?, [Verdict::Done], "{net}");
        }
        ground.until_open(Place::Outside, "203.0.113.9", HOST[1], true)?;
        assert!(
            !ground.open(Place::Outside, "203.0.113.10", HOST[1], 22)?,
            "a neighbour"
        );
        Ok(())
    })
}

#[test]
fn whom_the_agent_speaks_to_is_not_banned_and_passes_no_gate() -> Result<()> {
    with_networks("the agent's peers", || {
        let ground = Ground::new_with("never = []", Some("root"))?;
        ground.serve(22)?;
        ground.until_open(Place::Outside, "203.0.113.9", HOST[1], true)?;
        let connection = ground.connect(Place::Outside, "203.0.113.9", HOST[1], 22)?;
        let mut standing = connection.expect("it was open");
        ensure!(alive(&mut standing));
        let wanted = ["203.0.113.9/32", "203.0.113.8/30", "203.0.113.20/32"];
        let said = verdicts(&ground, &wanted)?;
        let vetoed = Verdict::Vetoed(Veto::Collector);
        assert_eq!(said, [vetoed, vetoed, Verdict::Done]);
        ground.gates(gates(1, Mode::Enforce, ["10.99.1.0/24"]))?;
        ensure!(!ground.open(Place::Outside, "203.0.113.9", HOST[1], 22)?);
        Ok(())
    })
}

#[test]
fn bans_are_so_many_at_once_and_so_many_a_minute() -> Result<()> {
    with_networks("budgets", || {
        let ground = Ground::new("[bans]\nmost = 5\n")?;
        let verdicts = |nets: &[&str]| verdicts(&ground, nets);
        let nets: Vec<String> = (10..20)
            .map(|last| format!("203.0.113.{last}/32"))
            .collect();
        let many = verdicts(&nets.iter().map(String::as_str).collect::<Vec<_>>())?;
        let (done, full) = many.split_at(5);
        assert!(done.iter().all(|it| *it == Verdict::Done), "{many:?}");
        assert!(
            full.iter().all(|it| *it == Verdict::Vetoed(Veto::Full)),
            "{many:?}"
        );

        ground.guard("[bans]\nper_minute = 1\n")?;
        let many = verdicts(&["192.0.2.1/32", "192.0.2.2/32", "203.0.113.10/32"])?;
        assert_eq!(many[1], Verdict::Vetoed(Veto::OverBudget), "{many:?}");
        assert_eq!(many[2], Verdict::Done, "that one stands already");
        Ok(())
    })
}

#[test]
fn room_is_left_for_who_attacks_this_host() -> Result<()> {
    with_networks("room for its own", || {
        let ground = Ground::new("[bans]\nmost = 32\nper_minute = 40\n")?;
        let nets: Vec<String> = (0..60).map(|it| format!("198.51.100.{it}/32")).collect();
        let many = verdicts(
            &ground,
            &nets.iter().map(String::as_str).collect::<Vec<_>>(),
        )?;
        let done = |of: &[Verdict]| of.iter().filter(|it| **it == Verdict::Done).count();
        assert_eq!(done(&many), 30, "{many:?}");
        let own = ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"].map(|net| Ban {
            net: net.parse().expect("it is a network"),
            seconds: 60,
            own: true,
        });
        let Answer::Verdicts(said) = ground.ask(Request::Ban(own.to_vec()))? else {
            bail!("it judges no bans");
        };
        let full = Verdict::Vetoed(Veto::Full);
        assert_eq!(said, [Verdict::Done, Verdict::Done, full]);
        // A minute's worth of others' bans takes nothing from the host's own.
        ground.guard("[bans]\nmost = 3200\nper_minute = 40\n")?;
        let nets: Vec<String> = (60..160).map(|it| format!("198.51.100.{it}/32")).collect();
        let many = verdicts(
            &ground,
            &nets.iter().map(String::as_str).collect::<Vec<_>>(),
        )?;
        assert_eq!(many.last(), Some(&Verdict::Vetoed(Veto::OverBudget)));
        let answer = ground.ask(Request::Ban(own.to_vec()))?;
        assert_eq!(answer, Answer::Verdicts(vec![Verdict::Done; 3]));
        Ok(())
    })
}

#[test]
fn a_guard_file_that_others_can_write_lets_nothing_be_done() -> Result<()> {
    with_networks("the guard file", || {
        let ground = Ground::new("never = []")?;
        assert_eq!(ground.holding()?.trouble, "");
        let mut client = ground.client()?;
        ground.sh(
            Place::Host,
            &format!("chmod 666 {}", ground.path("guard.toml").display()),
        )?;
        let holding = ground.holding()?;
        ensure!(
            holding.trouble.contains("can be written by others"),
            "{holding:?}"
        );
        let answer = ground.ask(bans(["203.0.113.5/32"], 60))?;
        assert_eq!(
            answer,
            Answer::Verdicts(vec![Verdict::Vetoed(Veto::Unable)])
        );
        let gates = gates(1, Mode::Enforce, ["10.99.1.0/24"]);
        let answer = ground.ask(Request::Try { gates, seconds: 60 })?;
        ensure!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        let said = client.wait()?;
        ensure!(
            matches!(&said, Change::Guard(why) if why.contains("others")),
            "{said:?}"
        );

        ground.guard("nevr = []\n")?;
        let trouble = ground.holding()?.trouble;
        ensure!(
            trouble.contains("line 1") && trouble.contains("nevr") && !trouble.contains('\n'),
            "{trouble}"
        );
        ground.guard("never = []\n")?;
        assert_eq!(ground.holding()?.trouble, "");
        Ok(())
    })
}

fn verdicts(ground: &Ground, nets: &[&str]) -> Result<Vec<Verdict>> {
    let Answer::Verdicts(verdicts) = ground.ask(bans(nets.iter().copied(), 60))? else {
        bail!("it judges no bans");
    };
    Ok(verdicts)
}
