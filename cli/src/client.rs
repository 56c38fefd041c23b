//! The conversation with the collector: HTTP with JSON over its Unix socket.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use watchward_protocol::admin::SUDO_USER;

/// How long a line of a stream may be: more is no line of ours.
const LONGEST_LINE: usize = 1 << 20;

/// The collector on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    socket: PathBuf,
    /// Who stands behind `sudo`, for the record.
    behind: Option<HeaderValue>,
}

/// There is nothing like what was asked for.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Bytes that the collector sends.
#[derive(Debug)]
pub(crate) struct Download {
    response: Response,
    /// How many it says that there are.
    pub(crate) length: Option<u64>,
}

/// Lines of JSON, one event each, as the collector sends them.
#[derive(Debug)]
pub(crate) struct Stream {
    response: Response,
    pending: Vec<u8>,
}

impl Client {
    /// The collector that listens on this socket. Nothing is said to it yet.
    pub(crate) fn new(socket: &Path) -> anyhow::Result<Self> {
        // A Unix socket needs no TLS; without this a machine that has no CA certificates fails.
        let http = reqwest::Client::builder()
            .tls_certs_only([])
            .unix_socket(socket)
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            http,
            socket: socket.to_owned(),
            behind: behind(std::env::var_os("SUDO_USER").as_deref()),
        })
    }

    /// What lies at this path.
    pub(crate) async fn fetch<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let request = self.request(Method::GET, path).query(query);
        self.answer(self.send(request).await?).await
    }

    /// Has the collector do what lies at this path.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.request(Method::POST, path).json(body);
        self.answer(self.send(request).await?).await
    }

    /// The same, about this host: a name that no host has is answered with the nearest.
    pub(crate) async fn post_about<T: DeserializeOwned>(
        &self,
        path: &str,
        host: Option<&str>,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let query: Vec<_> = host.map(|host| ("host", host)).into_iter().collect();
        let request = self.request(Method::POST, path).query(&query).json(body);
        self.answer(self.send(request).await?).await
    }

    /// Whether the collector does its work.
    pub(crate) async fn is_ready(&self) -> bool {
        let answer = self.request(Method::GET, "/v1/hosts").send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// What happens, as it happens.
    pub(crate) async fn stream(&self, path: &str) -> anyhow::Result<Stream> {
        let response = self.send(self.request(Method::GET, path)).await?;
        Ok(Stream {
            response,
            pending: Vec::new(),
        })
    }

    /// What lies at this path, as it is.
    pub(crate) async fn download(&self, path: &str) -> anyhow::Result<Download> {
        let response = self.send(self.request(Method::GET, path)).await?;
        let length = response.content_length();
        Ok(Download { response, length })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("http://collector{path}"));
        match &self.behind {
            Some(name) => request.header(SUDO_USER, name),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Err(self.unreachable(&error)),
            Err(error) => {
                return Err(anyhow!(error.without_url()).context("the collector went away"));
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let said = response.text().await.unwrap_or_default();
        let why = format!(
            "the collector refuses: {}",
            reason(&said).unwrap_or(status.to_string())
        );
        match status {
            StatusCode::NOT_FOUND => Err(Missing(why).into()),
            _ => bail!("{why}"),
        }
    }

    async fn answer<T: DeserializeOwned>(&self, response: Response) -> anyhow::Result<T> {
        let body = response.bytes().await.context("the collector went away")?;
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body)
            .context("the collector's answer is not what this version of watchward expects")
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let path = self.socket.display();
        match cause(error) {
            Some(io::ErrorKind::PermissionDenied) => anyhow!(
                "{path} is not yours to use: run this as root, or as the user that the collector runs as"
            ),
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => anyhow!(
                "no collector listens at {path}: is watchward-collector running? \
                 (--socket or WATCHWARD_SOCKET names another place)"
            ),
            _ => anyhow!("cannot reach the collector at {path}: {error:#}"),
        }
    }
}

impl Download {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let piece = self.response.chunk().await;
        let piece = piece.context("the collector went away")?;
        Ok(piece.map(Into::into))
    }
}

impl Stream {
    /// The next event; `None` when the collector has ended.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let event = serde_json::from_slice(&line).context("the collector sends no JSON")?;
                return Ok(Some(event));
            }
            if self.pending.len() > LONGEST_LINE {
                bail!("the collector sends a line that does not end");
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.pending.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }
}

/// Whose name goes along with every request.
fn behind(name: Option<&OsStr>) -> Option<HeaderValue> {
    let name = name.filter(|name| !name.is_empty())?;
    HeaderValue::from_bytes(name.as_bytes()).ok()
}

/// What a refusal says, in words: `{"error": "..."}` or plain text.
fn reason(said: &str) -> Option<String> {
    let json = serde_json::from_str::<Value>(said).ok();
    let words = json
        .as_ref()
        .and_then(|value| value.get("error")?.as_str())
        .unwrap_or(said)
        .trim();
    (!words.is_empty()).then(|| words.to_owned())
}

fn cause(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// A collector that gives one answer to whoever asks, and ends.
#[cfg(test)]
pub(crate) async fn answered(answer: &'static str) -> (tempfile::TempDir, Client) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("collector.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let (tasks, _) = watchward_daemon::tasks::tasks();
    tasks.start_passing("collector", async move {
        let (mut connection, _) = listener.accept().await?;
        let mut asked = [0; 4096];
        let _ = connection.read(&mut asked).await?;
        Ok(connection.write_all(answer.as_bytes()).await?)
    });
    (folder, Client::new(&socket).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn says_when_no_collector_listens() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("collector.sock");
        let client = Client::new(&socket).unwrap();
        let error = runtime()
            .block_on(client.fetch::<Value>("/v1/hosts", &[]))
            .unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("no collector listens at /"), "{error}");
        assert!(error.contains("watchward-collector"), "{error}");
    }

    #[test]
    fn who_called_sudo_is_said_with_every_request() {
        let mut client = Client::new(Path::new("/nowhere")).unwrap();
        for (name, said) in [
            (Some("ada"), Some("ada")),
            (Some(""), None),
            (Some("a\nb"), None),
            (None, None),
        ] {
            client.behind = behind(name.map(OsStr::new));
            let request = client.request(Method::GET, "/v1/backup").build().unwrap();
            let header = request.headers().get(SUDO_USER);
            assert_eq!(header.map(|it| it.to_str().unwrap()), said);
        }
    }

    #[test]
    fn a_refusal_is_shown_in_its_own_words() {
        assert_eq!(
            reason("{\"error\":\"no such host\"}").as_deref(),
            Some("no such host")
        );
        assert_eq!(reason("no such host\n").as_deref(), Some("no such host"));
        assert_eq!(reason(""), None);
    }

    #[tokio::test]
    async fn a_stream_comes_line_by_line_however_it_is_cut() {
        let (_folder, client) = answered(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\n{\"a\":\r\n8\r\n1}\n\n{\"b\"\r\n4\r\n:2}\n\r\n0\r\n\r\n",
        )
        .await;
        let mut stream = client.stream("/v1/live").await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = stream.next().await.unwrap() {
            events.push(event.to_string());
        }
        assert_eq!(events, ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[tokio::test]
    async fn the_collector_says_why_it_refuses() {
        let (_folder, client) = answered(
            "HTTP/1.1 404 Not Found\r\ncontent-length: 24\r\n\r\n{\"error\":\"no such host\"}",
        )
        .await;
        let refused = client.fetch::<Value>("/v1/hosts/x", &[]).await.unwrap_err();
        let refused = refused.to_string();
        assert_eq!(refused, "the collector refuses: no such host");
    }
}
