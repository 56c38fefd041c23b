//! An SMS gateway for tests: answers as Twilio does, and misbehaves as it is told to.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// How the gateway meets one message; without a script it takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Closes the connection, and has taken nothing.
    HangUp,
    /// An HTTP status with Twilio's error code.
    Refuse(u16, u32),
    /// Takes the message, and closes the connection without saying so.
    TakeInSilence,
    /// Takes the message, and says that something broke.
    TakeAndFail,
}

#[derive(Debug, Default)]
struct Inside {
    mood: VecDeque<Mood>,
    always: Option<Mood>,
    cannot_list: bool,
    status: Option<(&'static str, u32)>,
    taken: Vec<(String, String)>,
    tries: usize,
    log: Vec<String>,
    signed: Vec<String>,
}

/// The gateway. It listens until the test process ends.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

impl Gateway {
    pub(super) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = Self {
            address: listener.local_addr().unwrap(),
            inside: Arc::default(),
        };
        let server = gateway.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        gateway
    }

    pub(super) fn will(&self, moods: impl IntoIterator<Item = Mood>) {
        self.inside.lock().unwrap().mood.extend(moods);
    }

    /// From now on it is always in this mood, or takes everything again.
    pub(super) fn is_always(&self, mood: Option<Mood>) {
        self.inside.lock().unwrap().always = mood;
    }

    /// From now on it does not list what it took.
    pub(super) fn cannot_list(&self) {
        self.inside.lock().unwrap().cannot_list = true;
    }

    /// From now on every message that it took has this status, with an error code.
    pub(super) fn says(&self, status: &'static str, code: u32) {
        self.inside.lock().unwrap().status = Some((status, code));
    }

    /// The texts that it took, the oldest first.
    pub(super) fn taken(&self) -> Vec<String> {
        let inside = self.inside.lock().unwrap();
        inside.taken.iter().map(|(_, body)| body.clone()).collect()
    }

    /// How often somebody tried to send.
    pub(super) fn tries(&self) -> usize {
        self.inside.lock().unwrap().tries
    }

    /// What was asked of it: `POST` to send, `GET` to list, `CHECK` whether one has arrived.
    pub(super) fn log(&self) -> Vec<String> {
        self.inside.lock().unwrap().log.clone()
    }

    /// Who asked: `Basic` and the encoded credentials.
    pub(super) fn signed(&self) -> Vec<String> {
        self.inside.lock().unwrap().signed.clone()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some((line, signed, body)) = read(&mut stream)? {
            let mut inside = self.inside.lock().unwrap();
            let one = line.contains("/Messages/");
            let what = if one {
                Some("CHECK")
            } else {
                line.split(' ').next()
            };
            inside.log.push(what.unwrap().to_owned());
            inside.signed.push(signed);
            drop(inside);
            let answer = if line.starts_with("POST") {
                self.take(&body)
            } else if one {
                Some(self.show(&line))
            } else {
                Some(self.list())
            };
            let Some((status, body)) = answer else {
                return Ok(());
            };
            let (body, type_) = (body.to_string(), "Content-Type: application/json");
            let head = format!(
                "HTTP/1.1 {status} X\r\n{type_}\r\nContent-Length: {}",
                body.len()
            );
            let stream = stream.get_mut();
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;
        }
        Ok(())
    }

    fn take(&self, body: &str) -> Option<(u16, Value)> {
        let mut inside = self.inside.lock().unwrap();
        inside.tries += 1;
        let mood = inside.mood.pop_front().or(inside.always);
        match mood {
            Some(Mood::HangUp) => return None,
            Some(Mood::Refuse(status, code)) => {
                let error = json!({ "code": code, "message": "no", "status": status });
                return Some((status, error));
            }
            None | Some(Mood::TakeInSilence | Mood::TakeAndFail) => {}
        }
        let form = reqwest::Url::parse(&format!("http://x/?{body}")).unwrap();
        let field = |name: &str| {
            let found = form.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap()
        };
        inside.taken.push((field("To"), field("Body")));
        let sid = format!("SM{:032x}", inside.taken.len());
        match mood {
            Some(Mood::TakeInSilence) => None,
            Some(_) => Some((
                500,
                json!({ "code": 20500, "message": "broken", "status": 500 }),
            )),
            None => Some((201, json!({ "sid": sid, "status": "queued" }))),
        }
    }

    fn show(&self, line: &str) -> (u16, Value) {
        let status = self.inside.lock().unwrap().status;
        let (status, code) = status.unwrap_or(("sent", 0));
        let sid = line.split("/Messages/").nth(1).unwrap().split('.').next();
        (
            200,
            json!({ "sid": sid, "status": status, "error_code": code }),
        )
    }

    fn list(&self) -> (u16, Value) {
        let inside = self.inside.lock().unwrap();
        if inside.cannot_list {
            return (500, json!({}));
        }
        let show = |(number, (to, body)): (usize, &(String, String))| {
            let sid = format!("SM{:032x}", number + 1);
            json!({ "sid": sid, "to": to, "body": body, "status": "queued", "error_code": null })
        };
        let all: Vec<_> = inside.taken.iter().enumerate().map(show).collect();
        (200, json!({ "messages": all }))
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(String, String, String)>> {
    let mut first = String::new();
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let (mut length, mut signed) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.to_lowercase().starts_with("authorization:") {
            signed = line.trim().split_once(": ").unwrap().1.to_owned();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((first, signed, String::from_utf8(body).unwrap())))
}
