//! Lines in, bans out: whom, when, for how long, and in how much memory.

use proptest::prelude::*;
use proptest::sample::Index;
use watchward_protocol::access::{Peer, Service, Tunnel, User};

use super::*;

mod flood;
mod wide;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn failed(address: impl Into<IpAddr>, at: Timestamp) -> AccessEvent {
    let address = address.into();
    AccessEvent {
        at,
        service: Service::Sshd,
        action: Action::Authentication,
        outcome: Outcome::Failure,
        attempt: true,
        form: "failed".to_owned(),
        user: Some(User {
            name: "root".into(),
            known: true,
        }),
        target: None,
        peer: Some(Peer {
            address,
            port: Some(22),
        }),
        tunnel: Tunnel::default(),
        method: Some("password".to_owned()),
        key: None,
        certificate: None,
        command: None,
        pid: Some(7),
        trust: Trust::Server,
        line: Foreign::from(format!("Failed password for root from {address}").as_str()),
    }
}

fn with(change: impl Fn(&mut AccessEvent)) -> AccessEvent {
    let mut event = failed([192, 0, 2, 7], NOON);
    change(&mut event);
    event
}

/// The judge after so many of the same line, and what it said last.
fn after(event: &AccessEvent, times: usize, config: &Config) -> Option<Verdict> {
    let mut judge = Judge::new(HashMap::new());
    let mut said = (0..times).map(|_| judge.see(event, config, NOON));
    said.find_map(|verdict| verdict)
}

fn banned(verdict: Option<Verdict>) -> Banned {
    match verdict {
        Some(Verdict::Ban(banned, _)) => banned,
        other => panic!("{other:?}"),
    }
}

/// Fails so often that it is banned.
fn fails(judge: &mut Judge, address: &str, now: Timestamp) -> Banned {
    let event = failed(address.parse::<IpAddr>().unwrap(), now);
    let said = (0..5).find_map(|_| judge.see(&event, &Config::default(), now));
    banned(said)
}

#[test]
fn the_fifth_try_is_one_too_many_and_the_evidence_says_so() {
    let (mut judge, config) = (Judge::new(HashMap::new()), Config::default());
    let mut said = Vec::new();
    for count in 0..7 {
        let mut event = failed([192, 0, 2, 7], NOON + seconds(count * 10));
        event.user.as_mut().unwrap().name = format!("user{}", count % 3).as_str().into();
        said.extend(judge.see(&event, &config, event.at));
    }
    let [Verdict::Ban(banned, _)] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(banned.net, "192.0.2.7/32".parse().unwrap());
    assert_eq!(banned.until, NOON + seconds(40 + 600));
    let counts = (banned.tries, banned.accounts, banned.times);
    assert_eq!((counts, banned.within), ((5, 3, 1), seconds(40)));
    assert_eq!(banned.lines.len(), 5);
}

#[test]
fn only_tries_that_the_server_tells_of_an_address_count() {
    let config = Config::default();
    assert!(after(&with(|_| {}), 9, &config).is_some());
    let nothing: [fn(&mut AccessEvent); 8] = [
        |event| event.trust = Trust::Text,
        |event| event.trust = Trust::Session,
        |event| event.attempt = false,
        |event| event.outcome = Outcome::Unknown,
        |event| event.peer = None,
        |event| event.pid = None,
        |event| event.line = "message repeated 9 times: [ Failed ...]".into(),
        |event| event.peer.as_mut().unwrap().address = [127, 0, 0, 1].into(),
    ];
    for (number, change) in nothing.into_iter().enumerate() {
        assert_eq!(after(&with(change), 99, &config), None, "change {number}");
    }
    let trusting = Config {
        trust_text: true,
        ..Config::default()
    };
    let text = with(|event| event.trust = Trust::Text);
    assert!(after(&text, 5, &trusting).is_some());
    let off = Config {
        bans: false,
        ..Config::default()
    };
    assert_eq!(after(&with(|_| {}), 99, &off), None);
}

#[test]
fn all_keys_that_a_client_offers_in_one_connection_are_one_try() {
    let config = Config::default();
    let offered = with(|event| event.method = Some("publickey".to_owned()));
    assert_eq!(after(&offered, 99, &config), None);
    let mut judge = Judge::new(HashMap::new());
    let said = (0..5).find_map(|pid| {
        let mut event = offered.clone();
        event.pid = Some(pid);
        judge.see(&event, &config, NOON)
    });
    assert!(said.is_some());
}

#[test]
fn what_is_long_ago_counts_no_more_and_old_lines_are_no_news() {
    let (mut judge, config) = (Judge::new(HashMap::new()), Config::default());
    for count in 0..20 {
        let at = NOON + seconds(count * 151);
        assert_eq!(judge.see(&failed([192, 0, 2, 7], at), &config, at), None);
    }
    let later = NOON + seconds(3600);
    let said = (0..9).find_map(|_| judge.see(&with(|_| {}), &config, later));
    assert_eq!(said, None);
}

#[test]
fn each_further_ban_lasts_longer_until_the_longest() {
    let mut judge = Judge::new(HashMap::new());
    let (mut now, mut spans) = (NOON, Vec::new());
    for _ in 0..8 {
        let banned = fails(&mut judge, "192.0.2.7", now);
        spans.push(banned.until.since(now).as_secs() / 60);
        now = banned.until;
    }
    assert_eq!(spans, [10, 40, 160, 640, 2560, 10_080, 10_080, 10_080]);
}

#[test]
fn a_login_by_key_ends_a_ban_and_is_no_pass_for_guessing() {
    let (mut judge, config) = (Judge::new(HashMap::new()), Config::default());
    let mut login = failed([192, 0, 2, 7], NOON);
    login.outcome = Outcome::Success;
    login.method = Some("publickey".to_owned());
    let vouched = Some(Verdict::Vouch([192, 0, 2, 7].into()));
    for _ in 0..4 {
        assert_eq!(judge.see(&with(|_| {}), &config, NOON), None);
    }
    assert_eq!(judge.see(&login, &config, NOON), vouched);
    let first = banned(judge.see(&with(|_| {}), &config, NOON));
    assert_eq!(judge.see(&login, &config, NOON), vouched);
    assert_eq!(judge.stands(&first.net, NOON), None);
    assert_eq!(fails(&mut judge, "192.0.2.7", NOON).times, 2);
    login.trust = Trust::Text;
    assert_eq!(judge.see(&login, &config, NOON), None);
}

#[test]
fn a_ban_is_forgotten_when_the_longest_has_passed_and_when_it_is_lifted() {
    let mut judge = Judge::new(HashMap::new());
    let first = fails(&mut judge, "192.0.2.7", NOON);
    let lift = |at| Lift { net: first.net, at };
    judge.lift(&lift(NOON - seconds(1)));
    assert_eq!(judge.stands(&first.net, NOON), Some(first.until));
    judge.lift(&lift(NOON + seconds(1)));
    assert_eq!(judge.stands(&first.net, NOON), None);
    let second = fails(&mut judge, "192.0.2.7", NOON + seconds(2));
    assert_eq!(second.times, 1);
    let later = second.until + seconds(7 * 86_400 + 1);
    assert_eq!(fails(&mut judge, "192.0.2.7", later).times, 1);
}

/// Who failed when, of a few.
fn tries() -> impl Strategy<Value = Vec<(u8, u64)>> {
    proptest::collection::vec((0_u8..6, 0_u64..600), 0..60)
}

fn nets_banned(tries: &[(u8, u64)], mapped: bool) -> std::collections::BTreeSet<IpNet> {
    let mut judge = Judge::new(HashMap::new());
    let now = NOON + seconds(600);
    let said = tries.iter().filter_map(|(who, at)| {
        let address = std::net::Ipv4Addr::new(192, 0, 2, *who);
        let address = match mapped {
            true => address.to_ipv6_mapped().into(),
            false => IpAddr::from(address),
        };
        judge.see(
            &failed(address, NOON + seconds(*at)),
            &Config::default(),
            now,
        )
    });
    said.map(|one| banned(Some(one)).net).collect()
}

proptest! {
    #[test]
    fn who_fails_five_times_is_shut_out_in_whatever_order_and_nobody_else(
        tries in tries(),
        swaps in proptest::collection::vec(any::<(Index, Index)>(), 0..60),
    ) {
        let mut counts = [0; 6];
        tries.iter().for_each(|(who, _)| counts[usize::from(*who)] += 1);
        let expected: std::collections::BTreeSet<IpNet> = (0..6_u8)
            .filter(|who| counts[usize::from(*who)] >= 5)
            .map(|who| IpNet::from(IpAddr::from([192, 0, 2, who])))
            .collect();
        prop_assert_eq!(&nets_banned(&tries, false), &expected);
        prop_assert_eq!(&nets_banned(&tries, true), &expected);
        let mut others = tries.clone();
        if !others.is_empty() {
            for (one, other) in swaps {
                let (one, other) = (one.index(others.len()), other.index(others.len()));
                others.swap(one, other);
            }
        }
        prop_assert_eq!(&nets_banned(&others, false), &expected);
    }

    #[test]
    fn no_address_is_shut_out_that_never_failed(
        failing in proptest::collection::vec(any::<[u8; 16]>(), 1..8),
        rounds in 1_usize..9,
        other: [u8; 16],
    ) {
        let mut judge = Judge::new(HashMap::new());
        for address in failing.iter().cycle().take(failing.len() * rounds) {
            let event = failed(IpAddr::from(*address), NOON);
            if let Some(Verdict::Ban(banned, _)) = judge.see(&event, &Config::default(), NOON) {
                let fails = |address: &[u8; 16]| {
                    banned.net.contains(&IpAddr::from(*address).to_canonical())
                };
                prop_assert!(failing.iter().any(fails));
                prop_assert!(banned.net.prefix_len() >= 32);
                let bystander = IpAddr::from(other).to_canonical();
                let same = |address: &[u8; 16]| {
                    let address = IpAddr::from(*address).to_canonical();
                    let wide = |address: IpAddr| around(&address.into()).next();
                    wide(address).is_some_and(|of| wide(bystander) == Some(of))
                        || address == bystander
                };
                prop_assert!(!banned.net.contains(&bystander) || failing.iter().any(same));
            }
        }
    }
}
