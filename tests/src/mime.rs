//! Reads an email as a person would: its headers, and its text.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// An email as the server delivered it.
#[derive(Clone, Debug)]
pub struct Mail {
    headers: Vec<(String, String)>,
    body: String,
}

impl Mail {
    /// Takes a message apart.
    pub fn parse(raw: &str) -> Result<Self> {
        let raw = raw.replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").context("an email without a body")?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in head.lines() {
            match (line.starts_with([' ', '\t']), headers.last_mut()) {
                (true, Some((_, value))) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
        Ok(Self {
            headers,
            body: body.to_owned(),
        })
    }

    /// A header's value with its encoded words decoded; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| decode_words(value))
            .unwrap_or_default()
    }

    /// The subject.
    pub fn subject(&self) -> String {
        self.header("subject")
    }

    /// What its `text/plain` part says, or its only part.
    pub fn text(&self) -> String {
        self.part("text/plain").unwrap_or_default()
    }

    /// What its `text/html` part says.
    pub fn html(&self) -> String {
        self.part("text/html").unwrap_or_default()
    }

    fn part(&self, kind: &str) -> Option<String> {
        let content = self.header("content-type");
        let Some((_, rest)) = content.split_once("boundary=") else {
            let plain = content.is_empty() || content.to_ascii_lowercase().starts_with(kind);
            return plain.then(|| decode(&self.body, &self.header("content-transfer-encoding")));
        };
        let boundary = rest.trim_start_matches('"').split(['"', ';']).next()?;
        let line = format!("--{boundary}");
        let parts = self.body.split(&line);
        parts
            .filter_map(|part| Self::parse(part.trim_start()).ok())
            .find_map(|it| it.part(kind))
    }
}

fn decode(body: &str, encoding: &str) -> String {
    match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: String = body.split_whitespace().collect();
            let bytes = BASE64_STANDARD.decode(packed).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
        }
        "quoted-printable" => unquote(&body.replace("=\n", "")),
        _ => body.to_owned(),
    }
}

fn unquote(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut pieces = text.split('=');
    plain.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        match u8::from_str_radix(digits, 16) {
            Ok(byte) => plain.push(byte),
            Err(_) => plain.extend_from_slice(digits.as_bytes()),
        }
        plain.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Decodes `=?utf-8?b?...?=` and `=?utf-8?q?...?=` (RFC 2047).
fn decode_words(value: &str) -> String {
    let joined = value.replace("?= =?", "?==?");
    let mut plain = String::new();
    let mut rest = joined.as_str();
    while let Some((before, word)) = rest.split_once("=?") {
        plain.push_str(before);
        let mut fields = word.splitn(3, '?');
        let (_charset, kind) = (fields.next(), fields.next().unwrap_or_default());
        let Some((text, after)) = fields.next().and_then(|tail| tail.split_once("?=")) else {
            plain.push_str("=?");
            rest = word;
            continue;
        };
        let quoted = kind.eq_ignore_ascii_case("q");
        plain.push_str(&if quoted {
            unquote(&text.replace('_', " "))
        } else {
            decode(text, "base64")
        });
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTER: &str = "Subject: =?utf-8?b?4pyT?= web is\r\n back\r\nContent-Type: \
        multipart/alternative;\r\n boundary=\"xyz\"\r\n\r\n--xyz\r\nContent-Type: text/plain; \
        charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nfrom=20a caf=C3=A9, \
        soft=\r\nly\r\n--xyz\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: \
        base64\r\n\r\nPGI+aGk8L2I+\r\n--xyz--\r\n";

    #[test]
    fn reads_both_parts_and_the_subject() {
        let mail = Mail::parse(LETTER).unwrap();
        assert_eq!(mail.subject(), "✓ web is back");
        assert_eq!(mail.text().trim(), "from a café, softly");
        assert_eq!(mail.html(), "<b>hi</b>");
    }
}
