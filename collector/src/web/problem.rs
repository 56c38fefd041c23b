//! Why the operator's command is not answered, as JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not answered: `{"error": "..."}`.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    text: String,
}

impl Problem {
    /// What was asked makes no sense: in one sentence, what would.
    pub fn refused(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            text: text.into(),
        }
    }

    /// There is no such thing.
    pub fn missing(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            text: text.into(),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Problem {
    /// A problem of the collector's own: logged here, and not shown.
    fn from(error: E) -> Self {
        let error: anyhow::Error = error.into();
        tracing::error!(error = format!("{error:#}"), "cannot answer a request");
        let text = "the collector has a problem of its own; its log says which".to_owned();
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            text,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.text }))).into_response()
    }
}
