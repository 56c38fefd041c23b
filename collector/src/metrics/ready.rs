//! `/-/ready`: whether hosts and people can be served now.
//!
//! It is asked on the page's listener, which opens last: the authority has been read and the doors
//! for hosts are open by then, and when one of them ends, so does the collector.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

/// What there is to know.
#[derive(Clone)]
pub struct Ready {
    /// Reads from the database when a collector last wrote there that it is there, which it does
    /// every few seconds.
    pub written: Written,
    /// Since when what hosts told is being committed, if it is.
    pub committing: watch::Receiver<Option<Timestamp>>,
    /// Whether the collector ends.
    pub stop: Stop,
}

/// When the database was last written.
pub type Written =
    Arc<dyn Fn() -> BoxFuture<'static, sqlx::Result<Option<Timestamp>>> + Send + Sync>;

/// How long the database may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a commit may take.
const COMMIT: Duration = Duration::from_secs(10);
/// How long ago the database may have been written last.
const WRITTEN: Duration = Duration::from_secs(30);

/// `GET /-/ready`.
pub(super) async fn ready(State(ready): State<Ready>) -> (StatusCode, String) {
    let written = match tokio::time::timeout(ANSWER, (ready.written)()).await {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", ANSWER.as_secs())),
    };
    let (ends, committing) = (ready.stop.is_cancelled(), *ready.committing.borrow());
    match missing(ends, written, committing, clock::now()) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => {
            tracing::warn!(why, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
        }
    }
}

/// What is missing, in words for whoever asks: strangers may, so an error is only logged.
fn missing(
    ends: bool,
    written: Result<Option<Timestamp>, String>,
    committing: Option<Timestamp>,
    now: Timestamp,
) -> Option<String> {
    if ends {
        return Some("the collector is ending".to_owned());
    }
    let written = match written {
        Ok(written) => written.map_or(Duration::MAX, |written| now.since(written)),
        Err(error) => {
            tracing::warn!(error, "the database does not answer");
            return Some("the database does not answer".to_owned());
        }
    };
    let commit = committing.map_or(Duration::ZERO, |since| now.since(since));
    if commit > COMMIT {
        let seconds = commit.as_secs();
        return Some(format!(
            "what hosts told waits to be kept for {seconds} seconds"
        ));
    }
    (written > WRITTEN).then(|| "nothing could be written for some time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn it_is_ready_while_the_database_answers_and_is_written() {
        let fine = Ok(Some(at(95)));
        for (ends, written, committing, expected) in [
            (false, fine.clone(), None, ""),
            (false, fine.clone(), Some(at(91)), ""),
            (
                false,
                fine.clone(),
                Some(at(89)),
                "waits to be kept for 11 seconds",
            ),
            (false, Ok(Some(at(70))), None, ""),
            (false, Ok(Some(at(69))), None, "nothing could be written"),
            (false, Ok(None), None, "nothing could be written"),
            (false, Err("secret".to_owned()), None, "does not answer"),
            (true, fine, None, "is ending"),
        ] {
            let said = missing(ends, written, committing, at(100)).unwrap_or_default();
            assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
            assert!(
                said.contains(expected) && !said.contains("secret"),
                "{said}"
            );
        }
    }
}
