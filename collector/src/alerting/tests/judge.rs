//! Who is told what, and what follows from an attempt.

use super::*;
use crate::alerting::attempt::{Due, Outcome, due, next};
use crate::alerting::judge::{New, Step, Told, elsewhere, tell, tell_end};

fn told(channel: Channel, severity: Severity, state: State, maybe: bool) -> Told {
    Told {
        id: 9,
        contact: "ann".to_owned(),
        channel,
        address: "somewhere".to_owned(),
        kind: Kind::Opened,
        severity,
        state,
        maybe,
    }
}

fn ways(steps: &[Step]) -> Vec<(&str, Channel, Kind)> {
    let way = |new: &'_ New| (new.contact.clone(), new.channel, new.kind);
    steps
        .iter()
        .map(|step| match step {
            Step::Add(new) | Step::Sharpen(_, new) => {
                let (_, channel, kind) = way(new);
                (new.contact.as_str(), channel, kind)
            }
        })
        .collect()
}

#[test]
fn a_warning_comes_by_email_and_a_critical_alert_by_sms_too() {
    let contacts = [contact("ann", Threshold::Critical)];
    let steps = tell(&contacts, Severity::Warning, &[]);
    assert_eq!(ways(&steps), [("ann", Channel::Email, Kind::Opened)]);
    let steps = tell(&contacts, Severity::Critical, &[]);
    assert_eq!(
        ways(&steps),
        [
            ("ann", Channel::Email, Kind::Opened),
            ("ann", Channel::Sms, Kind::Opened)
        ]
    );
}

#[test]
fn one_phone_rings_once_although_two_contacts_share_it() {
    let contacts = [
        contact("ann", Threshold::Critical),
        contact("bob", Threshold::Critical),
    ];
    let steps = tell(&contacts, Severity::Critical, &[]);
    let sms = ways(&steps).into_iter().filter(|way| way.1 == Channel::Sms);
    assert_eq!(sms.count(), 1);
}

#[test]
fn who_was_told_is_told_again_when_it_becomes_worse_and_only_then() {
    let contacts = [contact("ann", Threshold::Critical)];
    let before = [told(
        Channel::Email,
        Severity::Warning,
        State::Delivered,
        false,
    )];
    assert_eq!(tell(&contacts, Severity::Warning, &before), []);
    let steps = tell(&contacts, Severity::Critical, &before);
    assert_eq!(
        ways(&steps),
        [
            ("ann", Channel::Email, Kind::Risen),
            ("ann", Channel::Sms, Kind::Opened)
        ]
    );
}

#[test]
fn the_end_goes_to_exactly_those_who_were_or_may_have_been_told() {
    let all = [
        told(Channel::Email, Severity::Warning, State::Delivered, false),
        told(Channel::Email, Severity::Critical, State::Delivered, false),
        told(Channel::Sms, Severity::Critical, State::Failed, false),
    ];
    let end = tell_end(&all);
    assert_eq!(end.len(), 1);
    assert_eq!(
        (end[0].channel, end[0].severity),
        (Channel::Email, Severity::Critical)
    );
    let maybe = [told(Channel::Sms, Severity::Critical, State::Unknown, true)];
    assert_eq!(tell_end(&maybe).len(), 1);
}

#[test]
fn nobody_is_paged_for_what_is_over() {
    let over = Some((NIGHT, "it answers".to_owned()));
    let mut opening = message(Channel::Sms, Kind::Opened, Severity::Critical);
    opening.incident.resolved = over.clone();
    assert!(matches!(due(&opening), Due::Drop(_)));
    opening.state = State::Unknown;
    assert_eq!(due(&opening), Due::Ask, "it may have been sent");
    let mut end = message(Channel::Sms, Kind::Resolved, Severity::Critical);
    end.incident.resolved = over;
    assert!(matches!(due(&end), Due::Drop(_)), "nobody was told");
    end.told = true;
    assert_eq!(due(&end), Due::Send);
}

#[test]
fn a_message_that_may_be_out_is_asked_for_if_it_is_an_sms_and_sent_again_if_it_is_an_email() {
    let mut sms = message(Channel::Sms, Kind::Opened, Severity::Critical);
    sms.state = State::Unknown;
    assert_eq!(due(&sms), Due::Ask);
    let mut email = message(Channel::Email, Kind::Opened, Severity::Critical);
    email.state = State::Unknown;
    assert_eq!(due(&email), Due::Send);
}

#[test]
fn waits_double_up_to_the_longest_and_differ() {
    let pace = Pace::default();
    let wait = |attempts, jitter| pace.wait(attempts, jitter).as_millis();
    assert_eq!(
        [wait(1, 1.0), wait(2, 1.0), wait(3, 1.0)],
        [2000, 4000, 8000]
    );
    assert_eq!(
        [wait(7, 1.0), wait(500, 1.0), wait(500, 0.0)],
        [60_000, 60_000, 30_000]
    );
}

#[test]
fn only_what_is_not_critical_is_given_up() {
    let later = || Outcome::Later("down".to_owned());
    let pace = Pace::default();
    let week = NIGHT + Duration::from_secs(7 * 86_400);
    let critical = message(Channel::Email, Kind::Opened, Severity::Critical);
    assert_eq!(
        next(&critical, later(), &pace, 0.5, week).state,
        State::Pending
    );
    let warning = message(Channel::Email, Kind::Opened, Severity::Warning);
    assert_eq!(
        next(&warning, later(), &pace, 0.5, week).state,
        State::Failed
    );
    assert_eq!(
        next(&warning, later(), &pace, 0.5, NIGHT).state,
        State::Pending
    );
}

#[test]
fn a_provider_that_does_not_say_delays_a_page_only_so_long() {
    let mut page = message(Channel::Sms, Kind::Opened, Severity::Critical);
    page.maybe = true;
    let mut asked = 0;
    loop {
        let silent = Outcome::Unanswered("down".to_owned());
        let after = next(&page, silent, &Pace::default(), 0.5, NIGHT);
        (page.state, page.asks) = (after.state, after.asks);
        asked += 1;
        if page.state == State::Pending {
            break;
        }
        assert!(asked < 10, "the page waits for ever");
    }
    assert!(asked > 1, "asked once only");
}

#[test]
fn who_cannot_be_reached_one_way_is_told_the_other_way_once() {
    let contacts = [contact("ann", Threshold::Critical)];
    let mut email = message(Channel::Email, Kind::Opened, Severity::Warning);
    email.contact = "ann".to_owned();
    let refused = Outcome::Refused("no such mailbox".to_owned());
    assert!(next(&email, refused, &Pace::default(), 0.5, NIGHT).elsewhere);
    let other = elsewhere(&email, &contacts, &[]).unwrap();
    assert_eq!(other.channel, Channel::Sms);
    let used = [told(Channel::Sms, Severity::Warning, State::Failed, false)];
    assert_eq!(elsewhere(&email, &contacts, &used), None);
    let never = [contact("ann", Threshold::Never)];
    assert_eq!(elsewhere(&email, &never, &[]), None);
}

#[test]
fn a_mail_server_that_never_says_that_it_took_it_gets_only_so_many_copies() {
    let mut email = message(Channel::Email, Kind::Opened, Severity::Critical);
    let mut copies = 0;
    while email.state == State::Pending {
        let silent = Outcome::Unknown("it does not say".to_owned());
        let after = next(&email, silent, &Pace::default(), 0.5, NIGHT);
        (email.state, email.asks, email.maybe) = (after.state, after.asks, after.maybe);
        copies += 1;
        assert!(copies < 10, "copies for ever");
    }
    assert!(copies > 2);
    assert!(email.maybe, "its receiver may know, and is told of the end");
}
