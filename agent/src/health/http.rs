//! Whether a page answers with the status it should.

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::OnceCell;
use watchward_protocol::checks::http::Config;

use super::Found;

/// The clients of all checks, made when they are first needed: they hold the trusted roots.
#[derive(Debug, Default)]
pub(super) struct Clients {
    staying: OnceCell<Client>,
    following: OnceCell<Client>,
}

impl Clients {
    async fn one(&self, follow: bool) -> reqwest::Result<&Client> {
        let (cell, policy) = if follow {
            (&self.following, Policy::limited(5))
        } else {
            (&self.staying, Policy::none())
        };
        cell.get_or_try_init(|| async {
            Client::builder()
                .no_proxy()
                .redirect(policy)
                .pool_max_idle_per_host(0)
                .user_agent(concat!("watchward-agent/", env!("CARGO_PKG_VERSION")))
                .build()
        })
        .await
    }
}

/// Asks for the page once. Its body is not read: the status says what matters.
pub(super) async fn check(config: &Config, clients: &Clients) -> Found {
    let url = &config.url;
    let client = match clients.one(config.follow).await {
        Ok(client) => client,
        Err(error) => return Found::unknown(format!("cannot ask {url}: {}", cause(&error))),
    };
    match client.get(url.url().clone()).send().await {
        Ok(answer) if config.status.holds(answer.status().as_u16()) => {
            Found::passed(format!("{url} answered {}", answer.status()))
        }
        Ok(answer) => Found::failed(format!("{url} answered {}", answer.status())),
        Err(error) => {
            let error = error.without_url();
            Found::failed(format!("{url} did not answer: {}", cause(&error)))
        }
    }
}

/// The innermost cause of an error, which is the one that helps: `Connection refused`.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    let text = innermost.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use watchward_protocol::health::Verdict;

    use super::*;

    /// Answers each connection with the next of these, and then hangs up on all others.
    async fn serve(listener: TcpListener, answers: &[&str]) {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream
                .write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes())
                .await
                .unwrap();
        }
    }

    async fn found(follow: bool, answers: &[&str]) -> Found {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let config = toml::from_str(&format!("url = {url:?}\nfollow = {follow}")).unwrap();
        let clients = Clients::default();
        tokio::join!(check(&config, &clients), serve(listener, answers)).0
    }

    #[tokio::test]
    async fn the_status_decides() {
        assert_eq!(
            found(false, &["204 No Content"]).await.verdict,
            Verdict::Passed
        );
        let found = found(false, &["503 Service Unavailable"]).await;
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(
            found.detail.ends_with("answered 503 Service Unavailable"),
            "{}",
            found.detail
        );
    }

    #[tokio::test]
    async fn goes_elsewhere_only_if_told_to() {
        let away = "302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close";
        let gone = "404 Not Found\r\ncontent-length: 0";
        assert_eq!(found(false, &[away]).await.verdict, Verdict::Passed);
        assert_eq!(found(true, &[away, gone]).await.verdict, Verdict::Failed);
    }

    #[tokio::test]
    async fn what_does_not_speak_http_fails_and_says_why() {
        let found = found(false, &["nonsense"]).await;
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(
            found.detail.contains("did not answer: "),
            "{}",
            found.detail
        );
    }
}
