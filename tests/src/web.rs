//! Just enough HTTP/1.1 for a stand-in that a test drives: one request for each connection.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};

/// The longest body that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query's fields.
    pub query: HashMap<String, String>,
    /// Headers by lower-case name.
    pub headers: HashMap<String, String>,
    /// The body, as the text it is.
    pub body: String,
}

/// Reads one request; `None` when the other end closed without asking anything.
pub fn read(stream: &TcpStream) -> Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().context("an empty request line")?.to_owned();
    let target = words.next().context("a request line without a path")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: fields(query),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        request
            .headers
            .insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = request
        .headers
        .get("content-length")
        .map_or(Ok(0), |text| text.parse())?;
    if length > LONGEST {
        bail!("a body of {length} bytes");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8(body)?;
    Ok(Some(request))
}

/// Answers with a JSON text and closes.
pub fn answer(mut stream: &TcpStream, status: u16, body: &str) -> Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} As Scripted\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// The fields of an `application/x-www-form-urlencoded` text; of a repeated name, the last.
pub fn fields(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(b'?'), bytes.next().unwrap_or(b'?')];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_forms() {
        let fields = fields("To=%2B15550001&Body=a+b%26c%C3%A9&Empty");
        assert_eq!(fields["To"], "+15550001");
        assert_eq!(fields["Body"], "a b&cé");
        assert_eq!(fields["Empty"], "");
    }
}
