//! An SMS is never sent twice where the gateway can be asked, and never lost where it cannot.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::outside::outside;
use super::{gateway, *};

#[tokio::test]
async fn an_sms_that_was_taken_without_a_word_is_not_sent_again() {
    for mood in [gateway::Mood::TakeInSilence, gateway::Mood::TakeAndFail] {
        for fresh in stores().await {
            let outside = outside();
            outside.sms.will([mood]);
            let life = Life::begin(&fresh, outside.config.clone()).await;
            life.raise(&brute_force(Severity::Critical)).await;
            life.deliver_all().await;
            assert_eq!(outside.sms.taken().len(), 1, "{mood:?}");
            life.resolve(&brute_force(Severity::Critical)).await;
            life.deliver_all().await;
            assert_eq!(outside.sms.taken().len(), 2, "its end was not told");
        }
    }
}

#[tokio::test]
async fn an_sms_that_was_lost_without_a_word_is_sent_again() {
    for fresh in stores().await {
        let outside = outside();
        let moods = [gateway::Mood::HangUp, gateway::Mood::Refuse(500, 20500)];
        outside.sms.will(moods);
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        assert_eq!((outside.sms.taken().len(), outside.sms.tries()), (1, 3));
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_asked_for_is_rather_sent_twice_than_never() {
    for fresh in stores().await {
        let outside = outside();
        outside.sms.will([gateway::Mood::HangUp]);
        outside.sms.cannot_list();
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        assert_eq!(outside.sms.taken().len(), 1);
    }
}

#[tokio::test]
async fn a_number_that_is_wrong_for_good_is_tried_once() {
    for fresh in stores().await {
        let outside = outside();
        outside.sms.will([gateway::Mood::Refuse(400, 21211)]);
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        life.resolve(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        assert_eq!(
            outside.sms.tries(),
            1,
            "nobody there: neither again nor of the end"
        );
        assert_eq!(outside.mail.taken().len(), 2);
    }
}

#[tokio::test]
async fn the_end_waits_until_it_is_known_whether_the_beginning_was_sent() {
    for fresh in stores().await {
        let outside = outside();
        outside.sms.will([gateway::Mood::TakeInSilence]);
        outside.sms.cannot_list();
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver(async {
            wait("no try", async || outside.sms.tries() == 1).await;
            life.resolve(&brute_force(Severity::Critical)).await;
            life.quiet().await;
        })
        .await;
        let log = outside.sms.log();
        let sent: Vec<_> = log.iter().filter(|what| *what != "CHECK").collect();
        assert_eq!(sent, ["POST", "GET", "GET", "GET", "POST"]);
        assert!(outside.sms.taken()[1].starts_with("OVER "));
    }
}

#[tokio::test]
async fn an_api_key_signs_for_the_account() {
    let fresh = stores().await.remove(0);
    for (key, user) in [(None, "AC1"), (Some("SK1"), "SK1")] {
        let mut outside = outside();
        let sms = outside.config.sms.as_mut().unwrap();
        sms.key = key.map(|key| key.to_owned().try_into().unwrap());
        let life = Life::begin(&fresh, outside.config.clone()).await;
        let mut alert = brute_force(Severity::Critical);
        alert.key.push_str(user);
        life.raise(&alert).await;
        life.deliver_all().await;
        let signed = BASE64_STANDARD.encode(format!("{user}:a secret"));
        assert_eq!(outside.sms.signed()[0], format!("Basic {signed}"));
    }
}

async fn checks(life: &Life) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM alerting_message WHERE check_at IS NOT NULL")
        .fetch_one(life.store.read())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_sms_that_is_taken_and_never_arrives_is_told_by_email() {
    for fresh in stores().await {
        let mut outside = outside();
        outside.config.contacts[0].by_email = Threshold::Critical;
        outside.config.contacts[0].by_sms = Threshold::Info;
        outside.sms.says("undelivered", 30003);
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Warning)).await;
        life.deliver(wait("nobody is told by email", async || {
            outside.mail.taken().len() == 1
        }))
        .await;
        let said: Vec<(String, String)> = sqlx::query_as(
            "SELECT event, note FROM alerting_history WHERE channel = 'sms' ORDER BY id",
        )
        .fetch_all(life.store.read())
        .await
        .unwrap();
        assert_eq!((said[0].0.as_str(), said[1].0.as_str()), ("told", "failed"));
        assert!(said[1].1.contains("undelivered, 30003"), "{said:?}");
        life.resolve(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        let told = (outside.sms.taken().len(), outside.mail.taken().len());
        assert_eq!(told, (1, 2), "the end goes where the beginning arrived");
    }
}

#[tokio::test]
async fn an_sms_is_asked_for_until_it_has_arrived_or_long_enough() {
    for fresh in stores().await {
        let mut outside = outside();
        outside.config.pace.receipt = Span::milliseconds(100);
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver(async {
            wait("it is not asked for", async || checks(&life).await > 0).await;
            wait("it is asked for for ever", async || {
                checks(&life).await == 0
            })
            .await;
        })
        .await;
        outside.sms.says("delivered", 0);
        let mut alert = brute_force(Severity::Critical);
        alert.key.push('8');
        life.raise(&alert).await;
        life.deliver(wait("it did not arrive", async || {
            let arrived: Option<i64> =
                sqlx::query_scalar("SELECT id FROM alerting_history WHERE event = 'arrived'")
                    .fetch_optional(life.store.read())
                    .await
                    .unwrap();
            arrived.is_some()
        }))
        .await;
        assert_eq!(
            (outside.sms.taken().len(), outside.mail.taken().len()),
            (2, 2)
        );
    }
}
