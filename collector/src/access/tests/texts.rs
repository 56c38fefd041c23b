//! What people read of who tries to get in, and who did.

use super::judged::sudo;
use super::*;
use crate::alerting::testing::{raised, sms, told};

#[tokio::test]
async fn guessing_and_a_login_after_it_say_from_where_since_when_and_what_to_do() {
    let store = stores().await.remove(0);
    for (address, source) in [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:aaaa:bbbb::7", "2001:db8:aaaa:bbbb::/64"),
    ] {
        let store = store.reopen().await;
        let seq = if source.contains(':') { 1000 } else { 0 };
        hear(&store, &failures(1, seq, 40, address), at(seq + 41)).await;
        let in_the_end = login(1, seq.cast_unsigned() + 500, seq + 50, address);
        hear(&store, &[in_the_end], at(seq + 51)).await;
        let said = sms(&store).await;
        let of_source: Vec<_> = said.iter().filter(|one| one.contains(source)).collect();
        let since = if seq == 0 { "08:00" } else { "08:16" };
        assert_eq!(
            of_source,
            [
                &format!(
                    "CRITICAL SSH brute force from {source}: 40 failures on web-1 since {since} \
                     UTC. If it is not yours: watchward ban add. W-7K3F"
                ),
                &format!(
                    "CRITICAL SSH login after brute force from {source} on web-1 since {since} \
                     UTC. Ask the owner; if it was not them, end the session. W-7K3F"
                ),
            ]
        );
    }
}

#[tokio::test]
async fn who_is_shut_out_already_is_said_to_be() {
    let store = stores().await.remove(0);
    let mut tx = store.begin().await.unwrap();
    let shut_out: IsShutOut = |_, whom, _| {
        let v6 = whom.to_string() == "2001:db8:aaaa:bbbb::/64";
        let out = ShutOut {
            since: at(60),
            hosts: 1200,
        };
        Box::pin(async move { Ok(v6.then_some(out)) })
    };
    let events = failures(1, 0, 40, "2001:db8:aaaa:bbbb::7");
    let by = (&Config::default(), shut_out);
    absorb(&mut tx, &events, by, at(61)).await.unwrap();
    tx.commit().await.unwrap();
    let said = "CRITICAL SSH brute force from 2001:db8:aaaa:bbbb::/64: 40 failures on web-1 since \
        08:00 UTC. Shut out since 08:01 UTC, on 1200 hosts. W-7K3F";
    assert_eq!(sms(&store).await, [said]);
    let detail = &raised(&store).await[0].detail;
    assert!(
        detail.contains("1200 hosts. If it is yours: `watchward ban lift 2001:db8:aaaa:bbbb::/64 "),
        "{detail}"
    );
    assert!(!detail.contains("ban add"), "{detail}");
}

#[tokio::test]
async fn misuse_of_sudo_says_whose_and_what_to_do() {
    let store = stores().await.remove(0);
    let tries: Vec<_> = (1..=5)
        .map(|n| sudo(1, n, n.cast_signed(), "sudo-not-in-sudoers"))
        .collect();
    hear(&store, &tries, at(10)).await;
    let [alert] = &raised(&store).await[..] else {
        panic!("one alert");
    };
    let subject = "[WARNING] web-1: alice failed 5 times to become root (sudo) (W-7K3F)";
    let text = "WARNING web-1: alice failed 5 times to become root (sudo) since 08:00 UTC. \
        Ask them; if it was somebody else, lock the account. W-7K3F";
    assert_eq!(told(alert), [text, subject]);
    let where_from = "`watchward access --host web-1 --user alice` shows where";
    assert!(alert.detail.contains(where_from), "{}", alert.detail);
}

#[tokio::test]
async fn what_cannot_be_known_any_more_is_said_with_what_to_do() {
    let store = stores().await.remove(0);
    let mut tx = store.begin().await.unwrap();
    let gaps = [gap(1, 1, "journal")];
    absorb_gaps(&mut tx, &gaps, &Config::default(), at(60))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        sms(&store).await,
        ["WARNING web-1: access log has a gap since 08:00 UTC. \
          See that the log is kept until the agent has read it. W-7K3F"]
    );
}
