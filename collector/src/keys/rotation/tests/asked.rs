//! What a client that is asked makes of it, and when it is asked again.

use watchward_protocol::elsewhere::Answer as Seen;
use watchward_protocol::question::{Answer as Answered, Question};

use super::super::ask::attempt;
use super::super::turn::Try;
use super::stage::sites;
use super::*;

fn new_key_opens() -> Try {
    Try {
        name: "backup".into(),
        client: "web-1".into(),
        at: At {
            host: "web-2".into(),
            account: "backup".into(),
        },
        refusal: false,
        old: None,
        new: (1, wire(1)),
        from: Vec::new(),
        known: rows::Known::default(),
    }
}

/// How often it counts as tried, and why it is not shown, where the client answers so.
async fn tried(
    store: &Fresh,
    client: impl Fn(&Question) -> Option<Answered>,
) -> (bool, i64, Option<String>) {
    let (questions, sites) = (Questions::default(), sites(store).await.unwrap());
    let expects = |question: &Question| match question {
        Question::Expect(_) => Some(Answered::Expecting),
        Question::Reach(_) | Question::Proof(_) | Question::Elsewhere(_) | Question::Left(_) => {
            None
        }
    };
    let one = new_key_opens();
    let asking = attempt(store, (&questions, &sites), vec![wire(9)], &one, clock::now);
    let asked = tokio::select! {
        biased;
        () = questions.answered_by("web-1", client) => panic!("it has gone"),
        () = questions.answered_by("web-2", expects) => panic!("it has gone"),
        asked = asking => asked.unwrap(),
    };
    let places = rows::places(store).await.unwrap();
    let place = places.values().next().unwrap().clone();
    (asked, place.tries, place.trouble)
}

#[tokio::test]
async fn a_client_that_answers_something_else_is_asked_more_and_more_seldom() {
    for store in stores().await {
        let (asked, tries, trouble) = tried(&store, |_| Some(Answered::Expecting)).await;
        assert_eq!((asked, tries), (false, 1));
        assert!(trouble.unwrap().contains("older version"));
        let shown = |_: &Question| {
            Some(Answered::Elsewhere(Seen {
                opened: Some(Ok(())),
                ..Seen::default()
            }))
        };
        assert_eq!(tried(&store, shown).await, (true, 0, None));
    }
}

#[tokio::test]
async fn where_nobody_could_be_asked_nothing_was_tried() {
    for store in stores().await {
        let (questions, sites) = (Questions::default(), sites(&store).await.unwrap());
        let one = new_key_opens();
        let with = (&questions, &sites[..]);
        let asked = attempt(&store, with, vec![wire(9)], &one, clock::now).await;
        assert!(!asked.unwrap());
        let places = rows::places(&store).await.unwrap();
        assert_eq!(places.values().next().unwrap().tries, 0);
    }
}
