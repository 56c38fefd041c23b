//! Letters: emails that tell of no incident, sent by the same server or into the same folder.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message as Mail;
use lettre::message::header::ContentType;
use watchward_protocol::time::Timestamp;

use super::attempt::Outcome;
use super::config::{Address, Config};
use super::email::Post;
use super::folder;

/// A letter, ready to be sent.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Whom it goes to.
    pub to: String,
    /// What it is about, on one line.
    pub subject: String,
    /// What it says, as plain text.
    pub text: String,
    /// The name of its file, without a folder, where no server sends it.
    pub file: String,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The server has it, or it is in its file; or the server did not say whether it took it.
    Taken(String),
    /// To be tried again.
    Later(String),
    /// It never will be taken.
    Refused(String),
}

/// The file that a letter is written into, while no server sends emails.
pub fn letter_file(config: &Config, file: &str) -> Option<PathBuf> {
    config.smtp.is_none().then(|| config.folder.join(file))
}

/// Sends a letter, or writes it into the folder.
pub async fn send_letter(config: &Config, letter: &Letter, now: Timestamp) -> Posted {
    let (post, from) = match &config.smtp {
        Some(smtp) => (
            Post::Smtp(Box::new(smtp.clone())),
            smtp.from.mailbox().clone(),
        ),
        None => (
            Post::Folder(config.folder.clone()),
            Address::operator().mailbox().clone(),
        ),
    };
    let Ok(to) = letter.to.parse() else {
        return Posted::Refused("that is no email address".to_owned());
    };
    let since_1970 = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0));
    let mail = Mail::builder()
        .from(from)
        .to(to)
        .subject(&letter.subject)
        .date(UNIX_EPOCH + since_1970)
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text.clone());
    let mail = match mail {
        Ok(mail) => mail,
        Err(error) => return Posted::Refused(format!("no email can be made of it: {error}")),
    };
    let limit = config.pace.timeout.duration();
    let write = |content: &[u8]| folder::write_as(&config.folder, &letter.file, content);
    match post.give(&mail, limit, write).await {
        Outcome::Accepted(note)
        | Outcome::Submitted(note)
        | Outcome::Written(note)
        | Outcome::Unknown(note) => Posted::Taken(note),
        Outcome::Refused(note) => Posted::Refused(note),
        Outcome::Later(note) | Outcome::Blocked(note) | Outcome::Unanswered(note) => {
            Posted::Later(note)
        }
        Outcome::Absent => Posted::Later("it is not there".to_owned()),
    }
}
