//! An agent that starts while people are in.

use std::sync::{Arc, Mutex};

use super::*;
use crate::witness::{Sees, Witness};

#[derive(Default)]
struct Seen(Mutex<Vec<Report>>);

impl Sees for Seen {
    fn see(&self, report: &Report) {
        self.0.lock().unwrap().push(report.clone());
    }

    fn is_eager(&self) -> bool {
        false
    }

    fn believes_text(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn who_came_in_by_key_before_the_first_start_is_shown_and_not_kept() {
    let login = |number, sender: &str| {
        let line = entry(number, 1, sender).replace("Failed password", "Accepted publickey");
        line.replace(
            " ssh2",
            " ssh2: ED25519 SHA256:kNQNEbOeV5EOHqgTCcVTGFpYjwCm5hXpR2NGgR0Irvs",
        )
    };
    let lines = [login(1, SERVER), login(2, LOGGER)];
    let mut bench = Bench::new(None, &[("oldest", &lines)]);
    let (seen, journal) = (Arc::new(Seen::default()), bench.journal());
    let witness = Witness::new(seen.clone());
    let recalled = async {
        loop {
            let shown = seen.0.lock().unwrap().clone();
            if shown.len() >= 2 {
                return shown;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let shown = tokio::select! {
        never = journal.recall(&witness) => match never {},
        shown = timeout(EVER, recalled) => shown.unwrap(),
    };
    let trust = shown.iter().map(|report| {
        let Report::Access(event) = report else {
            panic!("{report:?}")
        };
        (event.method.clone(), event.trust)
    });
    let by_key = Some("publickey".to_owned());
    let expected = [(by_key.clone(), Trust::Server), (by_key, Trust::Text)];
    assert_eq!(trust.collect::<Vec<_>>(), expected);
    let calls = fs::read_to_string(bench.folder.path().join("calls")).unwrap();
    assert!(calls.contains("--since=@"), "{calls}");
    assert!(bench.entries.try_recv().is_err(), "it is old news");
}
