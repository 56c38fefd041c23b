//! Conversations with a collector that says what it is told to say, and then ends.

use std::io;
use std::sync::Mutex;

use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use tokio::sync::{Notify, watch};
use tokio_stream::StreamExt;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use v1::conversation_server::{Conversation, ConversationServer};
use watchward_daemon::tls::Identity;
use watchward_daemon::watchdog::Watchdog;

use super::*;
use crate::spool;
use crate::uplink::orders::Orders;
use crate::uplink::redial;

type Replies = ReceiverStream<Result<v1::FromCollector, Status>>;

struct Collector(Mutex<Option<Replies>>);

#[tonic::async_trait]
impl Conversation for Collector {
    type ConverseStream = Replies;

    async fn converse(
        &self,
        _: Request<Streaming<v1::FromAgent>>,
    ) -> Result<Response<Replies>, Status> {
        let replies = self.0.lock().unwrap().take();
        Ok(Response::new(replies.unwrap()))
    }

    async fn renew(
        &self,
        _: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::Credentials>, Status> {
        Err(Status::unimplemented("nobody asks for that here"))
    }
}

/// How a conversation ends whose collector says this, waits so long, and goes.
async fn end(says: &[v1::from_collector::Message], stays: Duration) -> Broken {
    let (reply, replies) = mpsc::channel(8);
    let collector = Collector(Mutex::new(Some(ReceiverStream::new(replies))));
    let (near, far) = tokio::io::duplex(64 << 10);
    let accepted = tokio_stream::once(Ok::<_, io::Error>(far)).chain(tokio_stream::pending());
    let serve = Server::builder()
        .add_service(ConversationServer::new(collector))
        .serve_with_incoming(accepted);
    let near = Mutex::new(Some(TokioIo::new(near)));
    let dial = tower::service_fn(move |_| {
        let near = near.lock().unwrap().take();
        async { near.ok_or_else(|| io::Error::other("it has gone")) }
    });
    let line = async {
        let endpoint = Endpoint::from_static("http://collector");
        endpoint.connect_with_connector(dial).await.unwrap()
    };
    let speak = async {
        for message in says {
            let message = Some(message.clone());
            reply.send(Ok(v1::FromCollector { message })).await.unwrap();
        }
        tokio::time::sleep(stays).await;
        drop(reply);
        std::future::pending::<Broken>().await
    };
    tokio::select! {
        served = serve => panic!("{served:?}"),
        broken = speak => broken,
        broken = async { talk(line.await).await } => broken,
    }
}

/// Holds the agent's side with an empty spool.
async fn talk(line: Channel) -> Broken {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_owned();
    let settings = spool::Config {
        directory,
        ..spool::Config::default()
    };
    let spool = Spool::open(settings).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::default().self_signed(&key).unwrap();
    let standing = Standing {
        collector: None,
        identity: Identity::from_pem(&own.pem(), &key.serialize_pem()).unwrap(),
        authorities: own.pem().into(),
        changed: Notify::new(),
    };
    let stop = Stop::new();
    let (orders, _) = Orders::open(folder.path());
    let nobody = Answerers {
        reach: mpsc::channel(1).0,
        proof: mpsc::channel(1).0,
        elsewhere: mpsc::channel(1).0,
        visits: mpsc::channel(1).0,
    };
    let sides = Sides {
        spool: &spool,
        standing: &standing,
        orders: &orders,
        answerers: &nobody,
        stop: &stop,
        pulse: &Watchdog::of_unit().pulse(),
    };
    let (_hand, mut grown) = watch::channel(PerLane::default());
    let (_wish, renewals) = mpsc::channel(1);
    let (_redial, redials) = redial();
    let mut asked = (renewals, redials);
    let config = Config::default();
    let held = hold(line, &config, sides, &mut grown, &mut asked).await;
    held.expect_err("the collector has gone")
}

fn resume() -> v1::from_collector::Message {
    v1::from_collector::Message::Resume(v1::Resume {
        lane: v1::Lane::Access.into(),
        after: 0,
        kept_at: 0,
    })
}

fn ack() -> v1::from_collector::Message {
    v1::from_collector::Message::Ack(v1::Ack {
        lane: v1::Lane::Access.into(),
        through: 0,
    })
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_ends_at_its_start_has_failed() {
    let broken = end(&[resume()], Duration::from_secs(1)).await;
    assert!(!broken.stood, "{:#}", broken.error);
    assert!(format!("{:#}", broken.error).contains("ended the conversation"));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stood_once_something_was_kept_or_when_it_lasted() {
    assert!(end(&[resume(), ack()], Duration::ZERO).await.stood);
    assert!(end(&[resume()], Duration::from_secs(31)).await.stood);
}
