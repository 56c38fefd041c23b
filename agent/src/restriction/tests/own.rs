//! Bans of this host's own: asked for, narrowed, and known after a restart.

use super::*;

#[tokio::test]
async fn who_fails_too_often_is_shut_out_and_told_of_until_somebody_lifts_that() {
    let mut bench = Bench::start(Some(|_| {}));
    bench.witness.see(&failures());
    assert_eq!(bench.asked(bans).await, nets(&[ATTACKER]));
    let banned = bench.banned().await;
    assert_eq!((banned.tries, banned.times), (5, 1));
    bench.order(ATTACKER, false, None);
    bench.order("192.0.2.8/32", true, None);
    let other = nets(&["192.0.2.8/32"]);
    assert_eq!(bench.asked(bans).await, other, "its own ban stands");
    bench.order(ATTACKER, false, Some(clock::now()));
    assert_eq!(bench.asked(unbans).await, nets(&[ATTACKER]));
    bench.stop().await;
}

#[tokio::test]
async fn whom_the_host_never_shuts_out_is_told_as_a_veto_and_not_as_shut_out() {
    let never = |enforcer: &mut StandIn| enforcer.never = nets(&[ATTACKER]);
    let mut bench = Bench::start(Some(never));
    bench.witness.see(&failures());
    let held = bench.holding(|held| !held.vetoed.is_empty()).await;
    assert_eq!((held.vetoed[0].why, held.bans), (Veto::Guard, 0));
    bench.stop().await;
}

#[tokio::test]
async fn a_neighbour_of_an_address_that_must_not_be_shut_out_is_shut_out_alone() {
    let never = |enforcer: &mut StandIn| enforcer.never = nets(&["2001:db8::1/128"]);
    let mut bench = Bench::start(Some(never));
    let neighbour = "2001:db8::66".parse().unwrap();
    let failures = vec![event_of(neighbour, Outcome::Failure, "password"); 5];
    bench.witness.see(&failures);
    let whole = nets(&["2001:db8::/64"]);
    assert_eq!(bench.asked(bans).await, whole);
    let other = |request| bans(request).filter(|nets| *nets != whole);
    assert_eq!(bench.asked(other).await, [IpNet::from(neighbour)]);
    assert_eq!(bench.banned().await.net, IpNet::from(neighbour));
    bench.stop().await;
}

#[tokio::test]
async fn whom_this_host_shut_out_before_a_restart_is_shut_out_for_longer() {
    let mut bench = Bench::start(Some(|_| {}));
    bench.witness.see(&failures());
    bench.banned().await;
    bench.order("192.0.2.8/32", true, None);
    bench.asked(bans).await;
    let folder = bench.stop().await;
    let file = folder.path().join("bans");
    let known = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains(ATTACKER));
    let kept = async {
        while !known() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(EVER, kept).await.unwrap();
    // As if its time had come.
    let text = std::fs::read_to_string(&file).unwrap();
    let fields: Vec<_> = text.lines().last().unwrap().split(' ').collect();
    let over = format!("{} {} {} {}\n", fields[0], fields[1], fields[2], fields[2]);
    std::fs::write(&file, over).unwrap();
    let mut bench = Bench::start_in(folder, Some(|_| {}));
    bench.witness.see(&failures());
    assert_eq!(bench.banned().await.times, 2);
    bench.stop().await;
}

#[tokio::test]
async fn a_ban_of_before_a_restart_that_the_kernel_lost_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let (since, until) = (clock::now(), clock::now() + Duration::from_secs(600));
    let line = format!("{ATTACKER} 1 {} {}\n", since.as_micros(), until.as_micros());
    std::fs::write(folder.path().join("bans"), line).unwrap();
    let mut bench = Bench::start_in(folder, Some(|_| {}));
    assert_eq!(bench.asked(bans).await, nets(&[ATTACKER]));
    bench.stop().await;
}
