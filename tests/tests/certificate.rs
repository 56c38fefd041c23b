//! The page's own certificate: shown in a real handshake, exchanged while connections go on, and kept
//! when the next one is bad.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use watchward_daemon::tls;
use watchward_tests::programs;
use watchward_tests::wait::{SOON, until};

/// A collector whose page has a certificate; it ends with the test.
struct Collector {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

/// A certificate for `localhost`, its own authority, with its key.
struct Made {
    certificate: CertificateDer<'static>,
    chain: String,
    key: String,
}

impl Made {
    fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        Ok(Self {
            certificate: made.cert.der().clone(),
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        })
    }
}

impl Collector {
    fn start(first: &Made) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (at, page) = (folder.path().display(), port()?);
        let text = format!(
            "[store]\ndatabase = \"sqlite://{at}/db\"\n\
             [intake]\nlisten = \"127.0.0.1:{}\"\nenrolment = \"127.0.0.1:{}\"\n\
             [admin]\nsocket = \"{at}/socket\"\n\
             [web]\nlisten = \"127.0.0.1:{page}\"\n\
             certificate = \"{at}/page.pem\"\nkey = \"{at}/page.key\"\n\
             [alerting]\nfolder = \"{at}/messages\"\n\
             [policy]\nfile = \"{at}/policy.toml\"\n\
             [hosts]\nauthority = \"{at}/authority.pem\"\n",
            port()?,
            port()?
        );
        fs::write(folder.path().join("collector.toml"), text)?;
        place(folder.path(), &first.chain, &first.key)?;
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(programs::path(programs::COLLECTOR)?)
            .arg("--config")
            .arg(folder.path().join("collector.toml"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        let collector = Self {
            folder,
            port: page,
            child,
        };
        until("the page is there", SOON, || {
            Ok(TcpStream::connect(("127.0.0.1", page)).ok())
        })?;
        Ok(collector)
    }

    /// Puts this in the place of the certificate and its key, and has it read.
    fn read_again(&self, chain: &str, key: &str) -> Result<()> {
        place(self.folder.path(), chain, key)?;
        Ok(kill_process(Pid::from_child(&self.child), Signal::HUP)?)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Shakes hands, believing these certificates.
    fn connect(&self, trusted: &[&Made]) -> Result<Line> {
        let mut roots = RootCertStore::empty();
        for made in trusted {
            roots.add(made.certificate.clone())?;
        }
        let config = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), "localhost".try_into()?)?;
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(SOON))?;
        let mut line = Line(BufReader::new(StreamOwned::new(client, stream)));
        line.ask()?;
        Ok(line)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn place(folder: &Path, chain: &str, key: &str) -> Result<()> {
    fs::write(folder.join("page.pem"), chain)?;
    Ok(fs::write(folder.join("page.key"), key)?)
}

/// A connection that stays open from one request to the next.
struct Line(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Line {
    /// Asks for the door, and reads the whole answer.
    fn ask(&mut self) -> Result<()> {
        let request = "GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.0.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length) = (String::new(), 0);
        self.0.read_line(&mut status)?;
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse()?;
            }
        }
        self.0.read_exact(&mut vec![0; length])?;
        ensure!(status.starts_with("HTTP/1.1 200 "), "{status}");
        Ok(())
    }

    /// The certificate that was shown.
    fn shown(&self) -> Result<&CertificateDer<'static>> {
        let shown = self.0.get_ref().conn.peer_certificates();
        shown.and_then(|all| all.first()).context("none was shown")
    }
}

#[test]
fn the_certificate_is_exchanged_while_connections_go_on_and_a_bad_one_is_not_taken() -> Result<()> {
    let (first, second) = (Made::new()?, Made::new()?);
    let collector = Collector::start(&first)?;
    let both = [&first, &second];
    let mut old = collector.connect(&both)?;
    ensure!(*old.shown()? == first.certificate);
    ensure!(
        collector.connect(&[&second]).is_err(),
        "the handshake proves nothing"
    );

    for (chain, key, why) in [
        (&second.chain, &first.key, "do not belong together"),
        (&"nonsense".to_owned(), &first.key, "no certificate in PEM"),
    ] {
        collector.read_again(chain, key)?;
        until("the mistake is logged with its place", SOON, || {
            let log = collector.log();
            let place = log.contains("page.pem") && log.contains("keeps the certificate");
            Ok((place && log.contains(why)).then_some(()))
        })?;
        let new = collector.connect(&both)?;
        ensure!(*new.shown()? == first.certificate, "a bad one was taken");
        old.ask()?;
    }

    collector.read_again(&second.chain, &second.key)?;
    until("new connections are shown the new one", SOON, || {
        let new = collector.connect(&both)?;
        Ok((*new.shown()? == second.certificate).then_some(()))
    })?;
    old.ask().context("the old connection was dropped")?;
    ensure!(*old.shown()? == first.certificate);
    Ok(())
}

#[test]
fn whoever_speaks_http_is_told_to_speak_https() -> Result<()> {
    let collector = Collector::start(&Made::new()?)?;
    let say = |text: &[u8]| -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", collector.port))?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(text)?;
        let mut said = Vec::new();
        // However it ends: it ends.
        let _ = stream.read_to_end(&mut said);
        Ok(String::from_utf8_lossy(&said).into_owned())
    };
    let answer = say(b"GET /hosts?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    ensure!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("put https:// before"),
        "{answer}"
    );
    let answer = say(b"\x05\x01\x00 nothing that anybody speaks")?;
    ensure!(!answer.contains("HTTP"), "{answer}");
    Ok(())
}
