//! Messages say what is needed at night, fit a phone, and cannot be abused by strangers.

use super::*;
use crate::alerting::wording::{safe, sms, storable};

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
