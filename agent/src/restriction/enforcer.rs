//! The enforcer: a thread that asks it one thing after the other, and hears what it says unasked.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use ipnet::IpNet;
use rustix::net::{RecvFlags, recv};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use watchward_enforcer::client::Error;
use watchward_enforcer::request::MOST_BANS;
use watchward_enforcer::{Answer, Ban, Change, Client, Request, Verdict};
use watchward_protocol::restriction::Banned;
use watchward_protocol::time::Timestamp;

/// How often it is looked whether it said something unasked.
const GLANCE: Duration = Duration::from_secs(1);
/// How often it is looked for while there is none.
const AGAIN: Duration = Duration::from_secs(3);

/// What is heard of the enforcer.
#[derive(Debug)]
pub(super) enum Word {
    /// It is there. What was asked before is lost, and what it holds is not known yet.
    Here,
    /// It is not there, or has gone; why, and whether there is none at all.
    Gone(String, bool),
    /// Somebody came in by key from here, then.
    Vouched(IpAddr, Timestamp),
    /// The judge of this host decided, and has asked already where there was something to ask.
    Decided(Banned, IpAddr),
    /// What became of bans.
    Judged(Vec<Ban>, Vec<Verdict>),
    /// It said something unasked.
    Changed(Change),
}

/// What asks. Cheap to clone; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub(super) struct Hand(Sender<Job>);

/// Something to ask.
#[derive(Debug)]
enum Job {
    /// What became of these is a word.
    Ban(Vec<Ban>),
    Unban(Vec<IpNet>),
    /// The answer goes to whoever asks.
    Ask(Request, oneshot::Sender<Answer>),
}

/// There is no enforcer, or it went before it answered.
#[derive(Debug, thiserror::Error)]
#[error("the enforcer does not answer")]
pub(super) struct Gone;

impl Hand {
    /// Starts the thread, which connects there as often as it must.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub(super) fn start(socket: &Path, words: UnboundedSender<Word>) -> anyhow::Result<Self> {
        let (jobs, asked) = mpsc::channel();
        let thread = Thread {
            socket: socket.to_owned(),
            asked,
            words,
        };
        let builder = thread::Builder::new().name("enforcer".to_owned());
        let started = builder.spawn(move || thread.run());
        started.context("the enforcer cannot be asked without a thread")?;
        Ok(Self(jobs))
    }

    /// Has these shut out; what became of that is heard. Does not wait.
    pub(super) fn ban(&self, bans: &[Ban]) {
        for part in bans.chunks(MOST_BANS) {
            // The thread lives as long as this.
            let _ = self.0.send(Job::Ban(part.to_vec()));
        }
    }

    /// Lets these in again. Does not wait.
    pub(super) fn unban(&self, nets: &[IpNet]) {
        for part in nets.chunks(MOST_BANS) {
            let _ = self.0.send(Job::Unban(part.to_vec()));
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// There is nobody to answer.
    pub(super) async fn ask(&self, request: Request) -> Result<Answer, Gone> {
        let (sender, answer) = oneshot::channel();
        self.0.send(Job::Ask(request, sender)).map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}

/// Why a conversation is over.
enum Over {
    /// Nobody asks any more.
    Unasked,
    Broken(Error),
}

impl From<Error> for Over {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

struct Thread {
    socket: PathBuf,
    asked: Receiver<Job>,
    words: UnboundedSender<Word>,
}

impl Thread {
    fn run(self) {
        loop {
            let over = match Client::connect(&self.socket) {
                Ok(client) => {
                    self.say(Word::Here);
                    self.converse(client)
                }
                Err(error) => Over::Broken(error),
            };
            let Over::Broken(error) = over else { return };
            self.say(Word::Gone(error.to_string(), is_nobody(&error)));
            if !self.rest() {
                return;
            }
        }
    }

    fn converse(&self, mut client: Client) -> Over {
        loop {
            let done = match self.asked.recv_timeout(GLANCE) {
                Ok(job) => self.answer(job, &mut client),
                Err(RecvTimeoutError::Timeout) => self.glance(&mut client),
                Err(RecvTimeoutError::Disconnected) => return Over::Unasked,
            };
            if let Err(error) = done {
                return error.into();
            }
            while let Some(change) = client.change() {
                self.say(Word::Changed(change));
            }
        }
    }

    fn answer(&self, job: Job, client: &mut Client) -> Result<(), Error> {
        match job {
            Job::Ban(bans) => {
                let request = Request::Ban(bans);
                let answer = client.ask(&request)?;
                let (Request::Ban(bans), Answer::Verdicts(verdicts)) = (request, answer) else {
                    return Err(Error::Strange);
                };
                self.say(Word::Judged(bans, verdicts));
            }
            Job::Unban(nets) => drop(client.ask(&Request::Unban(nets))?),
            Job::Ask(request, whom) => {
                let answer = client.ask(&request)?;
                // Whoever asked may have ended meanwhile.
                let _ = whom.send(answer);
            }
        }
        Ok(())
    }

    /// Hears what was said unasked.
    fn glance(&self, client: &mut Client) -> Result<(), Error> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(client.as_fd(), &mut [0_u8; 1][..], flags) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
            // If it has gone, this says so.
            Ok(_) | Err(_) => {
                let change = client.wait()?;
                self.say(Word::Changed(change));
                Ok(())
            }
        }
    }

    /// Waits a while before it is tried again. Whether anybody still asks: what was asked meanwhile
    /// has no answer.
    fn rest(&self) -> bool {
        let end = tokio::time::Instant::now() + AGAIN;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            match self.asked.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn say(&self, word: Word) {
        // Nobody listens any more when the program is ending.
        let _ = self.words.send(word);
    }
}

/// Whether there is no enforcer at all, rather than one that does not answer.
fn is_nobody(error: &Error) -> bool {
    match error {
        Error::Gone(error) => error.kind() == io::ErrorKind::NotFound,
        Error::Malformed(_) | Error::Strange => false,
    }
}
