//! How soon somebody may try again, by address, by name and by account.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn from(address: &str, name: &str) -> Asking {
    Asking::new(name, Some(address.parse().unwrap()), false)
}

#[test]
fn the_delay_grows_and_has_an_end() {
    let seconds: Vec<_> = [1, 4, 5, 6, 7, 10, 60]
        .map(|tries| delay(tries, LONGEST.0).as_secs())
        .into();
    assert_eq!(seconds, [0, 0, 1, 2, 4, 32, 900]);
}

#[test]
fn an_address_is_held_up_whatever_name_it_tries() {
    let mut limits = Limits::default();
    for n in 0..5 {
        assert!(
            limits
                .ask(&from("192.0.2.1", &format!("name {n}")), at(0))
                .is_ok()
        );
    }
    assert!(limits.ask(&from("192.0.2.1", "another"), at(0)).is_err());
    assert!(limits.ask(&from("192.0.2.2", "another"), at(0)).is_ok());
    assert!(limits.ask(&from("192.0.2.1", "another"), at(1)).is_ok());
}

#[test]
fn an_ipv6_customer_is_one_address() {
    let mut limits = Limits::default();
    for n in 0..5 {
        let asking = from(&format!("2001:db8::{n}"), &format!("name {n}"));
        assert!(limits.ask(&asking, at(0)).is_ok());
    }
    assert!(limits.ask(&from("2001:db8::ffff", "x"), at(0)).is_err());
    assert!(limits.ask(&from("2001:db8:0:1::", "x"), at(0)).is_ok());
}

#[test]
fn a_name_is_held_up_from_everywhere_but_where_it_is_known() {
    let mut limits = Limits::default();
    for n in 0..5 {
        assert!(
            limits
                .ask(&from(&format!("192.0.2.{n}"), "ada"), at(0))
                .is_ok()
        );
    }
    assert!(limits.ask(&from("198.51.100.1", "ada"), at(0)).is_err());
    let known = Asking::new("ada", "198.51.100.1".parse().ok(), true);
    assert!(limits.ask(&known, at(0)).is_ok());
}

#[test]
fn success_costs_nothing_and_forgives_nothing() {
    let mut limits = Limits::default();
    let (own, guess) = (from("192.0.2.1", "mallory"), from("192.0.2.1", "ada"));
    for _ in 0..20 {
        assert!(limits.ask(&own, at(0)).is_ok());
        limits.succeed(&own, at(0));
    }
    let (mut taken, mut second) = (0, 0);
    while second < 60 {
        if limits.ask(&own, at(second)).is_ok() {
            limits.succeed(&own, at(second));
        }
        taken += usize::from(limits.ask(&guess, at(second)).is_ok());
        second += 1;
    }
    assert!(taken <= 11, "{taken} guesses in a minute");
}

#[test]
fn time_forgets_one_after_another_and_at_last_all() {
    let mut limits = Limits::default();
    let asking = from("192.0.2.1", "ada");
    let mut taken = |second| {
        let asked = (0..20).map(|_| limits.ask(&asking, at(second)));
        asked.filter(Result::is_ok).count()
    };
    assert_eq!(taken(0), 5);
    assert_eq!(taken(1), 1);
    assert_eq!(taken(2 * 300), 1, "4 count still, so this is the fifth");
    assert_eq!(taken(5000), 5);
}

#[test]
fn behind_a_proxy_nobody_shuts_out_who_has_a_link_or_a_password() {
    let mut limits = Limits::default();
    for n in 0..200 {
        let _ = limits.ask(&Asking::new(&n.to_string(), None, false), at(0));
        assert!(limits.ask(&Asking::link(None), at(0)).is_ok());
    }
    assert!(limits.ask(&Asking::new("ada", None, false), at(0)).is_err());
    assert!(limits.ask_code(1, at(0)).is_ok());
}

#[test]
fn behind_a_proxy_all_together_are_slowed_down() {
    let mut limits = Limits::default();
    let mut taken = |second| {
        let names = (0..100).map(|n| format!("{second} {n}"));
        let asked = names.map(|name| limits.ask(&Asking::new(&name, None, false), at(second)));
        asked.filter(Result::is_ok).count()
    };
    assert_eq!(taken(0), 60);
    assert_eq!(taken(5), 10);
    assert_eq!(taken(4000), 60);
}

#[test]
fn strangers_do_not_fill_the_memory() {
    let mut limits = Limits::default();
    for n in 0..u32::try_from(MOST).unwrap() + 50 {
        let address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let _ = limits.ask(&Asking::new(&n.to_string(), Some(address), false), at(0));
    }
    assert_eq!(limits.names.0.len(), MOST);
    assert_eq!(limits.sources.0.len(), MOST);
}
