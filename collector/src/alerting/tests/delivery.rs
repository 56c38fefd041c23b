//! Whatever servers do, people are told once: by real conversations with a mail server and a
//! gateway that misbehave.

use super::outside::outside;
use super::{gateway, mailbox, *};
use crate::alerting::deliver::Servers;

#[tokio::test]
async fn an_incident_is_one_email_and_one_sms_and_so_is_its_end_in_the_same_thread() {
    for fresh in stores().await {
        let outside = outside();
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        life.resolve(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        let (mails, texts) = (outside.mail.taken(), outside.sms.taken());
        assert_eq!((mails.len(), texts.len()), (2, 2));
        assert!(texts[0].starts_with("CRITICAL db-3: ") && texts[1].starts_with("OVER db-3: "));
        let header = |mail: &str, name: &str| {
            let line = mail.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(": ").unwrap().1.to_owned()
        };
        let opening = header(&mails[0], "Message-ID");
        assert_eq!(header(&mails[1], "In-Reply-To"), opening);
        assert_ne!(header(&mails[1], "Message-ID"), opening);
        assert!(header(&mails[0], "Subject").starts_with("[CRITICAL] "));
        assert!(header(&mails[1], "Subject").starts_with("[OVER] "));
        for part in ["text/plain", "text/html", "Auto-Submitted: auto-generated"] {
            assert!(mails[0].contains(part), "no {part}");
        }
    }
}

#[tokio::test]
async fn servers_that_were_down_for_a_while_get_exactly_one_message_each() {
    for fresh in stores().await {
        let outside = outside();
        outside.mail.is_always(Some(mailbox::Mood::HangUp));
        outside.sms.is_always(Some(gateway::Mood::Refuse(503, 0)));
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver(async {
            wait("no retries", async || outside.sms.tries() >= 4).await;
            outside.mail.is_always(None);
            outside.sms.is_always(None);
            life.quiet().await;
        })
        .await;
        assert_eq!(
            (outside.mail.taken().len(), outside.sms.taken().len()),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn an_email_that_was_taken_without_a_word_comes_again_as_the_same_message() {
    for fresh in stores().await {
        let outside = outside();
        outside.mail.will([mailbox::Mood::TakeInSilence]);
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Warning)).await;
        life.deliver_all().await;
        let mails = outside.mail.taken();
        let id = |mail: &String| {
            let line = mail.lines().find(|line| line.starts_with("Message-ID"));
            line.unwrap().to_owned()
        };
        assert_eq!(mails.len(), 2);
        assert_eq!(id(&mails[0]), id(&mails[1]));
    }
}

#[tokio::test]
async fn who_cannot_be_mailed_is_told_by_sms() {
    for refusal in [
        mailbox::Mood::RefuseReceiver("550 no such mailbox"),
        mailbox::Mood::RefuseMessage("554 not from you"),
    ] {
        for fresh in stores().await {
            let outside = outside();
            outside.mail.will([refusal]);
            let life = Life::begin(&fresh, outside.config.clone()).await;
            life.raise(&brute_force(Severity::Warning)).await;
            life.deliver_all().await;
            assert_eq!(
                (outside.mail.taken().len(), outside.sms.taken().len()),
                (0, 1)
            );
            assert!(outside.sms.taken()[0].starts_with("WARNING "));
        }
    }
}

#[tokio::test]
async fn wrong_credentials_and_full_queues_are_tried_until_they_are_right() {
    for fresh in stores().await {
        let outside = outside();
        outside.sms.will([
            gateway::Mood::Refuse(401, 20003),
            gateway::Mood::Refuse(429, 20429),
            gateway::Mood::Refuse(400, 21611),
        ]);
        outside
            .mail
            .will([mailbox::Mood::RefuseReceiver("451 later")]);
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        assert_eq!(
            (outside.mail.taken().len(), outside.sms.taken().len()),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn a_mail_server_that_sleeps_does_not_hold_up_the_sms() {
    let fresh = stores().await.remove(0);
    let mut outside = outside();
    outside.config.pace.timeout = Span::minutes(10);
    outside.mail.is_always(Some(mailbox::Mood::Sleep));
    let life = Life::begin(&fresh, outside.config.clone()).await;
    for number in 0..20 {
        let mut alert = brute_force(Severity::Critical);
        alert.key = format!("key {number}");
        life.raise(&alert).await;
    }
    let delivery = life.deliver(std::future::pending::<()>());
    tokio::select! {
        () = delivery => {}
        () = wait("SMS wait for the mail server", async || outside.sms.taken().len() == 20) => {}
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_was_over_before_a_server_came_back() {
    for fresh in stores().await {
        let outside = outside();
        outside.mail.is_always(Some(mailbox::Mood::HangUp));
        outside.sms.is_always(Some(gateway::Mood::Refuse(503, 0)));
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver(async {
            wait("no try", async || outside.sms.tries() >= 2).await;
            life.resolve(&brute_force(Severity::Critical)).await;
            life.quiet().await;
            outside.mail.is_always(None);
            outside.sms.is_always(None);
        })
        .await;
        life.deliver_all().await;
        assert_eq!(
            (outside.mail.taken().len(), outside.sms.taken().len()),
            (0, 0)
        );
    }
}

#[tokio::test]
async fn after_an_outage_the_critical_ones_come_first() {
    let fresh = stores().await.remove(0);
    let outside = outside();
    let life = Life::begin(&fresh, outside.config.clone()).await;
    for number in 0..30 {
        let mut alert = brute_force(if number == 29 {
            Severity::Critical
        } else {
            Severity::Info
        });
        alert.key = format!("key {number}");
        life.raise(&alert).await;
    }
    life.deliver_all().await;
    let mails = outside.mail.taken();
    let place = mails.iter().position(|mail| mail.contains("[CRITICAL]"));
    assert!(place.is_some_and(|place| place < 8), "{place:?}");
    assert_eq!(mails.len(), 30);
}

#[tokio::test]
async fn whoever_may_have_been_told_is_told_that_it_is_over_and_not_again_that_it_began() {
    for fresh in stores().await {
        let outside = outside();
        outside.sms.will([gateway::Mood::TakeInSilence]);
        outside.mail.will([mailbox::Mood::TakeInSilence]);
        let life = Life::begin(&fresh, outside.config.clone()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        let mut outbox = life.outbox().await;
        let servers = Servers::open(&life.config.now());
        outbox.prepare(clock::now()).await.unwrap();
        for channel in Channel::ALL {
            for job in outbox.take(channel, 8, clock::now()).await.unwrap() {
                let outcome = servers.attempt(&job).await;
                outbox.record(&job, outcome, clock::now()).await.unwrap();
            }
        }
        life.resolve(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        let texts = outside.sms.taken();
        let first: Vec<_> = texts
            .iter()
            .map(|text| text.split(' ').next().unwrap())
            .collect();
        assert_eq!(first, ["CRITICAL", "OVER"]);
        let mails = outside.mail.taken();
        assert_eq!(mails.len(), 2);
        assert!(mails[0].contains("[CRITICAL]") && mails[1].contains("[OVER]"));
    }
}
