//! What happens to keys is seen by whoever watches.

use super::*;

#[tokio::test]
async fn who_watches_sees_what_appears_goes_and_is_weak_and_no_first_look() {
    for store in stores().await {
        begin(&store).await;
        assert_eq!(after(&store, 0, 100).await.unwrap(), []);
        let mut weak = key('w');
        weak.key.as_mut().unwrap().kind = "ssh-dss".into();
        weak.comment = "bad\u{1b}[31m".into();
        let from = last(&store).await.unwrap();
        hear(&store, &[root(3, 3600, &[weak])], at(3600)).await;
        let seen = after(&store, from, 100).await.unwrap();
        let mut words: Vec<_> = seen
            .iter()
            .map(|one| (one.what.as_str(), one.account.as_deref()))
            .collect();
        words.sort_unstable();
        let expected = ["appeared", "gone", "weak"].map(|word| (word, Some("root")));
        assert_eq!(words, expected);
        let appeared = seen.iter().find(|one| one.what == "appeared").unwrap();
        assert_eq!(appeared.host, "web-1");
        assert!(!appeared.comment.contains('\u{1b}'), "{appeared:?}");
        assert!(appeared.place.starts_with("/root/.ssh/authorized_keys:"));
        let end = last(&store).await.unwrap();
        assert_eq!(after(&store, end, 100).await.unwrap(), []);
    }
}
