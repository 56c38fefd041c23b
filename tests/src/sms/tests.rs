//! The stand-in answers as Twilio does.

use std::io::{Read, Write};

use super::*;
use crate::wait::{SOON, until};

const MESSAGES: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages";
const FORM: &str = "To=%2B15550100&From=%2B15550199&Body=sshd+on+web";

fn ask(gateway: &Gateway, line: &str, token: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    let credentials = BASE64_STANDARD.encode(format!("{ACCOUNT}:{token}"));
    write!(
        stream,
        "{line} HTTP/1.1\r\nAuthorization: Basic {credentials}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return (0, Value::Null);
    };
    (
        head[9..12].parse().unwrap(),
        serde_json::from_str(body).unwrap(),
    )
}

fn send(gateway: &Gateway) -> (u16, Value) {
    ask(gateway, &format!("POST {MESSAGES}.json"), TOKEN, FORM)
}

#[test]
fn takes_a_message_and_lists_it_by_its_receiver() {
    let gateway = Gateway::start().unwrap();
    let (status, created) = send(&gateway);
    assert_eq!(status, 201);
    let sid = created["sid"].as_str().unwrap();
    assert!(sid.starts_with("SM") && sid.len() == 34, "{sid}");
    assert_eq!(gateway.taken()[0].body, "sshd on web");

    let (_, mine) = ask(
        &gateway,
        &format!("GET {MESSAGES}.json?To=%2B15550100"),
        TOKEN,
        "",
    );
    assert_eq!(mine["messages"][0]["sid"], sid);
    let (_, others) = ask(
        &gateway,
        &format!("GET {MESSAGES}.json?To=%2B15550101"),
        TOKEN,
        "",
    );
    assert_eq!(others["messages"], json!([]));
    let (status, one) = ask(&gateway, &format!("GET {MESSAGES}/{sid}.json"), TOKEN, "");
    assert_eq!((status, &one["body"]), (200, &json!("sshd on web")));
    assert_eq!(
        (&one["status"], &one["error_code"]),
        (&json!("queued"), &Value::Null)
    );
    gateway.says("undelivered", 30003);
    let (_, one) = ask(&gateway, &format!("GET {MESSAGES}/{sid}.json"), TOKEN, "");
    assert_eq!(
        (&one["status"], &one["error_code"]),
        (&json!("undelivered"), &json!(30003))
    );
}

#[test]
fn refuses_as_twilio_does() {
    let gateway = Gateway::start().unwrap();
    gateway.script([Reply::Refuse(400, 21610), Reply::Refuse(429, 20429)]);
    let (status, refused) = send(&gateway);
    assert_eq!(
        (status, &refused["code"], &refused["status"]),
        (400, &json!(21610), &json!(400))
    );
    assert!(refused["message"].is_string());
    assert_eq!(send(&gateway).0, 429);
    assert_eq!(send(&gateway).0, 201);
    let bad = FORM.replace("%2B15550100", "nobody");
    let (status, refused) = ask(&gateway, &format!("POST {MESSAGES}.json"), TOKEN, &bad);
    assert_eq!((status, &refused["code"]), (400, &json!(21211)));
    let (status, refused) = ask(&gateway, &format!("POST {MESSAGES}.json"), "wrong", FORM);
    assert_eq!((status, &refused["code"]), (401, &json!(20003)));
    assert_eq!(gateway.taken().len(), 1);
}

#[test]
fn loses_the_answer_or_the_message() {
    let gateway = Gateway::start().unwrap();
    gateway.script([Reply::AcceptUnheard, Reply::HangUp]);
    assert_eq!(send(&gateway).0, 0);
    assert_eq!(gateway.taken().len(), 1);
    assert_eq!(send(&gateway).0, 0);
    assert_eq!((gateway.taken().len(), gateway.tries()), (1, 2));
}

#[test]
fn goes_down_and_comes_up_where_it_was() {
    let mut gateway = Gateway::start().unwrap();
    gateway.down();
    // A program that another test starts at this moment has the socket until it is another program.
    until("nobody listens", SOON, || {
        Ok(TcpStream::connect(gateway.address).is_err().then_some(()))
    })
    .unwrap();
    gateway.up().unwrap();
    assert_eq!(send(&gateway).0, 201);
}
