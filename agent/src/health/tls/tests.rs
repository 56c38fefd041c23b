//! Servers that really speak TLS, with certificates that are right, old, strange or another's.

use std::io::Write;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use watchward_protocol::health::Verdict;

use super::*;
use crate::health::look::Looks;

/// 2039-12-25.
const NOW: i64 = 2_208_384_000_000_000;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn parameters(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(years.0, 1, 1);
    parameters.not_after = date_time_ymd(years.1, 1, 1);
    parameters
}

fn authority(name: &str, years: (i32, i32), above: Option<&Authority>) -> Authority {
    let mut parameters = parameters(name, years);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    match above {
        Some(above) => CertifiedIssuer::signed_by(parameters, key, above).unwrap(),
        None => CertifiedIssuer::self_signed(parameters, key).unwrap(),
    }
}

/// What a server has: its chain, and the key of the first of it.
struct Served {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// A certificate for `localhost`, by this authority or by itself.
fn served(name: &str, years: (i32, i32), by: Option<&Authority>) -> Served {
    let mut parameters = parameters(name, years);
    let alternative = rcgen::SanType::DnsName(name.try_into().unwrap());
    parameters.subject_alt_names = vec![alternative];
    let key = KeyPair::generate().unwrap();
    let own = match by {
        Some(by) => {
            let issuer: &Issuer<'_, KeyPair> = by;
            parameters.signed_by(&key, issuer).unwrap()
        }
        None => parameters.self_signed(&key).unwrap(),
    };
    let chain = vec![own.der().clone()];
    Served { chain, key }
}

fn pem(authority: &Authority) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(authority.as_ref().pem().as_bytes()).unwrap();
    file
}

/// What is said and answered before TLS begins.
type Preamble = &'static [(&'static [u8], &'static [u8])];

async fn serve(listener: &TcpListener, served: &Served, preamble: Preamble) {
    let key = PrivatePkcs8KeyDer::from(served.key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(served.chain.clone(), key.into())
        .unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    for (heard, said) in preamble {
        let mut words = vec![0; heard.len()];
        stream.read_exact(&mut words).await.unwrap();
        assert_eq!(words, *heard);
        stream.write_all(said).await.unwrap();
    }
    let shaken = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
    if let Ok(mut stream) = shaken {
        let _ = stream.read(&mut [0; 1]).await;
    }
}

async fn checked(config: &Config, now: Timestamp) -> Found {
    check(config, &Looks::default().one(), now).await
}

/// What is found of such a server, whose address is told as HOST.
async fn found(served: &Served, ca: &NamedTempFile, more: &str, preamble: Preamble) -> Found {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!(
        "address = \"localhost:{port}\"\nca_file = \"{}\"\n{more}",
        ca.path().display()
    );
    let config = toml::from_str(&text).unwrap();
    let now = Timestamp::from_micros(NOW);
    let (mut found, ()) = tokio::join!(checked(&config, now), serve(&listener, served, preamble));
    let file = ca.path().display().to_string();
    found.detail = found
        .detail
        .replace(&format!("localhost:{port}"), "HOST")
        .replace(&file, "FILE");
    found
}

fn facts(found: &Found) -> (Verdict, &str) {
    (found.verdict, found.detail.as_str())
}

#[tokio::test]
async fn what_is_right_passes_and_what_expires_soon_fails() {
    let root = authority("Our Root", (2020, 2100), None);
    let ca = pem(&root);
    let long = found(
        &served("localhost", (2020, 2041), Some(&root)),
        &ca,
        "",
        &[],
    )
    .await;
    let detail = "certificate of HOST is valid for 373 days (until 2041-01-01)";
    assert_eq!(facts(&long), (Verdict::Passed, detail));
    assert_eq!(
        (long.values[0].number, long.values[0].unit.as_str()),
        (373.0, "d")
    );

    let soon = served("localhost", (2020, 2040), Some(&root));
    let detail = "certificate of HOST expires in 7 days (2040-01-01)";
    assert_eq!(
        facts(&found(&soon, &ca, "", &[]).await),
        (Verdict::Failed, detail)
    );
    let found = found(&soon, &ca, "warn = \"6d\"", &[]).await;
    assert_eq!(found.verdict, Verdict::Passed);
}

#[tokio::test]
async fn the_whole_chain_is_looked_at() {
    let root = authority("Our Root", (2020, 2100), None);
    let between = authority("Our Issuer", (2020, 2040), Some(&root));
    let mut served = served("localhost", (2020, 2050), Some(&between));
    served.chain.push(between.as_ref().der().clone());
    let ca = pem(&root);
    let detail =
        "certificate \"CN=Our Issuer\" in the chain of HOST expires in 7 days (2040-01-01)";
    assert_eq!(
        facts(&found(&served, &ca, "", &[]).await),
        (Verdict::Failed, detail)
    );

    served.chain.truncate(1);
    let detail = "no authority in FILE vouches for the certificate of HOST, which is by \
                  \"CN=Our Issuer\" (no intermediate certificate is served)";
    assert_eq!(
        facts(&found(&served, &ca, "", &[]).await),
        (Verdict::Failed, detail)
    );
}

#[tokio::test]
async fn a_certificate_that_is_itself_in_the_file_is_trusted() {
    // As `openssl req -x509` makes them: self-signed, and an authority.
    let made = |name: &str, years| {
        let mut parameters = parameters(name, years);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let alternative = rcgen::SanType::DnsName(name.try_into().unwrap());
        parameters.subject_alt_names = vec![alternative];
        let key = KeyPair::generate().unwrap();
        let own = parameters.self_signed(&key).unwrap();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(own.pem().as_bytes()).unwrap();
        let chain = vec![own.der().clone()];
        (Served { chain, key }, file)
    };
    let (own, file) = made("localhost", (2020, 2041));
    let right = found(&own, &file, "", &[]).await;
    assert_eq!(right.verdict, Verdict::Passed, "{right:?}");
    let (twin, _) = made("localhost", (2020, 2041));
    let another = found(&twin, &file, "", &[]).await;
    let detail = "the certificate of HOST is self-signed, no authority in FILE vouches for it";
    assert_eq!(facts(&another), (Verdict::Failed, detail));
    let (old, file) = made("www.example.com", (2020, 2021));
    let detail = "certificate of HOST expired 6932 days ago (2021-01-01); the certificate of HOST \
                  is for www.example.com, not for localhost";
    assert_eq!(
        facts(&found(&old, &file, "", &[]).await),
        (Verdict::Failed, detail)
    );
}

#[tokio::test]
async fn all_that_is_wrong_is_said_in_words() {
    let root = authority("Our Root", (2020, 2100), None);
    let other = authority("Other Root", (2020, 2100), None);
    let ca = pem(&root);
    let strange = served("localhost", (2020, 2090), Some(&other));
    let own = served("localhost", (2020, 2090), None);
    let misnamed = served("www.example.com", (2020, 2090), Some(&root));
    let expired = served("www.example.com", (2020, 2021), Some(&other));
    let early = served("localhost", (2060, 2090), Some(&root));
    for (served, detail) in [
        (
            strange,
            "no authority in FILE vouches for the certificate of HOST, which is by \"CN=Other \
             Root\" (no intermediate certificate is served)",
        ),
        (
            own,
            "the certificate of HOST is self-signed, no authority in FILE vouches for it",
        ),
        (
            misnamed,
            "the certificate of HOST is for www.example.com, not for localhost",
        ),
        (
            expired,
            "certificate of HOST expired 6932 days ago (2021-01-01); no authority in FILE vouches \
             for the certificate of HOST, which is by \"CN=Other Root\" (no intermediate \
             certificate is served); the certificate of HOST is for www.example.com, not for \
             localhost",
        ),
        (
            early,
            "certificate of HOST is not valid before 2060-01-01T00:00:00Z",
        ),
    ] {
        let found = found(&served, &ca, "", &[]).await;
        assert_eq!(facts(&found), (Verdict::Failed, detail));
    }
}

#[tokio::test]
async fn the_name_that_is_asked_for_may_be_another() {
    let root = authority("Our Root", (2020, 2100), None);
    let served = served("www.example.com", (2020, 2090), Some(&root));
    let found = found(
        &served,
        &pem(&root),
        "server_name = \"www.example.com\"",
        &[],
    )
    .await;
    assert_eq!(found.verdict, Verdict::Passed, "{found:?}");
}

#[tokio::test]
async fn protocols_that_begin_without_tls_are_spoken() {
    let root = authority("Our Root", (2020, 2100), None);
    let served = served("localhost", (2020, 2090), Some(&root));
    let ca = pem(&root);
    let dialogues: [(&str, Preamble); 5] = [
        (
            "smtp",
            &[
                (b"", b"220-mail.example.test\r\n220 ready\r\n"),
                (
                    b"EHLO watchward.invalid\r\n",
                    b"250-mail.example.test\r\n250-SIZE 1\r\n250 STARTTLS\r\n",
                ),
                (b"STARTTLS\r\n", b"220 go on\r\n"),
            ],
        ),
        (
            "imap",
            &[
                (b"", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
                (b"w1 STARTTLS\r\n", b"* still here\r\nw1 OK begin\r\n"),
            ],
        ),
        (
            "pop3",
            &[(b"", b"+OK ready\r\n"), (b"STLS\r\n", b"+OK begin\r\n")],
        ),
        ("postgres", &[(b"\0\0\0\x08\x04\xd2\x16/", b"S")]),
        (
            "ldap",
            &[(
                b"0\x1d\x02\x01\x01w\x18\x80\x161.3.6.1.4.1.1466.20037",
                b"0\x0c\x02\x01\x01x\x07\n\x01\0\x04\0\x04\0",
            )],
        ),
    ];
    for (protocol, preamble) in dialogues {
        let more = format!("starttls = \"{protocol}\"");
        let found = found(&served, &ca, &more, preamble).await;
        assert_eq!(found.verdict, Verdict::Passed, "{protocol}: {found:?}");
    }
}

/// What is found of a server that says only this.
async fn answered(said: &'static [u8], more: &str) -> Found {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ca = pem(&authority("Our Root", (2020, 2100), None));
    let file = ca.path().display();
    let text = format!("address = \"localhost:{port}\"\nca_file = \"{file}\"\n{more}");
    let config = toml::from_str(&text).unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(said).await.unwrap();
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (mut found, ()) = tokio::join!(checked(&config, Timestamp::from_micros(NOW)), serve);
    found.detail = found.detail.replace(&format!("localhost:{port}"), "HOST");
    found
}

#[tokio::test]
async fn who_does_not_begin_tls_fails_and_says_why() {
    for (protocol, said, detail) in [
        (
            "smtp",
            b"554 no \x1b service\r\n".as_slice(),
            "\"554 no \x1b service\"",
        ),
        ("postgres", b"N", "it has no TLS"),
        ("pop3", b"-ERR\r\n", "\"-ERR\""),
        ("imap", b"* BYE\r\n", "\"* BYE\""),
        (
            "ldap",
            b"0\x0c\x02\x01\x01x\x07\n\x01\x02\x04\0\x04\0",
            "result 2",
        ),
    ] {
        let found = answered(said, &format!("starttls = \"{protocol}\"")).await;
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(
            found.detail.starts_with("HOST does not begin TLS in "),
            "{found:?}"
        );
        assert!(found.detail.contains(detail), "{found:?}");
    }
    let plain = answered(b"SSH-2.0-OpenSSH_9.2\r\n", "").await;
    assert_eq!(plain.verdict, Verdict::Failed);
    assert!(
        plain
            .detail
            .starts_with("HOST does not speak TLS with this host"),
        "{plain:?}"
    );
}

#[tokio::test]
async fn what_this_host_lacks_is_unknown() {
    for (file, why) in [
        ("/no/such/file", "No such file or directory (os error 2)"),
        ("/dev/zero", "it is no regular file"),
    ] {
        let text = format!("address = \"localhost:1\"\nca_file = \"{file}\"");
        let found = checked(&toml::from_str(&text).unwrap(), Timestamp::default()).await;
        let detail = format!("the agent cannot read {file}: {why}");
        assert_eq!(facts(&found), (Verdict::Unknown, detail.as_str()));
    }
}
