//! What is shown of keys.

use super::*;

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    for store in stores().await {
        let many: Vec<_> = ('a'..='z').map(key).collect();
        let deploy = heard(2, 1, 0, Holder::Account("deploy".into()), &many);
        hear(&store, &[root(1, 0, &many), deploy], at(0)).await;
        let mut wanted = Wanted {
            limit: 7,
            now: at(1),
            ..Wanted::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = list(&store, &wanted).await.unwrap();
            let Some(last) = page.last() else { break };
            wanted.after = Some(last.id);
            seen.extend(page.into_iter().map(|one| (one.host, one.id)));
        }
        assert_eq!(seen.len(), 52);
        assert!(seen.is_sorted_by_key(|(host, _)| host.clone()));
        seen.dedup();
        assert_eq!(seen.len(), 52);
    }
}

#[tokio::test]
async fn what_is_asked_for_is_shown_and_counted() {
    for store in stores().await {
        begin(&store).await;
        let mut weak = key('w');
        weak.key.as_mut().unwrap().kind = "ssh-dss".into();
        hear(
            &store,
            &[root(3, 3600, &[key('a'), key('b'), weak])],
            at(3600),
        )
        .await;
        hear(&store, &[root(4, 3700, &[key('a'), key('b')])], at(3700)).await;
        log_in(&store, &[login(5, 350 * DAY, 'a')], at(350 * DAY)).await;
        let now = at(365 * DAY);
        pass(&store, now).await;
        let letters = |state, unused_since| {
            let wanted = Wanted {
                state,
                unused_since,
                limit: 100,
                now,
                ..Wanted::default()
            };
            let store = &store;
            async move {
                let found = list(store, &wanted).await.unwrap();
                let letter = |one: &Listed| one.opening.comment.to_string().remove(0);
                found.iter().map(letter).collect::<String>()
            }
        };
        assert_eq!(letters(None, None).await, "ab");
        assert_eq!(letters(Some(State::New), None).await, "b");
        assert_eq!(letters(Some(State::Overdue), None).await, "a");
        assert_eq!(letters(Some(State::Due), None).await, "b");
        assert_eq!(letters(Some(State::Gone), None).await, "w");
        assert_eq!(letters(Some(State::Weak), None).await, "");
        assert_eq!(letters(None, Some(at(300 * DAY))).await, "b");
        let counted = counts(&store, now).await.unwrap();
        let expected = Counts {
            all: 2,
            hosts: 1,
            keys: 2,
            new: 1,
            weak: 0,
            due: 1,
            overdue: 1,
        };
        assert_eq!(counted, expected);
    }
}

#[tokio::test]
async fn a_key_is_shown_everywhere_it_opens_something_with_what_happened() {
    for store in stores().await {
        begin(&store).await;
        let bob = heard(2, 1, 0, Holder::Account("bob".into()), &[key('a')]);
        hear(&store, &[bob], at(10)).await;
        let mut renamed = key('a');
        renamed.comment = Foreign::from("\u{1b}[2Jnew");
        hear(&store, &[root(3, 3600, &[renamed])], at(3600)).await;
        hear(&store, &[root(4, 3700, &[])], at(3700)).await;
        let found = places(&store, &fingerprint('a'), at(4000)).await.unwrap();
        let story = |place: usize| {
            let changes = found[place].1.iter();
            changes.map(|(_, what)| what.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(
            story(0),
            [
                "there at the first look",
                "comment changed from \"a@laptop\" to \"\\u{1b}[2Jnew\"",
                "gone"
            ]
        );
        assert_eq!(
            (found[1].0.host.as_str(), story(1)),
            ("web-2", vec!["there at the first look"])
        );
    }
}

#[tokio::test]
async fn what_has_been_gone_for_long_is_forgotten() {
    for store in stores().await {
        begin(&store).await;
        hear(&store, &[root(3, 3600, &[])], at(3600)).await;
        pass(&store, at(400 * DAY)).await;
        assert_eq!(all(&store, at(400 * DAY)).await.len(), 1);
        pass(&store, at(401 * DAY)).await;
        assert_eq!(all(&store, at(401 * DAY)).await, []);
    }
}
