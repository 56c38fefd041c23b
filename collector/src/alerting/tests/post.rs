//! Emails: the encrypted conversation, and what an email looks like.

use rcgen::{CertificateParams, KeyPair, SanType};

use super::mailbox::Mailbox;
use super::*;
use crate::alerting::attempt::Outcome;
use crate::alerting::email::Post;

const LIMIT: Duration = Duration::from_secs(10);

/// A mail server with a certificate for its address, and how to reach it.
fn encrypted(folder: &Path) -> (Mailbox, Smtp) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let certificate = params.self_signed(&key).unwrap();
    let provider = watchward_daemon::tls::provider();
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let mailbox = Mailbox::open_encrypted(tls);
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("password"), "hunter2\n").unwrap();
    let smtp = Smtp {
        host: "127.0.0.1".to_owned().try_into().unwrap(),
        port: mailbox.address.port().try_into().ok(),
        tls: Tls::Starttls,
        user: Some("watchward".to_owned()),
        password_file: Some(folder.join("password").into()),
        from: "Watchward <watchward@example.org>"
            .to_owned()
            .try_into()
            .unwrap(),
        ca_file: Some(folder.join("ca.pem")),
    };
    (mailbox, smtp)
}

async fn send(smtp: Smtp) -> Outcome {
    let message = message(Channel::Email, Kind::Opened, Severity::Critical);
    let post = Post::Smtp(Box::new(smtp));
    post.send(&message, LIMIT, NIGHT).await
}

#[tokio::test]
async fn starttls_with_a_private_authority_and_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let (mailbox, smtp) = encrypted(folder.path());
    let outcome = send(smtp).await;
    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    assert_eq!(mailbox.taken().len(), 1);
    assert!(
        mailbox
            .heard()
            .iter()
            .any(|line| line.starts_with("AUTH PLAIN"))
    );
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_shows_somebody_elses_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (mailbox, mut smtp) = encrypted(folder.path());
    let other = KeyPair::generate().unwrap();
    let stranger = CertificateParams::new(Vec::new())
        .unwrap()
        .self_signed(&other)
        .unwrap();
    let stranger_file = folder.path().join("stranger.pem");
    std::fs::write(&stranger_file, stranger.pem()).unwrap();
    smtp.ca_file = Some(stranger_file);
    let outcome = send(smtp).await;
    assert!(!matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    assert!(mailbox.heard().is_empty(), "{:?}", mailbox.heard());
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_message() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut smtp) = encrypted(folder.path());
    let clear = Mailbox::open();
    smtp.port = clear.address.port().try_into().ok();
    let outcome = send(smtp).await;
    assert!(matches!(outcome, Outcome::Blocked(_)), "{outcome:?}");
    assert!(clear.taken().is_empty());
    assert!(!clear.heard().iter().any(|line| line.starts_with("AUTH")));
}

#[tokio::test]
async fn html_in_what_was_seen_is_shown_and_not_run() {
    let mailbox = Mailbox::open();
    let smtp = Smtp {
        host: "127.0.0.1".to_owned().try_into().unwrap(),
        port: mailbox.address.port().try_into().ok(),
        tls: Tls::None,
        user: None,
        password_file: None,
        from: "watchward@example.org".to_owned().try_into().unwrap(),
        ca_file: None,
    };
    let mut message = message(Channel::Email, Kind::Opened, Severity::Critical);
    message.incident.detail = "<script>alert(1)</script>".to_owned();
    message.incident.subject = "bad\r\nBcc: all@example.org".to_owned();
    let post = Post::Smtp(Box::new(smtp));
    let outcome = post.send(&message, LIMIT, NIGHT).await;
    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    let mail = &mailbox.taken()[0];
    let html = mail.split("text/html").nth(1).unwrap();
    assert!(!html.contains("<script>"), "{html}");
    assert!(
        html.contains("&#60;script") || html.contains("&lt;script"),
        "{html}"
    );
    assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    assert!(
        !mail.contains("http://") && !mail.contains("https://"),
        "remote content"
    );
}
