//! The guard file, and what it lets be.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::answer::Veto;
use crate::budget::Budget;
use crate::gates::{Gate, Gates, Mode, Ports, Protocol};
use crate::guard::Guard;
use crate::guarded::{Guarded, read};
use crate::judge::judge;
use crate::netlink::routes::Routes;
use crate::protected::Protected;

const SHIPPED: &str = include_str!("../../../../config/guard.toml");

#[test]
fn the_shipped_file_says_what_counts_without_one() {
    assert_eq!(Guard::parse(SHIPPED).unwrap(), Guard::default());
    assert_eq!(Guard::parse("").unwrap(), Guard::default());
}

#[test]
fn a_wrong_file_is_shown_with_line_and_caret() {
    for (text, why) in [
        ("never = []\nnevr = []\n", "unknown field `nevr`"),
        ("[bans]\nlongest = \"soon\"\n", "no span of time"),
        ("[bans]\nlongest = \"0s\"\n", "no span of time"),
        ("[gates]\nports = [\"22\"]\n", "no port"),
        ("[gates]\nports = [\"23-22/tcp\"]\n", "no port"),
        ("never = [\"192.0.2.0/33\"]\n", "no network"),
        (
            "never = [\"192.0.2.7/24\"]\n",
            "write 192.0.2.0/24 for all of it",
        ),
        ("collector = [\"::ffff:192.0.2.0/120\"]\n", "IPv4"),
    ] {
        let said = Guard::parse(text).unwrap_err();
        assert!(said.contains(why) && said.contains("^^"), "{text}: {said}");
    }
    for text in [
        "[bans]\nwidest_ipv4 = 0",
        "[bans]\nwidest_ipv6 = 16",
        "[bans]\nmost = 4000000000",
        "[gates]\nlongest_trial = \"2h\"",
    ] {
        assert!(Guard::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_right_is_said_for_people() {
    let text = "never = [\"192.0.2.0/24\", \"2001:db8::1\"]\n[bans]\nlongest = \"90s\"\n";
    let said = Guard::parse(text).unwrap().to_string();
    for part in [
        "Never shut out:         192.0.2.0/24, 2001:db8::1/128\n",
        "The collector:          nobody",
        "/24, of IPv6 /56\n",
        "Bans, the longest:      90s\n",
        "for 4h\n",
        "1-65535/tcp, 1-65535/udp\n",
        "22/tcp\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guard.toml");
    fs::write(&file, "never = []\nnevr = []\n").unwrap();
    if fs::metadata(&file).unwrap().uid() != 0 {
        return;
    }
    let trouble = Guarded::new(file.clone()).trouble.unwrap();
    let told = format!("{}: line 2, column 1: unknown field `nevr`", file.display());
    assert!(
        trouble.starts_with(&told) && !trouble.contains('\n'),
        "{trouble}"
    );
}

#[test]
fn only_what_root_alone_can_write_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guard.toml");
    assert!(read(&file).is_err(), "there is none");
    fs::write(&file, "never = [\"192.0.2.0/24\"]").unwrap();
    let by_root = read(&file).is_ok();
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(&file, mode(0o664)).unwrap();
    assert!(read(&file).is_err());
    fs::set_permissions(&file, mode(0o644)).unwrap();
    assert_eq!(read(&file).is_ok(), by_root);
    fs::set_permissions(folder.path(), mode(0o777)).unwrap();
    assert!(read(&file).is_err(), "others can put another in its place");
    fs::set_permissions(folder.path(), mode(0o755)).unwrap();
    std::os::unix::fs::symlink(&file, folder.path().join("link")).unwrap();
    assert!(read(&folder.path().join("link")).is_err());
    assert!(read(folder.path()).is_err(), "a folder");
}

/// What the host's clock shows.
const NOW: u64 = 1_800_000_000_000_000;

fn gates(generation: u64, port: u16, from: &str) -> Gates {
    Gates {
        generation,
        put_back: true,
        gates: vec![Gate {
            name: "ssh".to_owned(),
            ports: vec![Ports {
                protocol: Protocol::Tcp,
                first: port,
                last: port,
            }],
            from: vec![from.parse().unwrap()],
            exceptions: Vec::new(),
            mode: Mode::Enforce,
        }],
    }
}

#[test]
fn a_gate_that_nobody_who_came_in_could_pass_is_refused() {
    let free = Guard::default();
    let kept = Guard::parse("never = [\"198.51.100.0/24\"]").unwrap();
    let vouched = ["192.0.2.7".parse().unwrap()];
    let asked = |port, from, guard: &Guard, vouched: &[_]| {
        judge(
            &gates(1, port, from),
            &Gates::default(),
            guard,
            vouched,
            NOW,
        )
    };
    let why = asked(22, "203.0.113.0/24", &free, &vouched).unwrap_err();
    assert!(why.contains("lately (192.0.2.7)"), "{why}");
    assert!(asked(22, "192.0.2.0/24", &free, &vouched).is_ok());
    assert!(asked(22, "203.0.113.0/24", &kept, &vouched).is_ok());
    assert!(asked(22, "203.0.113.0/24", &free, &[]).is_ok());
    assert!(asked(80, "203.0.113.0/24", &free, &vouched).is_ok());
}

proptest! {
    /// Whatever is accepted lets somebody in who came in before, through all of its gates.
    #[test]
    fn somebody_who_came_in_passes_all_gates_that_are_accepted(
        shut in vec((any::<bool>(), vec(0..3_u8, 0..3), any::<bool>()), 0..4),
        came in vec(0..3_u8, 0..3),
    ) {
        let mut all = Gates { generation: 1, ..Gates::default() };
        for (enforce, from, web) in &shut {
            let mut gate = gates(1, if *web { 80 } else { 22 }, "192.0.2.0/24").gates.remove(0);
            gate.from = from.iter().map(|it| format!("192.0.{it}.0/24").parse().unwrap()).collect();
            gate.mode = if *enforce { Mode::Enforce } else { Mode::Watch };
            all.gates.push(gate);
        }
        let vouched: Vec<IpAddr> = came.iter().map(|it| IpAddr::from([192, 0, *it, 7])).collect();
        let asked = judge(&all, &Gates::default(), &Guard::default(), &vouched, NOW);
        let counts = || shut.iter().filter(|(enforce, _, web)| *enforce && !*web);
        let passes = |it: &u8| counts().all(|(_, from, _)| from.contains(it));
        let some_may = counts().all(|(_, from, _)| !from.is_empty());
        let expected = some_may && (came.is_empty() || came.iter().any(passes));
        prop_assert_eq!(asked.is_ok(), expected, "{:?}", asked);
    }
}

#[test]
fn gates_of_old_are_refused() {
    let guard = Guard::default();
    let confirmed = gates(5, 22, "192.0.2.0/24");
    let asked = |gates: &Gates| judge(gates, &confirmed, &guard, &[], NOW);
    assert!(asked(&gates(4, 22, "192.0.2.0/24")).is_err());
    assert!(asked(&gates(5, 22, "0.0.0.0/0")).is_err());
    assert!(asked(&confirmed).is_ok());
    assert!(asked(&gates(6, 22, "0.0.0.0/0")).is_ok());
}

#[test]
fn gates_of_the_far_future_are_refused() {
    let guard = Guard::default();
    let asked = |generation, confirmed: &Gates| {
        let gates = gates(generation, 22, "192.0.2.0/24");
        judge(&gates, confirmed, &guard, &[], NOW)
    };
    let day = 24 * 3600 * 1_000_000;
    assert!(asked(NOW + day, &Gates::default()).is_ok());
    for generation in [NOW + day + 1, u64::MAX] {
        let why = asked(generation, &Gates::default()).unwrap_err();
        assert!(why.contains("clock"), "{why}");
    }
    let held = gates(NOW + 2 * day, 22, "192.0.2.0/24");
    assert!(asked(held.generation, &held).is_ok(), "they hold already");
}

#[test]
fn the_last_who_came_in_takes_the_place_of_whoever_ends_first() {
    let mut protected = Protected::new(Routes::open().unwrap());
    let address = |last: u32| IpAddr::from((0xc633_6400 + last).to_be_bytes());
    let mut vouch = |last, seconds: u64| {
        let until = Duration::from_secs(1000 + seconds);
        protected.vouch(address(last), until, Duration::from_secs(1000))
    };
    for last in 0..256 {
        assert_eq!(vouch(last, if last == 7 { 50 } else { 60 }), None);
    }
    assert_eq!(vouch(9, 70), None, "it is there already");
    assert_eq!(vouch(300, 60), Some(address(7)));
    let now = Duration::from_secs(1000);
    assert!(protected.veto(&address(7).into(), now).is_none());
    assert!(protected.veto(&address(300).into(), now).is_some());
}

#[test]
fn who_is_vouched_for_vouches_for_none_of_their_neighbours() {
    let mut protected = Protected::new(Routes::open().unwrap());
    let [now, until] = [1000, 1060].map(Duration::from_secs);
    for one in ["2001:db8::7", "192.0.2.7"] {
        protected.vouch(one.parse().unwrap(), until, now);
    }
    for (whom, why) in [
        ("2001:db8::7/128", Some(Veto::Vouched)),
        ("192.0.2.7/32", Some(Veto::Vouched)),
        ("2001:db8::/64", None),
        ("2001:db8::/56", None),
        ("2001:db8::8/128", None),
        ("192.0.2.0/24", None),
    ] {
        assert_eq!(protected.veto(&whom.parse().unwrap(), now), why, "{whom}");
    }
}

#[test]
fn a_budget_fills_again_with_time_and_never_beyond_a_minute() {
    let mut budget = Budget::new();
    let mut taken = |count: usize, seconds: u64| {
        let now = Duration::from_secs(seconds);
        (0..count).filter(|_| budget.take(60, now)).count()
    };
    assert_eq!(taken(100, 1000), 60);
    assert_eq!(taken(100, 1010), 10);
    assert_eq!(taken(100, 9000), 60);
}
