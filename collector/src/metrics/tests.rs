//! Who may see the numbers, and that they are what Prometheus reads.

use axum::body::Body;
use tower::ServiceExt;
use watchward_daemon::tasks::tasks;

use super::*;
use crate::people::{self, People};
use crate::store::testing;
use crate::web::Site;

fn nothing() -> Measure {
    Arc::new(|_| Box::pin(async { Ok(()) }))
}

fn always_ready() -> Ready {
    Ready {
        written: Arc::new(|| Box::pin(async { Ok(Some(clock::now())) })),
        committing: tokio::sync::watch::channel(None).1,
        stop: Stop::new(),
    }
}

async fn body(answer: Response) -> String {
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

async fn ask(config: Config, from: &str, token: Option<&str>) -> StatusCode {
    let store = testing::stores(&[people::SCHEMA]).await.remove(0);
    let people = People::new(store.clone(), Live::fixed(people::Config::default()));
    let pages = pages(nothing(), Live::fixed(config.clone()), always_ready());
    let site = Site::new(people).with(pages);
    let mut request = Request::builder().uri("/metrics");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut request = request.body(Body::empty()).unwrap();
    let from: SocketAddr = from.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(from));
    let routes = site.router(&config).unwrap();
    routes.oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn this_machine_may_see_them_and_others_need_the_token() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a token\n").unwrap();
    let with_token = Config {
        metrics_token_file: Some(file.path().to_owned().into()),
        ..Config::default()
    };
    let behind = Config {
        behind_proxy: true,
        ..with_token.clone()
    };
    let (here, away) = ("127.0.0.1:9", "192.0.2.1:9");
    let (yes, no) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Config::default(), here, None).await, yes);
    assert_eq!(
        ask(Config::default(), "[::ffff:127.0.0.1]:9", None).await,
        yes
    );
    assert_eq!(ask(Config::default(), away, None).await, no);
    assert_eq!(ask(Config::default(), away, Some("")).await, no);
    assert_eq!(ask(with_token.clone(), away, Some("a token")).await, yes);
    assert_eq!(ask(with_token.clone(), away, Some("another")).await, no);
    assert_eq!(ask(with_token, here, None).await, yes);
    assert_eq!(
        ask(behind.clone(), here, None).await,
        no,
        "a proxy is here, who asks is not"
    );
    assert_eq!(ask(behind, here, Some("a token")).await, yes);
}

#[tokio::test]
async fn every_series_has_its_help_and_a_name_that_prometheus_takes() {
    recorder();
    metrics::counter!("watchward_records_total", "lane" => "access").increment(3);
    metrics::histogram!("watchward_commit_seconds").record(0.004);
    let text = body(render(&nothing()).await).await;
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = name.trim_end_matches("_bucket").trim_end_matches("_sum");
        let family = family.trim_end_matches("_count");
        assert!(text.contains(&format!("# HELP {family} ")), "{line}");
        assert!(
            line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(),
            "{line}"
        );
    }
    assert!(
        text.contains("watchward_records_total{lane=\"access\"}"),
        "{text}"
    );
    assert!(
        text.contains("watchward_commit_seconds_bucket{le=\"0.005\"}"),
        "{text}"
    );
}

#[tokio::test]
async fn it_is_healthy_only_while_the_work_goes_on() {
    went_round(clock::now() - STILL);
    assert_eq!(healthy().await.0, StatusCode::SERVICE_UNAVAILABLE);
    went_round(clock::now());
    assert_eq!(healthy().await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_gathered_is_put_together_until_the_end() {
    let (tasks, running) = tasks();
    tasks.start("metrics", run(tasks.stop()));
    drop(tasks);
    running.drain(Duration::from_secs(5)).await;
}
