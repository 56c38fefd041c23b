//! What is spoken before TLS begins, in protocols that begin without it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchward_protocol::checks::tls::StartTls;

use crate::health::words::shortened;

/// The longest line that is read, and how many of them before an answer.
const LONGEST: usize = 2048;
const LINES: usize = 100;

/// Asks the server to begin TLS. After this, the next byte is of the handshake.
pub(super) async fn ask(protocol: StartTls, stream: &mut TcpStream) -> io::Result<()> {
    match protocol {
        StartTls::Smtp => smtp(stream).await,
        StartTls::Imap => imap(stream).await,
        StartTls::Pop3 => pop3(stream).await,
        StartTls::Postgres => postgres(stream).await,
        StartTls::Ldap => ldap(stream).await,
    }
}

async fn smtp(stream: &mut TcpStream) -> io::Result<()> {
    reply(stream, "220").await?;
    stream.write_all(b"EHLO watchward.invalid\r\n").await?;
    reply(stream, "250").await?;
    stream.write_all(b"STARTTLS\r\n").await?;
    reply(stream, "220").await
}

/// A reply of SMTP may have several lines; the last one has a blank after its number.
async fn reply(stream: &mut TcpStream, number: &str) -> io::Result<()> {
    for _ in 0..LINES {
        let line = line(stream).await?;
        match line.strip_prefix(number) {
            Some(rest) if rest.starts_with('-') => {}
            Some(_) => return Ok(()),
            None => return Err(refused(&line)),
        }
    }
    Err(endless())
}

async fn imap(stream: &mut TcpStream) -> io::Result<()> {
    let greeting = line(stream).await?;
    if !greeting.starts_with("* OK") {
        return Err(refused(&greeting));
    }
    stream.write_all(b"w1 STARTTLS\r\n").await?;
    for _ in 0..LINES {
        let line = line(stream).await?;
        if line.starts_with("w1 OK") {
            return Ok(());
        }
        if !line.starts_with('*') {
            return Err(refused(&line));
        }
    }
    Err(endless())
}

async fn pop3(stream: &mut TcpStream) -> io::Result<()> {
    for asked in [None, Some(b"STLS\r\n")] {
        if let Some(question) = asked {
            stream.write_all(question).await?;
        }
        let line = line(stream).await?;
        if !line.starts_with("+OK") {
            return Err(refused(&line));
        }
    }
    Ok(())
}

/// `SSLRequest`: its length and the number 80877103; the answer is one byte.
async fn postgres(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
    match stream.read_u8().await? {
        b'S' => Ok(()),
        b'N' => Err(io::Error::other("it answered that it has no TLS")),
        byte => Err(refused(&char::from(byte).to_string())),
    }
}

/// An `ExtendedRequest` in BER for StartTLS, and the result of its response: 0 is success.
async fn ldap(stream: &mut TcpStream) -> io::Result<()> {
    let request = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    stream.write_all(request).await?;
    let message = element(stream).await?;
    let result = match message.as_slice() {
        [0x02, 0x01, 0x01, 0x78, response @ ..] => enumerated(response),
        _ => None,
    };
    match result {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::other(format!("it answered with result {code}"))),
        None => Err(refused("something that is not LDAP")),
    }
}

/// The contents of a sequence that comes now.
async fn element(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    if stream.read_u8().await? != 0x30 {
        return Err(refused("something that is not LDAP"));
    }
    let mut length = usize::from(stream.read_u8().await?);
    if length > 0x80 {
        let bytes = length - 0x80;
        length = 0;
        for _ in 0..bytes.min(4) {
            length = (length << 8) | usize::from(stream.read_u8().await?);
        }
    }
    if length > LONGEST {
        return Err(endless());
    }
    let mut contents = vec![0; length];
    stream.read_exact(&mut contents).await?;
    Ok(contents)
}

/// The result code at the start of a response, after the response's own length.
fn enumerated(response: &[u8]) -> Option<u8> {
    let (length, rest) = response.split_first()?;
    let long = usize::from(length.saturating_sub(0x80));
    let rest = if *length > 0x80 {
        rest.get(long..)?
    } else {
        rest
    };
    match rest {
        [0x0a, 0x01, code, ..] => Some(*code),
        _ => None,
    }
}

/// One line, byte by byte: what comes after it must stay for the handshake.
async fn line(stream: &mut TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LONGEST {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned()),
            byte => line.push(byte),
        }
    }
    Err(endless())
}

fn refused(said: &str) -> io::Error {
    io::Error::other(format!(
        "it answered \"{}\"",
        shortened(said.as_bytes(), 100)
    ))
}

fn endless() -> io::Error {
    io::Error::other("its answer does not end")
}
