//! A name server that really answers over UDP, well and badly.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::proto::op::{Message, MessageType};
use hickory_resolver::proto::rr::rdata::{A, MX, TXT};
use hickory_resolver::proto::rr::{RData, Record as Answer};
use tokio::net::UdpSocket;
use watchward_protocol::health::Verdict;

use super::*;

/// Answers every question until it is dropped.
async fn serve(socket: &UdpSocket) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let mut message = Message::from_vec(&buffer[..length]).unwrap();
        let query = message.queries[0].clone();
        let name = query.name().clone();
        let answer = |data| Answer::from_rdata(name.clone(), 300, data);
        let mut code = ResponseCode::NoError;
        match (
            name.to_ascii().to_ascii_lowercase().as_str(),
            query.query_type(),
        ) {
            ("www.example.test.", RecordType::A) => {
                message.answers = [2, 1]
                    .map(|last| answer(RData::A(A(Ipv4Addr::new(192, 0, 2, last)))))
                    .into();
            }
            ("www.example.test.", RecordType::MX) => {
                let mail = Name::from_ascii("Mail.example.test.").unwrap();
                message.answers = vec![answer(RData::MX(MX::new(10, mail)))];
            }
            ("www.example.test.", RecordType::TXT) => {
                let text = TXT::new(vec!["v=spf1 -all".to_owned()]);
                message.answers = vec![answer(RData::TXT(text))];
            }
            ("www.example.test.", _) => {}
            ("broken.example.test.", _) => code = ResponseCode::ServFail,
            ("secret.example.test.", _) => code = ResponseCode::Refused,
            _ => code = ResponseCode::NXDomain,
        }
        message.metadata.message_type = MessageType::Response;
        message.metadata.response_code = code;
        socket
            .send_to(&message.to_vec().unwrap(), from)
            .await
            .unwrap();
    }
}

async fn found(text: &str) -> Found {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let config = toml::from_str(&format!("server = \"{server}\"\n{text}")).unwrap();
    let mut found = tokio::select! {
        found = check(&config) => found,
        () = serve(&socket) => unreachable!(),
    };
    found.detail = found.detail.replace(&server.to_string(), "SERVER");
    found
}

#[tokio::test]
async fn answers_are_compared_with_what_is_expected() {
    for (text, verdict, detail) in [
        (
            "name = \"www.example.test\"\nexpect = [\"192.0.2.1\", \"192.0.2.2\"]",
            Verdict::Passed,
            "www.example.test A is 192.0.2.2, 192.0.2.1",
        ),
        (
            "name = \"www.example.test\"\nexpect = [\"192.0.2.1\"]",
            Verdict::Failed,
            "www.example.test A is 192.0.2.2, 192.0.2.1, expected 192.0.2.1",
        ),
        (
            "name = \"www.example.test\"\nrecord = \"MX\"\nexpect = [\"10 mail.example.test\"]",
            Verdict::Passed,
            "www.example.test MX is 10 Mail.example.test.",
        ),
        (
            "name = \"www.example.test\"\nrecord = \"TXT\"\nexpect = [\"v=spf1 -all\"]",
            Verdict::Passed,
            "www.example.test TXT is v=spf1 -all",
        ),
    ] {
        let found = found(text).await;
        assert_eq!((found.verdict, found.detail.as_str()), (verdict, detail));
    }
    let values = found("name = \"www.example.test\"").await.values;
    let values: Vec<_> = values
        .iter()
        .map(|one| (one.name.as_str(), one.number))
        .collect();
    assert_eq!(values, [("answers", 2.0), ("ttl", 300.0)]);
}

#[tokio::test]
async fn what_does_not_exist_and_what_failed_are_told_apart() {
    for (text, detail) in [
        (
            "name = \"none.example.test\"",
            "none.example.test does not exist (NXDOMAIN), says SERVER",
        ),
        (
            "name = \"www.example.test\"\nrecord = \"AAAA\"",
            "www.example.test has no AAAA record, says SERVER",
        ),
        (
            "name = \"broken.example.test\"",
            "SERVER failed to resolve broken.example.test (SERVFAIL)",
        ),
        (
            "name = \"secret.example.test\"",
            "SERVER refused to resolve secret.example.test (REFUSED)",
        ),
    ] {
        let found = found(text).await;
        assert_eq!(
            (found.verdict, found.detail.as_str()),
            (Verdict::Failed, detail)
        );
    }
}

#[tokio::test]
async fn a_server_that_is_silent_fails() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server: SocketAddr = socket.local_addr().unwrap();
    let text = format!("server = \"{server}\"\nname = \"www.example.test\"\ntimeout = \"200ms\"");
    let found = check(&toml::from_str(&text).unwrap()).await;
    assert_eq!(found.verdict, Verdict::Failed);
    let start = format!("no answer from {server} about www.example.test");
    assert!(found.detail.starts_with(&start), "{}", found.detail);
}
