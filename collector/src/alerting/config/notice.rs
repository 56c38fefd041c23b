//! Says how to have messages sent, while they are only written into a folder.

use super::Config;

impl Config {
    /// What to do so that messages reach people, while some are only written into the folder.
    pub fn notice(&self) -> Option<String> {
        let mut missing = Vec::new();
        if self.smtp.is_none() {
            missing.push(SMTP_NOTICE);
        }
        if self.sms.is_none() {
            missing.push(SMS_NOTICE);
        }
        if self.contacts.is_empty() {
            missing.push(CONTACT_NOTICE);
        }
        (!missing.is_empty()).then(|| {
            let folder = self.folder.display();
            let what = match (&self.smtp, &self.sms) {
                (None, None) => "Emails and SMS are",
                (None, Some(_)) => "Emails are",
                (Some(_), _) => "SMS are",
            };
            format!(
                "{what} not sent to anybody yet: they are written into {folder}. To have them \
                 sent, write into collector.toml and reload:\n\n{}",
                missing.join("\n")
            )
        })
    }
}

const SMTP_NOTICE: &str = "[alerting.smtp]
host = \"smtp.example.org\"
user = \"watchward\"
password_file = \"/etc/watchward/smtp-password\"
from = \"Watchward <watchward@example.org>\"
";
const SMS_NOTICE: &str = "[alerting.sms]
account = \"AC...\"
secret_file = \"/etc/watchward/sms-secret\"
from = \"+15550100\"
";
const CONTACT_NOTICE: &str = "[[alerting.contacts]]
name = \"Your name\"
email = \"you@example.org\"
phone = \"+15550123\"
";
