//! When a report is due, who gets it, and that it says what it does not know.

use watchward_daemon::config::Live;
use watchward_protocol::report::verify;

use super::letter::send_due;
use super::*;
use crate::alerting;
use crate::store::testing::{self, Fresh};

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

async fn sources(store: &Fresh) -> Sources {
    let policy = Live::fixed(keys::Policy::default());
    let rooms = keys::Rooms {
        inventory: hosts::watched,
        sites: restriction::sites,
    };
    Sources {
        store: (**store).clone(),
        calendar: keys::Calendar::new(
            ((**store).clone(), policy),
            (rooms, keys::Rotations::new().0),
        ),
        desk: keys::Desk::of(store, hosts::watched, keys::Policy::default()).await,
    }
}

#[test]
fn a_week_ends_on_its_day_at_its_hour() {
    let config = Config::default();
    // 2027-01-15 08:00 is a Friday.
    let end = config.end(NOON);
    assert_eq!(end.to_string(), "2027-01-11T06:00:00Z");
    assert_eq!(config.end(end), end);
    assert_eq!(config.end(end + WEEK - Duration::from_secs(1)), end);
    let friday = Config {
        day: Weekday::Friday,
        hour: Hour(8),
        ..config
    };
    assert_eq!(friday.end(NOON), NOON);
}

#[tokio::test]
async fn each_who_gets_it_gets_it_once_a_week() {
    for store in testing::stores(crate::SCHEMAS).await {
        let (sources, folder) = (sources(&store).await, tempfile::tempdir().unwrap());
        let alerting = alerting::Config {
            folder: folder.path().to_owned(),
            ..alerting::Config::default()
        };
        let names = ["owner@example.org", "security@example.org"];
        let to = names.map(|it| Receiver::try_from(it.to_owned()).unwrap());
        let config = Config {
            to: to.to_vec(),
            ..Config::default()
        };
        let sent = || std::fs::read_dir(folder.path()).unwrap().count();
        let end = config.end(NOON);
        for (at, letters) in [
            (end, 2),
            (end + Duration::from_secs(3600), 2),
            (end + WEEK, 4),
        ] {
            send_due(&sources, (&config, &alerting), at).await.unwrap();
            assert_eq!(sent(), letters);
        }
        let nobody = Config::default();
        send_due(&sources, (&nobody, &alerting), end + 2 * WEEK)
            .await
            .unwrap();
        assert_eq!(sent(), 4);
        let file = folder
            .path()
            .join("000-report-2027-01-11-owner-example-org.eml");
        let text = std::fs::read_to_string(file).unwrap();
        for expected in [
            "To: owner@example.org",
            "0 watched, none silent",
            "0 revoked keys",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}

#[tokio::test]
async fn what_is_shown_can_be_verified() {
    for store in testing::stores(crate::SCHEMAS).await {
        let sources = sources(&store).await;
        let text = sources.signed(NOON).await.unwrap();
        let key = sources.desk.signer();
        let report = verify(text.as_bytes(), &key).unwrap();
        assert_eq!(report.signer, key.to_string());
        assert_eq!(report.to, NOON.into());
    }
}
