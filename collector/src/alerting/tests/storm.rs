//! Many alerts at once: few messages, exact counts, and every incident's history says how it was
//! told.

use super::outside::{Outside, outside};
use super::{gateway, *};
use crate::alerting::deliver::Servers;

/// How many alerts a storm has. What each of them costs must not grow with how many there are.
const STORM: i64 = 2_000;

/// Sends what is due as time passes, as the collector does, without waiting for it.
async fn pass(life: &Life, from: Timestamp, seconds: u64) {
    let mut outbox = life.outbox().await;
    let servers = Servers::open(&life.config.now());
    for second in (0..=seconds).step_by(5) {
        let now = from + Duration::from_secs(second);
        while outbox.prepare(now).await.unwrap() {}
        loop {
            let mut jobs = Vec::new();
            for channel in Channel::ALL {
                jobs.extend(outbox.take(channel, 8, now).await.unwrap());
            }
            if jobs.is_empty() {
                break;
            }
            for job in jobs {
                let outcome = servers.attempt(&job).await;
                outbox.record(&job, outcome, now).await.unwrap();
            }
        }
    }
}

async fn counted(life: &Life, what: &'static str) -> i64 {
    sqlx::query_scalar(what)
        .fetch_one(life.store.read())
        .await
        .unwrap()
}

fn stormy(outside: &Outside) -> Config {
    let mut config = outside.config.clone();
    config.budget = Budget::default();
    config.contacts = vec![contact("ann", Threshold::Info)];
    config
}

/// Kinds of what is critical.
const CRITICAL: [&str; 5] = [
    "access.brute-force",
    "access.login-after-brute-force",
    "restriction.outside",
    "keys.new",
    "hosts.silent",
];

#[tokio::test]
async fn five_critical_alerts_in_a_storm_are_told_at_once_and_the_rest_is_counted() {
    for fresh in stores().await {
        let outside = outside();
        let life = Life::begin(&fresh, stormy(&outside)).await;
        let now = clock::now();
        let mut tx = life.store.begin().await.unwrap();
        for number in 0..STORM {
            let mut alert = brute_force(Severity::Warning);
            if [50, 150, 250, 350, 450].contains(&number) {
                alert.severity = Severity::Critical;
                alert.key = format!(
                    "{} web-{number}",
                    CRITICAL[usize::try_from(number / 100).unwrap()]
                );
                alert.title = format!("login number {number}");
            } else {
                alert.key = format!("health.down web-{number}");
            }
            raise(&mut tx, &alert, now).await.unwrap();
        }
        tx.commit().await.unwrap();
        pass(&life, now, 15).await;
        let told = outside.sms.taken();
        for number in [50, 150, 250, 350, 450] {
            let words = format!("login number {number} ");
            let one = told
                .iter()
                .any(|text| text.contains(&words.trim_end().to_owned()));
            assert!(one, "{number} on {:?}: {told:#?}", fresh.kind());
        }
        pass(&life, now + Duration::from_secs(20), 570).await;
        let told = outside.sms.taken();
        assert!(told.len() <= 10, "{told:#?}");
        let summary: Vec<_> = told
            .iter()
            .filter(|text| text.starts_with("SUMMARY "))
            .collect();
        assert_eq!(summary.len(), 1, "{told:#?}");
        let alone = told.len() - 1;
        let words = format!(
            "SUMMARY WARNING {} more since ",
            STORM - i64::try_from(alone).unwrap()
        );
        assert!(summary[0].starts_with(&words), "{told:#?}");
        let untold = "SELECT COUNT(*) FROM alerting_incident i WHERE NOT EXISTS \
            (SELECT 1 FROM alerting_history h WHERE h.incident = i.id AND h.event = 'told' \
             AND h.channel = 'sms')";
        assert_eq!(counted(&life, untold).await, 0, "{:?}", fresh.kind());
        let mails = outside.mail.taken();
        assert!(mails.len() <= 30);
        let summary = mails
            .iter()
            .find(|mail| mail.contains("Subject: [SUMMARY]"));
        assert!(summary.is_some_and(|mail| mail.contains("services down")));
    }
}

#[tokio::test]
async fn the_ends_of_what_was_told_in_a_summary_come_in_a_summary() {
    for fresh in stores().await {
        let outside = outside();
        let life = Life::begin(&fresh, stormy(&outside)).await;
        let now = clock::now();
        let about = |number: i64| Alert {
            key: format!("health.down web-{number}"),
            ..brute_force(Severity::Warning)
        };
        let mut tx = life.store.begin().await.unwrap();
        for number in 0..50 {
            raise(&mut tx, &about(number), now).await.unwrap();
        }
        // Over before the summary is made: it says so, and that is all.
        resolve(&mut tx, &about(49).key, "up again", now)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        pass(&life, now, 60).await;
        let before = outside.sms.taken();
        let later = now + Duration::from_secs(700);
        let mut tx = life.store.begin().await.unwrap();
        for number in 0..50 {
            resolve(&mut tx, &about(number).key, "up again", later)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        pass(&life, later, 1_300).await;
        let told = outside.sms.taken();
        let after = &told[before.len()..];
        assert!(after.len() <= 6, "{after:#?}");
        let over: usize = after
            .iter()
            .map(|text| match text.strip_prefix("SUMMARY ") {
                Some(rest) => rest.split(' ').next().unwrap().parse().unwrap(),
                None => 1,
            })
            .sum();
        assert_eq!(over, 49, "{told:#?} on {:?}", fresh.kind());
        assert!(life.is_quiet().await);
    }
}

#[tokio::test]
async fn what_a_summary_tells_of_goes_another_way_when_it_does_not_arrive() {
    for fresh in stores().await {
        let outside = outside();
        let mut config = stormy(&outside);
        config.contacts[0].by_email = Threshold::Critical;
        let life = Life::begin(&fresh, config).await;
        outside
            .sms
            .is_always(Some(gateway::Mood::Refuse(400, 21211)));
        let now = clock::now();
        let mut tx = life.store.begin().await.unwrap();
        for number in 0..20 {
            let alert = Alert {
                key: format!("health.down web-{number}"),
                ..brute_force(Severity::Warning)
            };
            raise(&mut tx, &alert, now).await.unwrap();
        }
        tx.commit().await.unwrap();
        pass(&life, now, 120).await;
        assert_eq!(outside.sms.taken().len(), 0);
        let told = "SELECT COUNT(DISTINCT incident) FROM alerting_history \
            WHERE event = 'told' AND channel = 'email'";
        assert_eq!(counted(&life, told).await, 20, "{:?}", fresh.kind());
    }
}

/// Raises so many critical incidents of a kind, at once.
async fn raise_all(life: &Life, kind: &str, numbers: std::ops::Range<i64>, now: Timestamp) {
    let mut tx = life.store.begin().await.unwrap();
    for number in numbers {
        let alert = Alert {
            key: format!("{kind} web-{number}"),
            title: format!("web-{number}: {kind}"),
            host: None,
            ..brute_force(Severity::Critical)
        };
        raise(&mut tx, &alert, now).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_login_in_a_storm_is_told_at_once_and_the_next_ones_lead_the_summary() {
    for fresh in stores().await {
        let outside = outside();
        let mut config = stormy(&outside);
        config.contacts = vec![contact("ann", Threshold::Critical)];
        let life = Life::begin(&fresh, config).await;
        let now = clock::now();
        let login = "access.login-after-brute-force";
        raise_all(&life, "health.down", 0..15, now).await;
        raise_all(&life, "access.brute-force", 0..15, now).await;
        pass(&life, now, 10).await;
        raise_all(&life, login, 0..1, now + Duration::from_secs(10)).await;
        pass(&life, now + Duration::from_secs(10), 0).await;
        let told = outside.sms.taken();
        let of_login = told
            .last()
            .unwrap()
            .starts_with("CRITICAL web-0: access.login");
        assert!(of_login, "{told:#?} on {:?}", fresh.kind());

        raise_all(&life, "health.down", 20..33, now + Duration::from_secs(10)).await;
        raise_all(&life, login, 1..4, now + Duration::from_secs(11)).await;
        pass(&life, now + Duration::from_secs(15), 0).await;
        let waiting: Vec<String> = sqlx::query_scalar(
            "SELECT m.note FROM alerting_message m JOIN alerting_incident i ON i.id = m.incident \
             WHERE m.state = 'held' AND i.key LIKE 'access.login%' AND m.channel = 'sms'",
        )
        .fetch_all(life.store.read())
        .await
        .unwrap();
        let said = waiting
            .iter()
            .all(|note| note.contains(": it comes in a summary, by 2"));
        assert!(waiting.len() == 2 && said, "{waiting:?}");

        let before = outside.sms.taken().len();
        pass(&life, now + Duration::from_secs(20), 60).await;
        let told = outside.sms.taken();
        let [summary] = &told[before..] else {
            panic!("one summary within a minute: {told:#?}");
        };
        let kinds = ": 2 logins after brute force, 13 services down. Worst: web-3: access.login";
        assert!(
            summary.starts_with("SUMMARY CRITICAL 15 more since "),
            "{summary}"
        );
        assert!(summary.contains(kinds) && summary.len() <= 160, "{summary}");
    }
}
