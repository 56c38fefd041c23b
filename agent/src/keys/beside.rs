//! The agent and the reader beside it: a socket of the agent's, on which the reader tells what it sees.
//!
//! The reader may read every file and has no network; the agent has the network and may read
//! nothing. What passes between them are reports, each with its length before it; and, where the
//! agent asks whether an account could get in or which doors a key could be tried at, the question and its
//! answer.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::future::pending;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{getegid, geteuid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::{Doctor, FindingState};
use watchward_protocol::record::{Record, Report};
use watchward_protocol::restriction::{News, Restriction};
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire;

use super::config::Config;
use super::desk::Desk;
use super::questions;
use super::reader::{self, Word};
use crate::spool::Ended;
use crate::uplink::Asked;

/// The largest report that is taken, in bytes.
const LARGEST: u32 = 2 << 20;
/// In the length of what a reader says: it is the answer to a question.
const ANSWER: u32 = 1 << 31;
/// Between an attempt to meet and the next.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an agent waits for its reader before it says that there is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a report may take to arrive, or to be taken.
const SLOWEST: Duration = Duration::from_secs(60);

/// The agent's side: takes what a reader says, one reader after the other.
pub(super) async fn hear(
    config: &Config,
    desk: &mut Desk,
    questions: &mut mpsc::Receiver<Asked>,
) -> Result<Infallible, Ended> {
    loop {
        let listener = match listen(&config.socket) {
            Ok(listener) => listener,
            Err(error) => {
                desk.miss(FindingState::Failing, &format!("{error:#}"));
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        loop {
            let stream = match timeout(PATIENCE, listener.accept()).await {
                Ok(Ok((stream, _))) => stream,
                Ok(Err(error)) => {
                    desk.miss(
                        FindingState::Failing,
                        &format!("no reader can come: {error}"),
                    );
                    tokio::time::sleep(AGAIN).await;
                    break;
                }
                Err(_) => {
                    let place = config.socket.display();
                    let why = format!(
                        "no reader has come to {place}; watchward-agent-keys.service should run"
                    );
                    desk.miss(FindingState::Failing, &why);
                    continue;
                }
            };
            if let Err(error) = conversation(stream, config, (desk, questions)).await? {
                desk.miss(
                    FindingState::Failing,
                    &format!("the reader has gone: {error:#}"),
                );
            }
        }
    }
}

fn listen(socket: &Path) -> anyhow::Result<UnixListener> {
    let listen = || {
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        fs::set_permissions(socket, Permissions::from_mode(0o660))?;
        Ok(listener)
    };
    listen().with_context(|| format!("a reader cannot come to {}", socket.display()))
}

/// Takes what one reader says, until it goes.
async fn conversation(
    stream: UnixStream,
    config: &Config,
    (desk, questions): (&mut Desk, &mut mpsc::Receiver<Asked>),
) -> Result<anyhow::Result<()>, Ended> {
    if let Err(error) = is_reader(&stream) {
        return Ok(Err(error));
    }
    // At each full look it says again what it watches.
    let silence = config.interval.duration() * 2 + SLOWEST * 2;
    let (mut reading, mut writing) = stream.into_split();
    let (mouth, mut ear) = mpsc::channel(1);
    let (heard, mut answers) = mpsc::channel(1);
    let receiving = async move {
        loop {
            let word = timeout(silence, receive(&mut reading)).await;
            let word = word.context("it has said nothing for too long").flatten();
            match word {
                // One that comes when nobody waits for it is nobody's.
                Ok(Word::Answer(answer)) => drop(heard.try_send(answer)),
                Ok(word) => {
                    if mouth.send(word).await.is_err() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    };
    let asking = async {
        while let Some(asked) = questions.recv().await {
            while answers.try_recv().is_ok() {}
            let question = framed(0, &wire::encode_question(&asked.question))?;
            writing.write_all(&question).await?;
            let answer = timeout(PATIENCE, answers.recv()).await;
            if let Ok(Some(answer)) = answer {
                // Whoever asked may have gone.
                let _ = asked.answer.send(answer);
            }
        }
        pending::<anyhow::Result<()>>().await
    };
    let received = async {
        tokio::select! {
            received = receiving => received,
            ended = asking => ended,
        }
    };
    let (received, taken) = tokio::join!(received, desk.take(&mut ear));
    taken.map(|()| received)
}

fn is_reader(stream: &UnixStream) -> anyhow::Result<()> {
    let peer = stream.peer_cred().context("nobody knows who it is")?;
    let ours = peer.uid() == geteuid().as_raw() || peer.gid() == getegid().as_raw();
    ensure!(
        peer.uid() == 0 || ours,
        "user {} is no reader of ours",
        peer.uid()
    );
    Ok(())
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Word> {
    let (kind, bytes) = frame(stream).await?;
    if kind == ANSWER {
        return Ok(Word::Answer(wire::decode_answer(&bytes)?));
    }
    match wire::decode(&bytes)?.report {
        Report::Keys(keys) => Ok(Word::Keys(keys)),
        Report::Restriction(Restriction {
            news: News::Sshd(sshd),
            ..
        }) => Ok(Word::Sshd(sshd)),
        Report::Doctor(Doctor { mut findings, .. }) => match findings.pop() {
            Some(finding) => Ok(Word::Finding(finding)),
            None => bail!("it found nothing"),
        },
        Report::Health(_)
        | Report::Access(_)
        | Report::Gap(_)
        | Report::Restriction(_)
        | Report::Instruments(_)
        | Report::Identities(_)
        | Report::Peers(_) => {
            bail!("it speaks of something else than keys")
        }
    }
}

/// What comes next, and whether it is an answer.
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<(u32, Vec<u8>)> {
    let size = stream.read_u32().await.context("the connection broke")?;
    let (kind, size) = (size & ANSWER, size & !ANSWER);
    ensure!(size <= LARGEST, "it says {size} bytes at once");
    let mut bytes = Vec::new();
    let mut whole = stream.take(size.into());
    let read = timeout(SLOWEST, whole.read_to_end(&mut bytes))
        .await
        .context("it stopped in the middle")??;
    ensure!(u32::try_from(read) == Ok(size), "the connection broke");
    Ok((kind, bytes))
}

/// The reader's side: goes to the agent, tells everything, and what changes from then on; again
/// whenever the agent has gone or the configuration changes.
///
/// # Errors
/// None.
pub(super) async fn tell(mut config: Live<Config>, stop: Stop) -> anyhow::Result<()> {
    let mut said = String::new();
    loop {
        let wanted = config.now();
        let ended = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = super::another(&mut config, &wanted) => continue,
            ended = once(&wanted) => match ended {
                Ok(never) => match never {},
                Err(error) => format!("{error:#}"),
            },
        };
        if said != ended {
            tracing::warn!(
                error = ended,
                "the agent hears nothing of keys; trying again"
            );
            said = ended;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn once(config: &Config) -> anyhow::Result<Infallible> {
    let place = config.socket.display();
    let stream = UnixStream::connect(&config.socket).await;
    let mut stream = stream.with_context(|| format!("there is no agent at {place}"))?;
    is_agent(&stream, &config.socket)?;
    tracing::info!(socket = %place, "the agent listens");
    let (mut ear, mut speech) = stream.split();
    let (mouth, mut words) = mpsc::channel(4);
    let speaking = async {
        while let Some(word) = words.recv().await {
            let bytes = bytes(word)?;
            let sent = timeout(SLOWEST, speech.write_all(&bytes)).await;
            sent.context("the agent does not take what it is told")??;
        }
        bail!("nothing more can be read")
    };
    let broken = async {
        loop {
            let (_, asked) = frame(&mut ear).await.context("the agent has gone")?;
            let question = wire::decode_question(&asked)?;
            let answer = questions::answer(config, &question).await;
            // Who speaks has gone with the connection.
            let _ = mouth.send(Word::Answer(answer)).await;
        }
    };
    tokio::select! {
        read = reader::read(config, &mouth) => Ok(read?),
        ended = speaking => ended,
        ended = broken => ended,
    }
}

/// Whoever listens owns the folder that the socket is in.
fn is_agent(stream: &UnixStream, socket: &Path) -> anyhow::Result<()> {
    let peer = stream.peer_cred().context("nobody knows who listens")?;
    let folder = socket.parent().context("the socket has no folder")?;
    let owner = fs::metadata(folder)?.uid();
    let right = peer.uid() == 0 || peer.uid() == owner;
    ensure!(right, "user {} listens, whose folder it is not", peer.uid());
    Ok(())
}

fn bytes(word: Word) -> anyhow::Result<Vec<u8>> {
    let report = match word {
        Word::Answer(answer) => return framed(ANSWER, &wire::encode_answer(answer)),
        Word::Keys(keys) => Report::Keys(keys),
        Word::Finding(finding) => Report::Doctor(Doctor {
            findings: vec![finding],
            ..Doctor::default()
        }),
        // When it was is said by the agent.
        Word::Sshd(sshd) => Report::Restriction(Restriction {
            at: Timestamp::default(),
            news: News::Sshd(sshd),
        }),
    };
    let body = wire::encode(Record {
        seq: 0,
        covers: 0,
        kept_at: Timestamp::default(),
        boot: [0; 16],
        report,
    });
    framed(0, &body)
}

/// With its length and kind before it.
fn framed(kind: u32, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let size = u32::try_from(body.len())
        .ok()
        .filter(|size| *size <= LARGEST);
    let size = size.context("a report is too large to be told")? | kind;
    Ok([&size.to_be_bytes()[..], body].concat())
}
