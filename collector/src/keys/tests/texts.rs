//! What people read of keys.

use super::*;
use crate::alerting::testing::{raised, sms, told};

#[tokio::test]
async fn a_new_key_says_whom_it_opens_since_when_and_what_to_do() {
    let store = stores().await.remove(0);
    begin(&store).await;
    hear(&store, &[root(3, 3600, &[key('a'), key('b')])], at(3600)).await;
    let alert = raised(&store).await.remove(0);
    let text = "CRITICAL web-1: new key opens root since 09:00 UTC. \
        Ask who added it; if nobody did, take it out and see who got in. W-7K3F";
    let subject = "[CRITICAL] web-1: new key opens root (W-7K3F)";
    assert_eq!(told(&alert), [text, subject]);
}

#[tokio::test]
async fn every_trouble_of_a_key_says_what_to_do() {
    let one = |letter| Opening {
        file: "/etc/ssh/ssh_host_ed25519_key.pub".into(),
        ..means(Means::HostKey, key(letter))
    };
    let mut weak = key('w');
    let known = weak.key.as_mut().unwrap();
    (known.kind, known.bits) = ("ssh-rsa".into(), 1024);
    let mut free = key('f');
    let limited = Opening {
        options: "restrict".into(),
        ..free.clone()
    };
    free.options = Foreign::default();
    let store = stores().await.remove(0);
    let first = [key('a'), key('g'), limited];
    hear(&store, &[root(1, 0, &first)], at(0)).await;
    hear(&store, &[itself(2, 0, &["root"], &[one('h')])], at(1)).await;
    hear(
        &store,
        &[root(3, 3600, &[key('a'), free.clone()])],
        at(3600),
    )
    .await;
    hear(&store, &[itself(4, 3600, &["root"], &[one('i')])], at(3600)).await;
    let trust = means(Means::Authority, key('t'));
    hear(
        &store,
        &[root(5, 7200, &[key('a'), free, weak, trust])],
        at(7200),
    )
    .await;
    let mut said = sms(&store).await;
    said.sort();
    assert_eq!(
        said,
        [
            "CRITICAL web-1: new certificate authority opens root since 10:00 UTC. \
             Ask who added it: it lets in whoever it signs or names. W-7K3F",
            "CRITICAL web-1: new key opens root since 10:00 UTC. \
             Ask who added it; if nobody did, take it out and see who got in. W-7K3F",
            "INFO web-1: key of root is gone since 09:00 UTC. \
             See that nobody is locked out who should not be. W-7K3F",
            "WARNING web-1: its host key has changed since 09:00 UTC. \
             If nobody changed it: another host, or somebody in between. W-7K3F",
            "WARNING web-1: key of root is too weak since 10:00 UTC. \
             Replace it by an Ed25519 key. W-7K3F",
            "WARNING web-1: key of root may do more than before since 09:00 UTC. \
             Ask who took the limits away. W-7K3F",
        ]
    );
}

#[tokio::test]
async fn a_login_by_a_key_that_is_nowhere_listed_says_what_to_do() {
    let store = stores().await.remove(0);
    begin(&store).await;
    log_in(&store, &[login(3, 3600, 'x')], at(3600)).await;
    hear(&store, &[root(4, 3700, &[key('a')])], at(3700)).await;
    pass(&store, at(3800)).await;
    assert_eq!(
        sms(&store).await,
        [
            "CRITICAL web-1: root opened with a key that is nowhere listed since 09:00 UTC. \
          Ask the account's owner; if it was not them, end the session. W-7K3F"
        ]
    );
}

#[tokio::test]
async fn a_host_key_that_is_back_at_once_as_another_is_told_with_what_it_was() {
    for store in stores().await {
        let one = |letter| Opening {
            file: "/etc/ssh/ssh_host_ed25519_key.pub".into(),
            ..means(Means::HostKey, key(letter))
        };
        hear(&store, &[itself(1, 0, &[], &[one('h')])], at(0)).await;
        hear(&store, &[itself(2, 3600, &[], &[])], at(3600)).await;
        hear(&store, &[itself(3, 3660, &[], &[one('h')])], at(3660)).await;
        assert_eq!(open(&store).await, Vec::<String>::new(), "the same is back");
        hear(&store, &[itself(4, 7200, &[], &[])], at(7200)).await;
        hear(&store, &[itself(5, 7260, &[], &[one('i')])], at(7260)).await;
        let changed = "warning web-1: its host key has changed";
        assert_eq!(open(&store).await, [changed]);
        let alert = raised(&store).await.remove(0);
        let both = alert.detail.contains(&fingerprint('h'));
        assert!(both && alert.detail.contains(&fingerprint('i')));
    }
}
