//! An agent and the reader beside it, on a socket: what is told, and what is said when one has gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use watchward_protocol::hosts::Finding;
use watchward_protocol::keys::Holder;
use watchward_protocol::record::Report;

use super::*;
use crate::spool::Entry;

const BOUND: Duration = Duration::from_secs(60);

struct Agent {
    config: Config,
    kept: mpsc::Receiver<Entry>,
    found: UnboundedReceiver<Finding>,
    stop: Stop,
}

impl Agent {
    /// What runs it, and what comes out of it.
    fn new(folder: &tempfile::TempDir) -> (impl Future<Output = anyhow::Result<()>>, Self) {
        let config = Config {
            reader: Reader::Beside,
            socket: folder.path().join("keys.sock"),
            sshd: folder.path().join("no-sshd"),
            ..Config::default()
        };
        let (keeper, kept) = Keeper::new();
        let (findings, found) = mpsc::unbounded_channel();
        let stop = Stop::new();
        let live = Live::fixed(config.clone());
        let running = run(
            live,
            keeper,
            findings,
            (Arc::new(|| None), mpsc::channel(1).1),
            stop.clone(),
        );
        let agent = Self {
            config,
            kept,
            found,
            stop,
        };
        (running, agent)
    }

    /// Waits until the reader has told of the host.
    async fn hears_of_the_host(&mut self) {
        let host = async {
            loop {
                let entry = self.kept.recv().await.unwrap();
                if let [Report::Keys(keys)] = &entry.reports[..]
                    && let Holder::Host(accounts) = &keys.holder
                {
                    return accounts.clone();
                }
            }
        };
        let accounts = tokio::time::timeout(BOUND, host).await.unwrap();
        assert_eq!(accounts, [], "it has no sshd, so that nothing opens any");
    }

    async fn says(&mut self, state: FindingState, words: &str) {
        let said = async {
            loop {
                let finding = self.found.recv().await.unwrap();
                if finding.state == state && finding.detail.contains(words) {
                    return;
                }
            }
        };
        let said = tokio::time::timeout(BOUND, said).await;
        said.unwrap_or_else(|_| panic!("never said: {words}"));
    }
}

#[tokio::test]
async fn everything_is_told_again_when_a_reader_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (running, mut agent) = Agent::new(&folder);
    let story = async {
        for _ in 0..2 {
            let stop = Stop::new();
            let reader = read(Live::fixed(agent.config.clone()), stop.clone());
            let heard = async {
                agent.hears_of_the_host().await;
                agent.says(FindingState::Absent, "there is no sshd").await;
                stop.cancel();
            };
            let (ended, ()) = tokio::join!(reader, heard);
            ended.unwrap();
            agent
                .says(FindingState::Failing, "the reader has gone")
                .await;
        }
        agent.stop.cancel();
    };
    let (ended, ()) = tokio::join!(running, story);
    ended.unwrap();
}

#[tokio::test]
async fn what_no_reader_would_say_ends_the_conversation() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let folder = tempfile::tempdir().unwrap();
    let (running, mut agent) = Agent::new(&folder);
    let story = async {
        let huge = u32::MAX.to_be_bytes().to_vec();
        let rubbish = [&4_u32.to_be_bytes()[..], b"\xff\xff\xff\xff"].concat();
        for said in [huge, rubbish] {
            let mut stream = loop {
                match tokio::net::UnixStream::connect(&agent.config.socket).await {
                    Ok(stream) => break stream,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            stream.write_all(&said).await.unwrap();
            let ended = tokio::time::timeout(BOUND, stream.read(&mut [0])).await;
            assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
            agent
                .says(FindingState::Failing, "the reader has gone")
                .await;
        }
        assert!(agent.kept.try_recv().is_err(), "nothing of it is kept");
        agent.stop.cancel();
    };
    let (ended, ()) = tokio::join!(running, story);
    ended.unwrap();
}
