//! A mail server for tests: takes what it is sent, and misbehaves as it is told to.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How the server meets one conversation; without a script it takes the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Closes the connection before a word is said.
    HangUp,
    /// Says this instead of taking the receiver.
    RefuseReceiver(&'static str),
    /// Says this instead of taking the message.
    RefuseMessage(&'static str),
    /// Takes the message, and closes the connection without saying so.
    TakeInSilence,
    /// Says nothing at all for a while, and then hangs up.
    Sleep,
}

#[derive(Debug, Default)]
struct Inside {
    mood: VecDeque<Mood>,
    always: Option<Mood>,
    taken: Vec<String>,
    heard: Vec<String>,
}

/// The server. It listens until the test process ends.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    pub(super) address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
    tls: Option<Arc<ServerConfig>>,
}

impl Mailbox {
    pub(super) fn open() -> Self {
        Self::listen(None)
    }

    /// One that offers STARTTLS, and takes nothing without it.
    pub(super) fn open_encrypted(tls: ServerConfig) -> Self {
        Self::listen(Some(Arc::new(tls)))
    }

    fn listen(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mailbox = Self {
            address: listener.local_addr().unwrap(),
            inside: Arc::default(),
            tls,
        };
        let server = mailbox.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        mailbox
    }

    pub(super) fn will(&self, moods: impl IntoIterator<Item = Mood>) {
        self.inside.lock().unwrap().mood.extend(moods);
    }

    /// From now on it is always in this mood, or takes everything again.
    pub(super) fn is_always(&self, mood: Option<Mood>) {
        self.inside.lock().unwrap().always = mood;
    }

    /// The messages that it took, the oldest first.
    pub(super) fn taken(&self) -> Vec<String> {
        self.inside.lock().unwrap().taken.clone()
    }

    /// What clients said before their messages.
    pub(super) fn heard(&self) -> Vec<String> {
        self.inside.lock().unwrap().heard.clone()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mood = {
            let mut inside = self.inside.lock().unwrap();
            inside.mood.pop_front().or(inside.always)
        };
        match mood {
            Some(Mood::HangUp) => return Ok(()),
            Some(Mood::Sleep) => {
                // The client gives up long before, and then this read ends.
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                return (&stream).read(&mut [0; 1]).map(drop);
            }
            _ => {}
        }
        let Some(tls) = &self.tls else {
            let mut stream = BufReader::new(stream);
            say(&mut stream, "220 stub")?;
            return self.converse(&mut stream, mood);
        };
        let mut clear = BufReader::new(stream);
        say(&mut clear, "220 stub")?;
        loop {
            let line = hear(&mut clear)?;
            match line.to_uppercase() {
                line if line.starts_with("EHLO") => say(&mut clear, "250-stub\r\n250 STARTTLS")?,
                line if line == "STARTTLS" => break,
                _ => say(&mut clear, "530 Must issue a STARTTLS command first")?,
            }
        }
        say(&mut clear, "220 go ahead")?;
        let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
        let encrypted = StreamOwned::new(connection, clear.into_inner());
        self.converse(&mut BufReader::new(encrypted), mood)
    }

    fn converse<S: Read + Write>(
        &self,
        stream: &mut BufReader<S>,
        mood: Option<Mood>,
    ) -> io::Result<()> {
        loop {
            let line = hear(stream)?;
            self.inside.lock().unwrap().heard.push(line.clone());
            match (line.split(' ').next().unwrap_or_default(), mood) {
                ("EHLO", _) => say(stream, "250-stub\r\n250 AUTH PLAIN LOGIN")?,
                ("AUTH", _) => say(stream, "235 welcome")?,
                ("RCPT", Some(Mood::RefuseReceiver(why))) => say(stream, why)?,
                ("DATA", _) => {
                    say(stream, "354 go on")?;
                    let message = hear_message(stream)?;
                    if let Some(Mood::RefuseMessage(why)) = mood {
                        say(stream, why)?;
                        continue;
                    }
                    self.inside.lock().unwrap().taken.push(message);
                    if mood == Some(Mood::TakeInSilence) {
                        return Ok(());
                    }
                    say(stream, "250 taken as 1")?;
                }
                ("QUIT", _) => return say(stream, "221 bye"),
                _ => say(stream, "250 fine")?,
            }
        }
    }
}

fn say<S: Read + Write>(stream: &mut BufReader<S>, line: &str) -> io::Result<()> {
    stream
        .get_mut()
        .write_all(format!("{line}\r\n").as_bytes())?;
    stream.get_mut().flush()
}

fn hear<S: Read>(stream: &mut BufReader<S>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn hear_message<S: Read>(stream: &mut BufReader<S>) -> io::Result<String> {
    let mut message = String::new();
    loop {
        let line = hear(stream)?;
        if line == "." {
            return Ok(message);
        }
        message.push_str(&line);
        message.push('\n');
    }
}
