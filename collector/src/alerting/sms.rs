//! SMS by the Twilio Messages API: sends them, and asks for those that nobody knows about.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use watchward_protocol::time::Timestamp;

use super::attempt::Outcome;
use super::config::Sms;
use super::folder;
use super::message::Message;
use super::{phone, wording};

/// Who takes SMS.
#[derive(Debug)]
pub(super) enum Gateway {
    Twilio { client: Client, sms: Box<Sms> },
    Folder(PathBuf),
    Broken(String),
}

/// How long a message may wait at the provider: a page that comes hours late misleads.
const VALID_SECONDS: &str = "14400";

/// What Twilio puts before the text of accounts on trial.
const TRIAL: &str = "Sent from your Twilio trial account - ";

impl Gateway {
    /// The gateway that is configured; `limit` is how long it may take over one request.
    pub(super) fn open(sms: &Sms, limit: Duration) -> Self {
        let mut builder = Client::builder().timeout(limit).redirect(Policy::none());
        if !sms.base_url.is_encrypted() {
            // Without this a machine that has no CA certificates fails, needlessly.
            builder = builder.tls_certs_only([]);
        }
        match builder.build() {
            Ok(client) => Self::Twilio {
                client,
                sms: Box::new(sms.clone()),
            },
            Err(error) => Self::Broken(format!("cannot make an HTTP client: {}", chain(error))),
        }
    }

    /// Sends one message.
    pub(super) async fn send(&self, message: &Message, now: Timestamp) -> Outcome {
        let text = phone::sms(message, now);
        match self {
            Self::Folder(path) => {
                let content = format!("To: {}\n\n{text}\n", message.address);
                folder::write(path, message, "txt", content.as_bytes())
            }
            Self::Broken(why) => Outcome::Blocked(why.clone()),
            Self::Twilio { client, sms } => send(client, sms, message, &text).await,
        }
    }

    /// Asks whether a message was sent already.
    pub(super) async fn ask(&self, message: &Message) -> Outcome {
        match self {
            Self::Folder(path) => folder::find(path, message, "txt"),
            Self::Broken(why) => Outcome::Unanswered(why.clone()),
            Self::Twilio { client, sms } => ask(client, sms, message).await,
        }
    }

    /// Asks whether a message that the gateway took has arrived.
    pub(super) async fn check(&self, sid: &str) -> Outcome {
        match self {
            Self::Twilio { client, sms } if is_sid(sid) => check(client, sms, sid).await,
            Self::Twilio { .. } | Self::Folder(_) | Self::Broken(_) => {
                Outcome::Unanswered("nobody can be asked".to_owned())
            }
        }
    }
}

/// Whether it is a name such as Twilio gives, and no other path.
fn is_sid(sid: &str) -> bool {
    !sid.is_empty() && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Asks whether a message has arrived: `delivered`, or never will: `undelivered`, `failed`.
async fn check(client: &Client, sms: &Sms, sid: &str) -> Outcome {
    let place = place(sms).replace(".json", &format!("/{sid}.json"));
    let request = match signed(client.get(place), sms) {
        Ok(request) => request,
        // Our own trouble says nothing about the message.
        Err(_) => return Outcome::Unanswered("the secret cannot be read".to_owned()),
    };
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Outcome::Unanswered(chain(error)),
    };
    if !answer.status().is_success() {
        return Outcome::Unanswered(answer.status().to_string());
    }
    let Ok(taken) = answer.json::<Taken>().await else {
        return Outcome::Unanswered("an answer that is no message".to_owned());
    };
    let status = wording::safe(&taken.status);
    match taken.status.as_str() {
        "delivered" | "read" => Outcome::Accepted(status),
        "undelivered" | "failed" | "canceled" => {
            let code = taken.error_code.unwrap_or_default();
            Outcome::Refused(format!("{status}, {code}"))
        }
        _ => Outcome::Unanswered(status),
    }
}

async fn send(client: &Client, sms: &Sms, message: &Message, text: &str) -> Outcome {
    let mut form = vec![
        ("To", message.address.clone()),
        ("Body", text.to_owned()),
        ("ValidityPeriod", VALID_SECONDS.to_owned()),
    ];
    if let Some(from) = &sms.from {
        form.push(("From", from.to_string()));
    }
    if let Some(service) = &sms.messaging_service {
        form.push(("MessagingServiceSid", service.to_string()));
    }
    let request = match signed(client.post(place(sms)).form(&form), sms) {
        Ok(request) => request,
        Err(outcome) => return outcome,
    };
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() || error.is_builder() => {
            return Outcome::Later(chain(error));
        }
        // The request may have arrived.
        Err(error) => return Outcome::Unknown(chain(error)),
    };
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    if status.is_success() {
        return match serde_json::from_slice::<Taken>(&body) {
            Ok(taken) => Outcome::Submitted(wording::safe(&taken.sid)),
            Err(_) => Outcome::Unknown(format!("{status}, without a message's number")),
        };
    }
    refusal(status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Asks for what was sent to this number lately, then for what is not dated yet because it still
/// waits to be sent, and looks for the incident's code.
async fn ask(client: &Client, sms: &Sms, message: &Message) -> Outcome {
    let to = ("To", message.address.clone());
    let size = ("PageSize", "200".to_owned());
    // The provider counts days by its own clock.
    let yesterday = message.created_at - Duration::from_secs(86_400);
    let day: String = yesterday.to_string().chars().take(10).collect();
    let dated = [to.clone(), ("DateSent>", day), size.clone()];
    for query in [&dated[..], &[to, size]] {
        let request = match signed(client.get(place(sms)).query(query), sms) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Outcome::Unanswered(chain(error)),
        };
        if !answer.status().is_success() {
            return Outcome::Unanswered(answer.status().to_string());
        }
        let Ok(page) = answer.json::<Page>().await else {
            return Outcome::Unanswered("an answer that is no list of messages".to_owned());
        };
        if let Some(found) = page
            .messages
            .into_iter()
            .find(|sent| is_ours(sent, message))
        {
            return adopt(found);
        }
    }
    Outcome::Absent
}

/// Whether a message at the provider is this one: the incident's code, and the same first word.
fn is_ours(sent: &Taken, message: &Message) -> bool {
    let body = sent.body.strip_prefix(TRIAL).unwrap_or(&sent.body);
    let label = body.split(' ').next();
    label == Some(message.label()) && body.contains(message.incident.code.as_str())
}

fn adopt(found: Taken) -> Outcome {
    if matches!(found.status.as_str(), "failed" | "undelivered") {
        let refused = Refused {
            code: found.error_code.unwrap_or_default(),
            message: format!("{} is {}", found.sid, found.status),
        };
        return refusal(StatusCode::BAD_REQUEST, refused);
    }
    Outcome::Submitted(wording::safe(&found.sid))
}

fn signed(request: RequestBuilder, sms: &Sms) -> Result<RequestBuilder, Outcome> {
    let secret = match sms.secret_file.read() {
        Ok(secret) => secret,
        Err(error) => return Err(Outcome::Blocked(format!("{error:#}"))),
    };
    let user = sms.key.as_ref().unwrap_or(&sms.account);
    Ok(request.basic_auth(user, Some(secret.reveal())))
}

fn place(sms: &Sms) -> String {
    let base = sms.base_url.as_str();
    format!("{base}/2010-04-01/Accounts/{}/Messages.json", sms.account)
}

/// What follows from an error, by Twilio's codes (<https://www.twilio.com/docs/api/errors>).
fn refusal(status: StatusCode, refused: Refused) -> Outcome {
    let why = wording::safe(&format!("{status}, {}: {}", refused.code, refused.message));
    match (refused.code, status.as_u16()) {
        // No such number, no SMS to it, a landline; or its owner said STOP.
        (21211 | 21214 | 21217 | 21408 | 21610 | 21614 | 30005 | 30006, _) => Outcome::Refused(why),
        // Too many at once, a full queue, a phone that is off, an error of the provider's.
        (20429 | 21611 | 30001 | 30003 | 30008 | 30036, _) | (_, 429 | 503) => Outcome::Later(why),
        // It broke on the way: nobody knows how far it had come.
        (_, 408 | 500..) => Outcome::Unknown(why),
        // Wrong credentials, a sender that must not send, and what nobody has heard of.
        _ => Outcome::Blocked(why),
    }
}

/// An error with what caused it, and without the URL, which names the account.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    wording::safe(&words)
}

/// A message that the provider has.
#[derive(Debug, Deserialize)]
struct Taken {
    sid: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    error_code: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Page {
    messages: Vec<Taken>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refused {
    code: u32,
    message: String,
}
