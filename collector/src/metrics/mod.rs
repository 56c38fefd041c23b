//! What the collector tells monitoring of itself: `/metrics` for Prometheus, and whether it is well.
//!
//! Each room counts what it does where it does it, with the macros of the crate `metrics`; what
//! stands in the database is measured when somebody asks. No label has a host's name, an address or
//! a user: there is a bounded number of series.

mod ready;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::BoxFuture;
use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sha2::{Digest, Sha256};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use crate::web::{Config, Pages};

pub use ready::{Ready, Written};

/// Reads from the database what is measured only when somebody asks.
pub type Measure = Arc<dyn Fn(Timestamp) -> BoxFuture<'static, sqlx::Result<()>> + Send + Sync>;

/// `GET /metrics` beside the pages, for this machine and for whoever has the token; `/-/healthy` and
/// `/-/ready` for everybody.
pub fn pages(measure: Measure, config: Live<Config>, ready: Ready) -> Pages {
    let well = Pages::new()
        .open_get("/-/healthy", healthy)
        .open_get("/-/ready", ready::ready)
        .with_state(ready);
    Pages::new()
        .open_get("/metrics", guarded)
        .with_state((measure, config))
        .and(well)
}

/// `GET /metrics` on the admin socket.
pub fn routes(measure: Measure) -> Router {
    let shown = async |State(measure): State<Measure>| render(&measure).await;
    Router::new()
        .route("/metrics", get(shown))
        .with_state(measure)
}

async fn guarded(
    State((measure, config)): State<(Measure, Live<Config>)>,
    request: Request,
) -> Response {
    let config = config.now();
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let here = from.is_some_and(|from| from.0.ip().to_canonical().is_loopback());
    if (here && !config.behind_proxy) || has_token(&config, request.headers()) {
        return render(&measure).await;
    }
    let text =
        "from elsewhere this needs the token in the file that [web] metrics_token_file names\n";
    let ask = [(WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, ask, text).into_response()
}

fn has_token(config: &Config, headers: &HeaderMap) -> bool {
    let Some(file) = &config.metrics_token_file else {
        return false;
    };
    let shown = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    let shown = shown.and_then(|value| value.strip_prefix(b"Bearer "));
    match (file.read(), shown) {
        // Compared by their digests, so that the time it takes says nothing.
        (Ok(token), Some(shown)) => {
            Sha256::digest(token.reveal().as_bytes()) == Sha256::digest(shown)
        }
        (Err(error), _) => {
            tracing::error!(error = format!("{error:#}"), "[web] metrics_token_file");
            false
        }
        (Ok(_), None) => false,
    }
}

async fn render(measure: &Measure) -> Response {
    let measured = measure(clock::now()).await;
    gauge!("watchward_database_up").set(f64::from(u8::from(measured.is_ok())));
    if let Err(error) = measured {
        tracing::warn!(%error, "cannot measure what is in the database");
    }
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, recorder().render()).into_response()
}

/// How long the work may stand still.
const STILL: Duration = Duration::from_secs(60);

/// When the loop that tells people last went round, in microseconds of UTC.
static WENT_ROUND: AtomicI64 = AtomicI64::new(0);

/// The loop that tells people goes round.
pub fn went_round(now: Timestamp) {
    WENT_ROUND.store(now.as_micros(), Ordering::Relaxed);
}

/// `GET /-/healthy`: whether the work goes on.
async fn healthy() -> (StatusCode, &'static str) {
    let last = Timestamp::from_micros(WENT_ROUND.load(Ordering::Relaxed));
    if clock::now().since(last) < STILL {
        return (StatusCode::OK, "healthy\n");
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the work stands still\n")
}

/// How often measurements are put together while nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(10);

/// Puts measurements together until told to stop: they would gather for ever if nobody asked.
///
/// # Errors
/// None.
pub async fn run(stop: Stop) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => recorder().run_upkeep(),
        }
    }
}

/// How long commits take, in seconds: the upper ends of the histogram's buckets.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// The one recorder of this process, which counts from the first call on.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
        let recorder = builder.unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // Refused only where there is one already, and this is the only place that makes one.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

fn describe() {
    let gauges = [
        ("watchward_agents_connected", "Agents that are connected."),
        ("watchward_hosts", "Hosts by state: heard, silent, revoked."),
        ("watchward_bans", "Bans that hold on all hosts."),
        ("watchward_incidents_open", "Open incidents by severity."),
        (
            "watchward_outbox_messages",
            "Messages that are not done with, by channel.",
        ),
        (
            "watchward_outbox_oldest_seconds",
            "Age of the oldest message that is not done with, held back or not.",
        ),
        ("watchward_database_bytes", "Size of the database."),
        (
            "watchward_database_up",
            "Whether the database answered this scrape.",
        ),
        (
            "watchward_last_commit_timestamp_seconds",
            "When what hosts told was last committed.",
        ),
        (
            "watchward_certificate_expiry_timestamp_seconds",
            "When the certificate of the authority and the collector's own end.",
        ),
        (
            "watchward_config_last_reload_successful",
            "Whether the configuration was right when it was last read.",
        ),
        ("watchward_build_info", "The version that runs."),
    ];
    for (name, help) in gauges {
        describe_gauge!(name, help);
    }
    describe_counter!(
        "watchward_records_total",
        "Records of hosts that were committed, by lane."
    );
    describe_counter!(
        "watchward_deliveries_total",
        "Attempts to tell somebody that came to an end, by channel and result."
    );
    describe_histogram!(
        "watchward_commit_seconds",
        "How long one commit of what hosts told takes."
    );
    gauge!("watchward_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!("watchward_config_last_reload_successful").set(1.0);
}
