//! Emails: what they look like, and the conversation with the server that takes them.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use askama::Template;
use lettre::Message as Mail;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Quit, Rcpt};
use lettre::transport::smtp::{Error, extension::ClientId};
use tokio::time::timeout;
use watchward_protocol::time::Timestamp;

use super::attempt::Outcome;
use super::config::{Address, Smtp, Tls};
use super::folder;
use super::message::{Digest, Kind, Message};
use super::wording::{full, headline, kinds, placed, safe, tally};

/// Who takes emails.
#[derive(Debug)]
pub(super) enum Post {
    Smtp(Box<Smtp>),
    Folder(PathBuf),
}

impl Post {
    /// Sends one message; `limit` is how long the server may take until it is ready for it.
    pub(super) async fn send(&self, message: &Message, limit: Duration, now: Timestamp) -> Outcome {
        let from = match self {
            Self::Smtp(smtp) => smtp.from.mailbox().clone(),
            Self::Folder(_) => Address::operator().mailbox().clone(),
        };
        let mail = match mail(message, from, now) {
            Ok(mail) => mail,
            Err(error) => {
                return Outcome::Refused(format!("no email can be made of it: {error:#}"));
            }
        };
        let write = |content: &[u8]| match self {
            Self::Folder(path) => folder::write(path, message, "eml", content),
            Self::Smtp(_) => Outcome::Absent,
        };
        self.give(&mail, limit, write).await
    }

    /// Hands an email over to the server, or to what writes it.
    pub(super) async fn give(
        &self,
        mail: &Mail,
        limit: Duration,
        write: impl FnOnce(&[u8]) -> Outcome,
    ) -> Outcome {
        match self {
            Self::Folder(_) => write(&mail.formatted()),
            Self::Smtp(smtp) => match timeout(limit, approach(smtp, mail)).await {
                Ok(Ok(server)) => hand_over(server, mail, PATIENCE * limit).await,
                Ok(Err(outcome)) => outcome,
                Err(_) => Outcome::Later("the server does not answer".to_owned()),
            },
        }
    }
}

/// How much longer a server may take over a whole message, which it may look through for viruses,
/// than over everything before. Who is impatient here sends copies (RFC 5321, 4.5.3.2.6).
const PATIENCE: u32 = 10;

/// Says everything to the server up to the message itself.
async fn approach(smtp: &Smtp, mail: &Mail) -> Result<AsyncSmtpConnection, Outcome> {
    let mut server = connect(smtp).await?;
    let envelope = mail.envelope();
    let from = MailFrom::new(envelope.from().cloned(), Vec::new());
    let taken = server.command(from).await;
    taken.map_err(|error| blocked_or_later(&error))?;
    for to in envelope.to() {
        let taken = server.command(Rcpt::new(to.clone(), Vec::new())).await;
        taken.map_err(|error| refused_or_later(&error))?;
    }
    let ready = server.command(Data).await;
    ready.map_err(|error| refused_or_later(&error))?;
    Ok(server)
}

/// Says the message. From here on nobody but the server knows whether it was taken.
async fn hand_over(mut server: AsyncSmtpConnection, mail: &Mail, limit: Duration) -> Outcome {
    match timeout(limit, server.message(&mail.formatted())).await {
        Ok(Ok(answer)) => {
            // It has taken the message: its farewell changes nothing.
            let _ = timeout(Duration::from_secs(1), server.command(Quit)).await;
            let said = answer.first_line().unwrap_or("taken");
            Outcome::Accepted(safe(said))
        }
        Ok(Err(error)) if error.status().is_some() => refused_or_later(&error),
        Ok(Err(error)) => Outcome::Unknown(told(&error)),
        Err(_) => Outcome::Unknown("the server did not say whether it took it".to_owned()),
    }
}

async fn connect(smtp: &Smtp) -> Result<AsyncSmtpConnection, Outcome> {
    let wrong = |error: anyhow::Error| Outcome::Blocked(format!("{error:#}"));
    let encryption = encryption(smtp).map_err(wrong)?;
    let hello = ClientId::default();
    let place = (smtp.host.as_str(), smtp.port());
    let at_once = encryption.clone().filter(|_| smtp.tls == Tls::Tls);
    let connected = AsyncSmtpConnection::connect_tokio1(place, None, &hello, at_once, None);
    let mut server = connected.await.map_err(|error| blocked_or_later(&error))?;
    if let Some(encryption) = encryption.filter(|_| smtp.tls == Tls::Starttls) {
        let encrypted = server.starttls(encryption, &hello).await;
        encrypted.map_err(|error| blocked_or_later(&error))?;
    }
    if let (Some(user), Some(file)) = (&smtp.user, &smtp.password_file) {
        let password = file.read().map_err(wrong)?;
        let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
        let signed_in = server.auth(DEFAULT_MECHANISMS, &credentials).await;
        signed_in.map_err(|error| blocked_or_later(&error))?;
    }
    Ok(server)
}

fn encryption(smtp: &Smtp) -> anyhow::Result<Option<TlsParameters>> {
    if smtp.tls == Tls::None {
        return Ok(None);
    }
    let mut parameters = TlsParameters::builder(smtp.host.to_string());
    if let Some(file) = &smtp.ca_file {
        let authority = Certificate::from_pem(&std::fs::read(file)?)?;
        parameters = parameters
            .certificate_store(CertificateStore::None)
            .add_root_certificate(authority);
    }
    Ok(Some(parameters.build_rustls()?))
}

/// An error before the receiver was named concerns us, not them.
fn blocked_or_later(error: &Error) -> Outcome {
    if error.is_permanent() || error.is_client() || error.is_tls() {
        return Outcome::Blocked(told(error));
    }
    Outcome::Later(told(error))
}

fn refused_or_later(error: &Error) -> Outcome {
    if error.is_permanent() {
        return Outcome::Refused(told(error));
    }
    Outcome::Later(told(error))
}

/// An error as people read it; a server's words are a stranger's.
fn told(error: &Error) -> String {
    safe(&error.to_string())
}

#[derive(Template)]
#[template(path = "alert_email.html")]
struct Html<'a> {
    words: &'a Words,
}

#[derive(Template)]
#[template(path = "alert_email.txt")]
struct Text<'a> {
    words: &'a Words,
}

/// What both forms of an email say.
struct Words {
    label: &'static str,
    colour: &'static str,
    headline: String,
    facts: Vec<(&'static str, String)>,
    advice: Option<String>,
    detail: String,
    code: String,
    link: Option<String>,
}

impl Words {
    fn of(message: &Message) -> Self {
        if let Some(digest) = &message.digest {
            return Self::of_summary(message, digest);
        }
        let incident = &message.incident;
        let mut facts = Vec::new();
        let mut fact = |name, value: String| facts.push((name, value));
        if let Some(host) = &incident.host {
            fact("Where", host.clone());
        }
        fact("Since", full(incident.since));
        if incident.repeats > 0 {
            let last = full(incident.last_at);
            fact(
                "Seen again",
                format!("{} times, last at {last}", incident.repeats),
            );
        }
        if let Some((until, by)) = &incident.silenced {
            fact("Silenced", format!("until {} by {by}", full(*until)));
        }
        let over = incident
            .resolved
            .as_ref()
            .filter(|_| message.kind == Kind::Resolved);
        if let Some((at, why)) = over {
            fact("Over", full(*at));
            fact("Why", why.clone());
        }
        fact("Incident", incident.code.to_string());
        Self {
            label: message.label(),
            colour: match message.label() {
                "CRITICAL" => "#c0392b",
                "WARNING" => "#b9770e",
                "OVER" => "#1e8449",
                _ => "#2471a3",
            },
            headline: headline(message),
            facts,
            advice: over.is_none().then(|| incident.advice.clone()),
            detail: incident.detail.clone(),
            code: incident.code.to_string(),
            link: message.link.clone(),
        }
    }
}

impl Words {
    fn of_summary(message: &Message, digest: &Digest) -> Self {
        let mut lines = digest.worst.clone();
        let more = (digest.begun + digest.ended).saturating_sub(lines.len());
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        Self {
            label: message.label(),
            colour: "#b9770e",
            headline: tally(digest),
            facts: vec![
                ("Since", full(digest.since)),
                ("Worst", headline(message)),
                ("Kinds", kinds(digest)),
            ],
            advice: Some("Look at all of them with `watchward incidents`.".to_owned()),
            detail: lines.join("\n"),
            code: message.incident.code.to_string(),
            link: message.link.clone(),
        }
    }
}

/// What an email is about, on one line.
pub(super) fn subject(message: &Message) -> String {
    let incident = &message.incident;
    let what = match &message.digest {
        Some(digest) => tally(digest),
        None => placed(&incident.subject, incident.host.as_deref()),
    };
    format!("[{}] {what} ({})", message.label(), incident.code)
}

/// The email, ready to be sent.
pub(super) fn mail(message: &Message, from: Mailbox, now: Timestamp) -> anyhow::Result<Mail> {
    let to: Mailbox = message.address.parse()?;
    let words = Words::of(message);
    let incident = &message.incident;
    let domain = from.email.domain().to_owned();
    // The same for every attempt, so that mail clients show copies as one message.
    let id = |number: i64| format!("<{}.{number}@{domain}>", incident.code);
    let since_1970 = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0));
    let mut mail = Mail::builder()
        .from(from)
        .to(to)
        .subject(subject(message))
        .date(UNIX_EPOCH + since_1970)
        .message_id(Some(id(message.id)))
        .raw_header(header("Auto-Submitted", "auto-generated")?)
        .raw_header(header("X-Watchward-Incident", incident.code.as_str())?);
    if message.root != message.id && message.digest.is_none() {
        mail = mail
            .in_reply_to(id(message.root))
            .references(id(message.root));
    }
    let text = Text { words: &words }.render()?;
    let html = Html { words: &words }.render()?;
    Ok(mail.multipart(MultiPart::alternative_plain_html(text, html))?)
}

fn header(name: &str, value: &str) -> anyhow::Result<HeaderValue> {
    let name = HeaderName::new_from_ascii(name.to_owned())?;
    Ok(HeaderValue::new(name, value.to_owned()))
}
