//! Refuses tables whose fields, each of them right by itself, contradict each other.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Budget, Config, Contact, Pace, Sms, Smtp, Tls};

fn wrong_config(config: &Config) -> Option<&'static str> {
    let nobody = config.contacts.is_empty() && (config.smtp.is_some() || config.sms.is_some());
    let mut names: Vec<_> = config
        .contacts
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).any(|pair| pair.first() == pair.last());
    if nobody {
        return Some("a server is configured, but no [[alerting.contacts]] say who is told");
    }
    twice.then_some("two [[alerting.contacts]] have the same name")
}

fn wrong_pace(pace: &Pace) -> Option<&'static str> {
    (pace.first_retry > pace.longest_retry).then_some("first_retry is longer than longest_retry")
}

fn wrong_budget(budget: &Budget) -> Option<&'static str> {
    (budget.email < 5 || budget.sms < 5).then_some("a budget is 5 messages at least")
}

fn wrong_smtp(smtp: &Smtp) -> Option<&'static str> {
    if smtp.user.is_some() != smtp.password_file.is_some() {
        return Some("user and password_file belong together");
    }
    let here = matches!(smtp.host.as_str(), "localhost" | "127.0.0.1" | "::1");
    (smtp.tls == Tls::None && smtp.user.is_some() && !here).then_some(
        "with tls = \"none\" the password would cross the network in the clear: \
         use \"starttls\" or \"tls\"",
    )
}

fn wrong_sms(sms: &Sms) -> Option<&'static str> {
    (sms.from.is_some() == sms.messaging_service.is_some())
        .then_some("exactly one of from and messaging_service is expected")
}

fn wrong_contact(contact: &Contact) -> Option<&'static str> {
    (contact.email.is_none() && contact.phone.is_none())
        .then_some("a contact needs an email or a phone")
}

/// Reads a table, and refuses it when its fields contradict each other.
macro_rules! checked {
    ($($table:ident by $wrong:ident),*) => {$(
        impl<'de> Deserialize<'de> for $table {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let table = $table::deserialize(deserializer)?;
                match $wrong(&table) {
                    None => Ok(table),
                    Some(wrong) => Err(D::Error::custom(wrong)),
                }
            }
        }

        impl Serialize for $table {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $table::serialize(self, serializer)
            }
        }
    )*};
}

checked!(Config by wrong_config, Pace by wrong_pace, Budget by wrong_budget, Smtp by wrong_smtp, Sms by wrong_sms, Contact by wrong_contact);
