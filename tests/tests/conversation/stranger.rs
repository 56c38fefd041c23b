//! What is refused: no certificate, another authority's, another host's numbers, holes, and floods.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use watchward_daemon::tls;
use watchward_protocol::record::Record;
use watchward_protocol::wire::v1;
use watchward_protocol::wire::v1::conversation_client::ConversationClient;

use super::*;

/// Chain and key in PEM, as something shows them.
type Shown = (String, String);

async fn dial(collector: &Collector, shown: Option<Shown>) -> Result<Channel> {
    let mut roots = RootCertStore::empty();
    for authority in tls::certificates(&collector.hosts.trust().authorities)? {
        roots.add(authority)?;
    }
    let settings = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)?
        .with_root_certificates(roots);
    let mut settings = match shown {
        None => settings.with_no_client_auth(),
        Some((chain, key)) => {
            let chain =
                CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
            settings.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
        }
    };
    settings.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(settings));
    let address = collector
        .uplink
        .collector
        .clone()
        .context("no address")?
        .to_string();
    let dial = tower::service_fn(move |_: http::Uri| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from("collector.watchward.internal").unwrap();
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    Ok(Endpoint::from_static("http://x")
        .connect_with_connector(dial)
        .await?)
}

fn identity(host: &watchward_agent::hosts::Config) -> Result<Shown> {
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&host.identity)?)?;
    let text = |key: &str| kept[key].as_str().unwrap().to_owned();
    Ok((text("chain"), text("key")))
}

/// A conversation as a stranger holds it, message by message.
struct Talk {
    say: mpsc::Sender<v1::FromAgent>,
    heard: Streaming<v1::FromCollector>,
}

async fn talk(collector: &Collector, shown: Option<Shown>) -> Result<Talk> {
    let mut client = ConversationClient::new(dial(collector, shown).await?);
    let (say, said) = mpsc::channel(16);
    let hello = v1::Hello {
        version: "test".to_owned(),
        epoch: 7,
    };
    say.send(wrap(v1::from_agent::Message::Hello(hello)))
        .await?;
    let heard = client
        .converse(ReceiverStream::new(said))
        .await?
        .into_inner();
    Ok(Talk { say, heard })
}

fn wrap(message: v1::from_agent::Message) -> v1::FromAgent {
    v1::FromAgent {
        message: Some(message),
    }
}

impl Talk {
    async fn send(&self, numbers: impl IntoIterator<Item = u64>) -> Result<()> {
        let record = |seq: u64| {
            let report = report(usize::try_from(seq - 1).unwrap());
            let kept_at = Timestamp::from_micros(0);
            v1::Record::from(Record {
                seq,
                covers: 0,
                kept_at,
                boot: [0; 16],
                report,
            })
        };
        let records = numbers.into_iter().map(record).collect();
        let batch = v1::Batch {
            lane: v1::Lane::Access.into(),
            records,
        };
        Ok(self
            .say
            .send(wrap(v1::from_agent::Message::Batch(batch)))
            .await?)
    }

    /// The next word on the access lane: acknowledged through, or to go on after.
    async fn answer(&mut self) -> Result<Result<u64, u64>, Status> {
        use v1::from_collector::Message;
        loop {
            let message = self.heard.message().await?;
            let Some(message) = message.and_then(|message| message.message) else {
                return Err(Status::aborted("it ended"));
            };
            match message {
                Message::Ack(ack) if ack.lane() == v1::Lane::Access => return Ok(Ok(ack.through)),
                Message::Resume(resume) if resume.lane() == v1::Lane::Access => {
                    return Ok(Err(resume.after));
                }
                Message::Ack(_) | Message::Resume(_) | Message::Order(_) | Message::Ask(_) => {}
            }
        }
    }
}

#[tokio::test]
async fn a_hole_is_refused_and_asked_for_and_a_repeat_changes_nothing() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let mut talk = talk(&collector, Some(identity(&host)?)).await?;
    assert_eq!(talk.answer().await?, Err(0), "it begins at the beginning");
    talk.send(1..=3).await?;
    assert_eq!(talk.answer().await?, Ok(3));
    talk.send([5]).await?;
    assert_eq!(talk.answer().await?, Err(3), "number 4 is missing");
    talk.send(2..=5).await?;
    assert_eq!(talk.answer().await?, Ok(5));
    ensure_exactly(&collector, "web-1", 5)
}

#[tokio::test]
async fn a_record_that_makes_no_sense_leaves_its_number_and_a_word() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let mut talk = talk(&collector, Some(identity(&host)?)).await?;
    talk.answer().await?.unwrap_err();
    let empty = v1::Record {
        seq: 1,
        ..v1::Record::default()
    };
    let batch = v1::Batch {
        lane: v1::Lane::Access.into(),
        records: vec![empty],
    };
    talk.say
        .send(wrap(v1::from_agent::Message::Batch(batch)))
        .await?;
    assert_eq!(talk.answer().await?, Ok(1));
    let heard = collector.heard.lock().unwrap();
    let Report::Gap(gap) = &heard[0].2 else {
        panic!("no gap")
    };
    assert!(gap.why.contains("malformed"), "{}", gap.why);
    Ok(())
}

#[tokio::test]
async fn a_message_that_only_a_newer_agent_says_is_passed_over() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let mut talk = talk(&collector, Some(identity(&host)?)).await?;
    talk.answer().await?.unwrap_err();
    talk.say.send(v1::FromAgent { message: None }).await?;
    talk.send([1]).await?;
    assert_eq!(talk.answer().await?, Ok(1));
    ensure_exactly(&collector, "web-1", 1)
}

#[tokio::test]
async fn nobody_talks_without_a_certificate_of_this_authority() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    assert!(
        talk(&collector, None).await.is_err(),
        "no certificate was needed"
    );

    // The same identity, signed by an authority of the stranger's own.
    let chain = identity(&host)?.0;
    let own = tls::certificates(&chain)?;
    let text = String::from_utf8_lossy(&own[0]).into_owned();
    let begin = text.find("watchward://host/").context("no identity")?;
    let uri: String = text[begin..]
        .chars()
        .take("watchward://host/".len() + 32)
        .collect();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let forged = params.signed_by(&key, &authority)?.pem();
    let shown = (forged, key.serialize_pem());
    assert!(
        talk(&collector, Some(shown)).await.is_err(),
        "a forged certificate was taken"
    );
    Ok(())
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_at_once_and_for_renewal() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let shown = identity(&host)?;
    let line = dial(&collector, Some(shown.clone())).await?;
    collector.ask("/v1/hosts/web-1/revoke", "").await?;
    let mut client = ConversationClient::new(line);
    let refused = client
        .renew(v1::RenewRequest {
            request: Vec::new(),
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let Err(error) = talk(&collector, Some(shown)).await else {
        panic!("it was let in")
    };
    assert!(error.to_string().contains("revoked"), "{error}");
    Ok(())
}

#[tokio::test]
async fn hosts_with_the_same_numbers_do_not_touch_each_other() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let (a, b) = (collector.enrol("a").await?, collector.enrol("b").await?);
    let mut a = talk(&collector, Some(identity(&a)?)).await?;
    let mut b = talk(&collector, Some(identity(&b)?)).await?;
    a.answer().await?.unwrap_err();
    b.answer().await?.unwrap_err();
    a.send(1..=10).await?;
    b.send(1..=4).await?;
    assert_eq!(a.answer().await?, Ok(10));
    assert_eq!(b.answer().await?, Ok(4));
    ensure_exactly(&collector, "a", 10)?;
    ensure_exactly(&collector, "b", 4)
}

#[tokio::test]
async fn a_message_too_large_ends_the_conversation_and_nothing_else() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let mut first = talk(&collector, Some(identity(&host)?)).await?;
    first.answer().await?.unwrap_err();
    let huge = Gap {
        source: "x".repeat(4 << 20),
        from: None,
        to: Timestamp::from_micros(0),
        lost: None,
        why: String::new(),
    };
    let kept_at = Timestamp::from_micros(0);
    let record = Record {
        seq: 1,
        covers: 0,
        kept_at,
        boot: [0; 16],
        report: Report::Gap(huge),
    };
    let batch = v1::Batch {
        lane: v1::Lane::Access.into(),
        records: vec![record.into()],
    };
    first
        .say
        .send(wrap(v1::from_agent::Message::Batch(batch)))
        .await?;
    assert!(first.answer().await.is_err(), "it was taken");

    let mut second = talk(&collector, Some(identity(&host)?)).await?;
    assert_eq!(second.answer().await?, Err(0));
    second.send([1]).await?;
    assert_eq!(second.answer().await?, Ok(1));
    Ok(())
}

#[tokio::test]
async fn another_record_under_the_last_number_is_a_copy_and_is_told_where_it_stands() -> Result<()>
{
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let mut talk = talk(&collector, Some(identity(&host)?)).await?;
    talk.answer().await?.unwrap_err();
    talk.send(1..=2).await?;
    assert_eq!(talk.answer().await?, Ok(2));
    let other = Record {
        seq: 2,
        covers: 0,
        kept_at: Timestamp::from_micros(9),
        boot: [0; 16],
        report: report(7),
    };
    let batch = v1::Batch {
        lane: v1::Lane::Access.into(),
        records: vec![other.into()],
    };
    talk.say
        .send(wrap(v1::from_agent::Message::Batch(batch)))
        .await?;
    assert_eq!(talk.answer().await?, Err(2), "it was taken for a repeat");
    Ok(())
}

#[tokio::test]
async fn a_host_has_one_conversation_the_newest() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let mut first = talk(&collector, Some(identity(&host)?)).await?;
    first.answer().await?.unwrap_err();
    let mut second = talk(&collector, Some(identity(&host)?)).await?;
    second.answer().await?.unwrap_err();
    assert_eq!(first.answer().await.unwrap_err().code(), Code::Aborted);
    second.send([1]).await?;
    assert_eq!(second.answer().await?, Ok(1));
    Ok(())
}

#[tokio::test]
async fn whoever_shakes_hands_and_says_nothing_is_let_go() -> Result<()> {
    use tokio::io::AsyncReadExt;
    let collector = Collector::start(Span::days(1)).await?;
    let mut roots = RootCertStore::empty();
    for authority in tls::certificates(&collector.hosts.trust().authorities)? {
        roots.add(authority)?;
    }
    let mut settings = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    settings.alpn_protocols = vec![b"h2".to_vec()];
    let address = collector
        .uplink
        .enrolment
        .clone()
        .context("no address")?
        .to_string();
    let stream = tokio::net::TcpStream::connect(address).await?;
    let name = ServerName::try_from("collector.watchward.internal")?;
    let connector = TlsConnector::from(Arc::new(settings));
    let mut stream = connector.connect(name, stream).await?;
    let mut heard = Vec::new();
    // The server's own first words, and then the end.
    let ended = stream.read_to_end(&mut heard);
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    assert!(ended.is_ok(), "the connection is still there");
    Ok(())
}
