//! A stand-in for the Twilio Messages API: keeps what it was given, and fails as it is told to.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::web::{self, Request};

/// The account that it serves.
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
/// The token that opens the account.
pub const TOKEN: &str = "a-token-that-only-tests-know";

/// How it meets one try to send; without a script it accepts.
#[derive(Clone, Debug)]
pub enum Reply {
    /// 201, as Twilio does.
    Accept,
    /// An HTTP status with Twilio's error code.
    Refuse(u16, u32),
    /// Takes the message, and closes the connection without a word.
    AcceptUnheard,
    /// Closes the connection and takes nothing.
    HangUp,
}

/// A message that it took.
#[derive(Clone, Debug)]
pub struct Sms {
    /// Its number at the provider.
    pub sid: String,
    /// To whom.
    pub to: String,
    /// From whom: a number, or a messaging service.
    pub from: String,
    /// The text.
    pub body: String,
    /// When, as Twilio writes it (RFC 2822).
    pub date: String,
}

/// A gateway that answers until it is dropped.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<Sms>,
    script: VecDeque<Reply>,
    tries: u64,
    closing: bool,
    /// The status of every message, and its error code.
    status: Option<(&'static str, u32)>,
}

impl Gateway {
    /// A gateway on a loopback address of its own: while it is down nobody else gets its port.
    pub fn start() -> Result<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let own = Ipv4Addr::new(127, 77, 0, NEXT.fetch_add(1, Ordering::Relaxed));
        let listener = TcpListener::bind((own, 0))?;
        let address = listener.local_addr()?;
        let mut gateway = Self {
            address,
            state: Arc::default(),
            listening: None,
        };
        gateway.listen(listener);
        Ok(gateway)
    }

    /// What a configuration names as the base of the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it took so far.
    pub fn taken(&self) -> Vec<Sms> {
        lock(&self.state).taken.clone()
    }

    /// How many times somebody tried to send.
    pub fn tries(&self) -> u64 {
        lock(&self.state).tries
    }

    /// Meets the next tries to send like this, one after the other.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.state).script.extend(replies);
    }

    /// From now on says that every message has this status, with an error code unless it is 0.
    pub fn says(&self, status: &'static str, code: u32) {
        lock(&self.state).status = Some((status, code));
    }

    /// Stops listening: connections are refused.
    pub fn down(&mut self) {
        lock(&self.state).closing = true;
        let _wakes_the_listener = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ended = listening.join();
        }
    }

    /// Listens again, where it did before.
    pub fn up(&mut self) -> Result<()> {
        lock(&self.state).closing = false;
        self.listen(TcpListener::bind(self.address)?);
        Ok(())
    }

    fn listen(&mut self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        self.listening = Some(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&state).closing {
                    return;
                }
                let _the_client_went_away = serve(&stream, &state);
                let _closed = stream.shutdown(Shutdown::Both);
            }
        }));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.down();
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let Some(request) = web::read(stream)? else {
        return Ok(());
    };
    let base = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages");
    let (status, body) = if !knows(&request) {
        error(401, 20003)
    } else if request.path == format!("{base}.json") && request.method == "POST" {
        let Some(answer) = create(&request, &mut lock(state))? else {
            return Ok(());
        };
        answer
    } else if request.path == format!("{base}.json") {
        (200, list(&request, &lock(state)))
    } else {
        let sid = request.path.strip_prefix(&format!("{base}/"));
        let sid = sid.and_then(|rest| rest.strip_suffix(".json"));
        let state = lock(state);
        let found = state.taken.iter().find(|sms| Some(sms.sid.as_str()) == sid);
        found.map_or_else(|| error(404, 20404), |sms| (200, show(sms, state.status)))
    };
    web::answer(stream, status, &body.to_string())
}

fn knows(request: &Request) -> bool {
    let expected = format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"))
    );
    request.headers.get("authorization") == Some(&expected)
}

/// The answer to a message; `None` is silence.
fn create(request: &Request, state: &mut State) -> Result<Option<(u16, Value)>> {
    state.tries += 1;
    let form = web::fields(&request.body);
    let reply = state.script.pop_front().unwrap_or(Reply::Accept);
    if let Reply::Refuse(status, code) = reply {
        return Ok(Some(error(status, code)));
    }
    if matches!(reply, Reply::HangUp) {
        return Ok(None);
    }
    let (Some(to), Some(body)) = (form.get("To"), form.get("Body")) else {
        return Ok(Some(error(400, 21604)));
    };
    let Some(from) = form.get("From").or_else(|| form.get("MessagingServiceSid")) else {
        return Ok(Some(error(400, 21603)));
    };
    if !to
        .strip_prefix('+')
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Ok(Some(error(400, 21211)));
    }
    let sms = Sms {
        sid: format!("SM{:032x}", state.taken.len() + 1),
        to: to.clone(),
        from: from.clone(),
        body: body.clone(),
        date: jiff::fmt::rfc2822::to_string(
            &jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC),
        )
        .context("the year has four digits")?,
    };
    let shown = show(&sms, None);
    state.taken.push(sms);
    Ok(matches!(reply, Reply::Accept).then_some((201, shown)))
}

fn list(request: &Request, state: &State) -> Value {
    let to = request.query.get("To");
    let found = state
        .taken
        .iter()
        .rev()
        .filter(|sms| to.is_none_or(|to| *to == sms.to));
    let messages: Vec<Value> = found.map(|sms| show(sms, state.status)).collect();
    json!({
        "messages": messages, "page": 0, "page_size": 50, "start": 0,
        "end": messages.len().saturating_sub(1), "next_page_uri": null, "previous_page_uri": null,
        "uri": format!("{}?PageSize=50&Page=0", request.path),
    })
}

fn show(sms: &Sms, status: Option<(&str, u32)>) -> Value {
    let (status, code) = status.unwrap_or(("queued", 0));
    json!({
        "sid": sms.sid, "account_sid": ACCOUNT, "api_version": "2010-04-01", "to": sms.to,
        "from": sms.from, "body": sms.body, "status": status, "direction": "outbound-api",
        "num_segments": "1", "error_code": (code > 0).then_some(code), "error_message": null,
        "date_created": sms.date, "date_updated": sms.date, "date_sent": sms.date,
        "uri": format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}.json", sms.sid),
    })
}

fn error(status: u16, code: u32) -> (u16, Value) {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    let message = format!("refused with {code}, as the test says");
    (
        status,
        json!({ "code": code, "message": message, "more_info": more, "status": status }),
    )
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
