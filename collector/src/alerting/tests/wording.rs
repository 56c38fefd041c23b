//! Messages say what is needed at night, fit a phone, and cannot be abused by strangers.

use proptest::prelude::*;

use super::*;
use crate::alerting::email::mail;
use crate::alerting::phone::sms;
use crate::alerting::wording::{placed, safe, storable};

#[test]
fn an_sms_says_what_where_since_when_and_what_to_do() {
    let message = message(Channel::Sms, Kind::Opened, Severity::Critical);
    assert_eq!(
        sms(&message, NIGHT),
        "CRITICAL db-3: sshd brute force from 203.0.113.7, 10 failures since 03:04 UTC. \
         Check access from it. W-7K3F"
    );
}

#[test]
fn an_sms_has_a_link_where_that_costs_no_word_and_no_second_piece() {
    let mut message = message(Channel::Sms, Kind::Opened, Severity::Critical);
    message.link = Some("https://w.example.org/incidents/W-7K3F".to_owned());
    assert_eq!(
        sms(&message, NIGHT),
        "CRITICAL db-3: sshd brute force from 203.0.113.7, 10 failures since 03:04 UTC. \
         Check access from it. https://w.example.org/incidents/W-7K3F"
    );
    message.link =
        Some("https://watchward.monitoring.internal.example.org:7080/incidents/W-7K3F".to_owned());
    assert!(sms(&message, NIGHT).ends_with(" it. W-7K3F"));
    message.link = Some("https://[2001:db8::1]/incidents/W-7K3F".to_owned());
    assert!(sms(&message, NIGHT).ends_with(" it. W-7K3F"));
}

#[test]
fn an_email_leads_to_the_page() {
    let mut message = message(Channel::Email, Kind::Opened, Severity::Critical);
    let text = |message: &Message| {
        let mail = mail(message, "w@example.org".parse().unwrap(), NIGHT).unwrap();
        String::from_utf8(mail.formatted()).unwrap()
    };
    assert!(!text(&message).contains("https://"));
    message.link = Some("https://w.example.org/incidents/W-7K3F".to_owned());
    let text = text(&message);
    assert!(
        text.contains("\r\nhttps://w.example.org/incidents/W-7K3F\r\n"),
        "{text}"
    );
    assert!(
        text.contains("<a href=3D\"https://w.example.org/")
            || text.contains("<a href=\"https://w.example.org/"),
        "{text}"
    );
}

#[test]
fn an_sms_says_that_it_is_over_and_why() {
    let mut message = message(Channel::Sms, Kind::Resolved, Severity::Critical);
    let end = NIGHT + Duration::from_secs(1800);
    message.incident.resolved = Some((end, "no failure for an hour".to_owned()));
    assert_eq!(
        sms(&message, end),
        "OVER db-3: sshd brute force from 203.0.113.7, 10 failures, 03:04 to 03:34 UTC. \
         no failure for an hour. W-7K3F"
    );
}

#[test]
fn an_sms_names_the_day_when_it_was_another_one() {
    let message = message(Channel::Sms, Kind::Opened, Severity::Critical);
    let text = sms(&message, NIGHT + Duration::from_secs(86_400));
    assert!(text.contains("since 11-21 03:04 UTC"), "{text}");
}

#[test]
fn an_sms_fits_whatever_it_is_made_of() {
    for (title, advice) in [
        ("x", "y".repeat(500)),
        ("the host ä€😀[]{}~^\\| does not answer", "ü".repeat(90)),
        ("", String::new()),
        ("z", String::new()),
    ] {
        for length in [1, 20, 60, 100, 300] {
            let mut message = message(Channel::Sms, Kind::Opened, Severity::Critical);
            message.incident.title = title.repeat(length);
            message.incident.advice = advice.clone();
            let text = sms(&message, NIGHT + Duration::from_secs(86_400));
            assert!(text.len() <= 160, "{} in {text:?}", text.len());
            let plain = text.chars().all(|c| (' '..='~').contains(&c))
                && !text.contains(['[', ']', '{', '}', '~', '^', '\\', '|', '`']);
            assert!(plain, "not GSM 7-bit: {text:?}");
            assert!(
                text.starts_with("CRITICAL ") && text.ends_with(" W-7K3F"),
                "{text}"
            );
            assert!(advice.is_empty() || text.contains("UTC. "), "{text}");
        }
    }
}

#[test]
fn nothing_that_a_stranger_typed_breaks_a_line_or_makes_a_link() {
    let mut alert = brute_force(Severity::Critical);
    alert.title = "user \u{202e}toor\r\nBcc: all@example.org\0 http://evil.example".to_owned();
    alert.detail = "first\nsecond\r\u{1b}[31m".to_owned();
    let kept = storable(&alert);
    assert_eq!(kept.detail, "first\nsecond\\r\\u{1b}[31m");
    assert!(
        !kept.title.contains(['\r', '\n', '\0', '\u{202e}']),
        "{}",
        kept.title
    );
    let mut message = message(Channel::Sms, Kind::Opened, Severity::Critical);
    message.incident.title = kept.title;
    let text = sms(&message, NIGHT);
    assert!(!text.contains("://"), "{text}");
}

#[test]
fn what_was_escaped_is_not_escaped_again() {
    assert_eq!(safe("\\x1b and \u{1b}"), "\\x1b and \\u{1b}");
}

#[test]
fn the_host_is_named_once() {
    assert_eq!(placed("db-3 is silent", Some("db-3")), "db-3 is silent");
    assert_eq!(
        placed("10 failures on db-3.", Some("db-3")),
        "10 failures on db-3."
    );
    assert_eq!(placed("dbus is down", Some("db")), "db: dbus is down");
}

proptest! {
    #[test]
    fn any_sms_is_one_piece_of_plain_text(
        title in ".{0,300}", advice in ".{0,300}", host in proptest::option::of(".{0,80}"),
        site in proptest::option::of("[a-z.]{1,60}"),
    ) {
        let mut message = message(Channel::Sms, Kind::Opened, Severity::Critical);
        message.incident.title = title;
        message.incident.advice = advice;
        message.incident.host = host;
        message.link = site.map(|site| format!("https://{site}/incidents/W-7K3F"));
        let text = sms(&message, NIGHT);
        prop_assert!(text.len() <= 160, "{}: {text:?}", text.len());
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
        prop_assert!(text.starts_with("CRITICAL ") && text.ends_with("W-7K3F"), "{text:?}");
    }

    #[test]
    fn nothing_in_an_alert_adds_a_header_to_its_email(text in "[\\PC\r\n\0<>:&]{0,200}") {
        let alert = storable(&Alert {
            title: text.clone(),
            detail: text.clone(),
            advice: text,
            ..brute_force(Severity::Critical)
        });
        let headers = |alert: &Alert| {
            let mut message = message(Channel::Email, Kind::Opened, Severity::Critical);
            message.incident.subject.clone_from(&alert.title);
            message.incident.title.clone_from(&alert.title);
            message.incident.detail.clone_from(&alert.detail);
            message.incident.advice.clone_from(&alert.advice);
            let mail = mail(&message, "w@example.org".parse().unwrap(), NIGHT).unwrap();
            let mail = String::from_utf8(mail.formatted()).unwrap();
            let head = mail.split("\r\n\r\n").next().unwrap().to_owned();
            let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
            let names: Vec<_> = names.map(|line| line.split(':').next().unwrap().to_owned()).collect();
            names
        };
        prop_assert_eq!(headers(&alert), headers(&brute_force(Severity::Critical)));
    }
}
