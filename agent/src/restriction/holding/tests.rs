//! What is asked of the enforcer, so that a bucket is as it was ordered.

use watchward_enforcer::Veto as Said;
use watchward_protocol::restriction::Ban as Ordered;

use super::*;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn later(minutes: u64) -> Timestamp {
    NOON + Duration::from_secs(60 * minutes)
}

/// An order of the bucket of this network: it, for so many minutes, or nothing.
fn order(of: IpNet, minutes: Option<u64>) -> Arc<Bans> {
    let bans = minutes.map(|minutes| Ordered {
        net: of,
        until: later(minutes),
    });
    Arc::new(Bans {
        bucket: bucket(&of),
        bans: bans.into_iter().collect(),
        lifted: Vec::new(),
    })
}

/// As it is asked for where only others decided it.
fn ordered(net: IpNet, until: Timestamp) -> Ban {
    Ban {
        own: false,
        ..ban(net, until, NOON)
    }
}

fn nobody(_: &IpNet) -> Option<Timestamp> {
    None
}

#[test]
fn what_was_ordered_is_asked_for_once_and_let_in_when_it_is_ordered_no_more() {
    let (mut holding, one) = (Holding::new(), net("192.0.2.1/32"));
    let number = bucket(&one);
    let first = order(one, Some(10));
    assert!(holding.order(&first));
    assert!(!holding.order(&first), "the same again is no news");
    let asked = holding.reconcile(number, &nobody, NOON);
    assert_eq!(asked.bans, [ordered(one, later(10))]);
    holding.judged(&asked.bans[0], Verdict::Done, NOON);
    assert_eq!(holding.reconcile(number, &nobody, NOON), Asked::default());
    holding.order(&order(one, Some(40)));
    let asked = holding.reconcile(number, &nobody, NOON);
    assert_eq!(asked.bans, [ordered(one, later(40))], "for longer");
    holding.order(&order(one, None));
    let asked = holding.reconcile(number, &nobody, NOON);
    assert_eq!((asked.bans, asked.unbans), (vec![], vec![one]));
    assert_eq!(holding.bans(), 0);
}

#[test]
fn of_a_bucket_that_nobody_spoke_of_nothing_is_let_in() {
    let (mut holding, one) = (Holding::new(), net("192.0.2.1/32"));
    holding.found(&ban(one, later(10), NOON), NOON);
    let asked = holding.reconcile(bucket(&one), &nobody, NOON);
    assert_eq!(asked, Asked::default());
    assert_eq!(holding.bans(), 1);
}

#[test]
fn a_ban_of_the_hosts_own_stays_whatever_is_ordered_and_is_asked_for_again() {
    let (mut holding, one) = (Holding::new(), net("192.0.2.1/32"));
    let own = |asked: &IpNet| (*asked == one).then_some(later(10));
    holding.found(&ban(one, later(10), NOON), NOON);
    holding.order(&order(one, None));
    let asked = holding.reconcile(bucket(&one), &own, NOON);
    assert_eq!(asked, Asked::default());
    let standing = || [(one, later(10))].into_iter();
    assert_eq!(holding.own(standing(), NOON), []);
    holding.forget(Duration::MAX);
    let again = holding.own(standing(), NOON);
    assert_eq!(again, [ban(one, later(10), NOON)]);
}

#[test]
fn a_veto_is_told_and_asked_about_again_after_a_while() {
    let (mut holding, one) = (Holding::new(), net("192.0.2.1/32"));
    let number = bucket(&one);
    holding.order(&order(one, Some(10)));
    let asked = holding.reconcile(number, &nobody, NOON);
    let vetoed = Verdict::Vetoed(Said::Guard);
    assert!(holding.judged(&asked.bans[0], vetoed, NOON));
    assert_eq!(holding.vetoed()[0].why, Veto::Guard);
    assert_eq!(holding.reconcile(number, &nobody, NOON), Asked::default());
    assert_eq!(holding.reconcile(number, &nobody, later(1)).bans.len(), 1);
    holding.order(&order(one, None));
    holding.reconcile(number, &nobody, NOON);
    assert_eq!(holding.vetoed(), [], "it is ordered no more");
}

#[test]
fn what_the_enforcer_makes_shorter_is_not_asked_for_all_the_time() {
    let (mut holding, one) = (Holding::new(), net("192.0.2.1/32"));
    holding.forget(Duration::from_secs(3600));
    let number = bucket(&one);
    holding.order(&order(one, Some(6 * 60)));
    let asked = holding.reconcile(number, &nobody, NOON);
    holding.judged(&asked.bans[0], Verdict::Done, NOON);
    assert_eq!(holding.reconcile(number, &nobody, later(29)).bans, []);
    assert_eq!(holding.reconcile(number, &nobody, later(31)).bans.len(), 1);
}
