//! Letters: emails that tell of no incident, sent by the same server or into the same folder.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message as Mail;
use lettre::message::Body;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use watchward_protocol::time::Timestamp;

use super::attempt::Outcome;
use super::config::{Address, Config};
use super::email::Post;
use super::folder;

/// How long a line of an email may be (RFC 5322, 2.1.1, with its end).
const LONGEST: usize = 998;

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

/// A text as it is where that may be, so that a link can be copied out of the file.
fn plain(text: &str) -> Body {
    let text = text.replace('\n', "\r\n");
    let may = text.is_ascii() && !text.contains('\0') && text.lines().all(|it| it.len() < LONGEST);
    match may {
        true => Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit),
        false => Body::new(text),
    }
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
        .body(plain(&letter.text));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_in_the_folder_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            folder: folder.path().to_owned(),
            ..Config::default()
        };
        let link = format!("https://watch.example/welcome?token={}", "x".repeat(43));
        let letter = Letter {
            to: "ada@example.org".to_owned(),
            subject: "Your account".to_owned(),
            text: format!("Here:\n\n  {link}\n"),
            file: "000-letter-ada.eml".to_owned(),
        };
        let posted = send_letter(&config, &letter, Timestamp::from_micros(0)).await;
        assert!(matches!(posted, Posted::Taken(_)), "{posted:?}");
        let file = letter_file(&config, &letter.file).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains(&format!("\r\n  {link}\r\n")), "{text}");
    }
}
