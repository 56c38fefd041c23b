//! Checks as they run: started, repeated, stopped and changed by the configuration.

use tokio::sync::mpsc;
use watchward_daemon::tasks::tasks;

use super::*;

/// Reads a configuration the way the program does.
fn config(text: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    watchward_daemon::config::read(file.path()).unwrap()
}

/// Nothing is ordered, and nobody can order.
fn nothing() -> watch::Receiver<Vec<Ordered>> {
    watch::channel(Vec::new()).1
}

async fn next(entries: &mut mpsc::Receiver<Entry>) -> Vec<HealthReport> {
    let entry = entries.recv().await.unwrap();
    let reports = entry.reports.into_iter().map(|report| match report {
        Report::Health(report) => report,
        Report::Access(_)
        | Report::Gap(_)
        | Report::Doctor(_)
        | Report::Keys(_)
        | Report::Restriction(_)
        | Report::Instruments(_)
        | Report::Identities(_)
        | Report::Peers(_) => {
            panic!("not of health")
        }
    });
    reports.collect()
}

#[tokio::test(start_paused = true)]
async fn a_check_follows_the_configuration_without_a_restart() {
    let (hand, live) = Live::new(config("host.enabled = false"));
    let (keeper, mut entries) = Keeper::new();
    let (findings, mut found) = mpsc::unbounded_channel();
    let (tasks, running) = tasks();
    tasks.start(
        "health",
        run(live, nothing(), keeper, findings, tasks.clone()),
    );
    drop(tasks);

    let process =
        "host.enabled = false\n[process.none]\nname = \"no such program\"\nfailures = 4\n";
    hand.send_replace(Arc::new(config(process)));
    for _ in 0..3 {
        let reports = next(&mut entries).await;
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].check, "process.none");
        assert_eq!(reports[0].verdict, Verdict::Failed);
        assert_eq!(
            reports[0].detail,
            "no process named no such program is running"
        );
        assert_eq!(
            (reports[0].failures, reports[0].interval),
            (4, Duration::from_secs(30))
        );
    }
    let finding = found.recv().await.unwrap();
    assert_eq!(finding.subject, "health: process.none");
    assert_eq!(finding.state, FindingState::Watched);

    hand.send_replace(Arc::new(config("host.enabled = false")));
    let finding = found.recv().await.unwrap();
    assert_eq!(
        (finding.subject.as_str(), finding.state),
        ("health: process.none", FindingState::Absent)
    );
    let finding = found.recv().await.unwrap();
    assert_eq!(finding, taken_back("health: process.none".to_owned()));
    running.drain(Duration::from_secs(10)).await;
    assert!(entries.try_recv().is_err(), "it still runs");
}

#[tokio::test(start_paused = true)]
async fn what_is_ordered_runs_until_it_is_no_longer_ordered() {
    let (orders, ordered) = watch::channel(Vec::new());
    let (keeper, mut entries) = Keeper::new();
    let (findings, mut found) = mpsc::unbounded_channel();
    let (tasks, running) = tasks();
    let live = Live::fixed(config("host.enabled = false"));
    tasks.start(
        "health",
        run(live, ordered, keeper, findings, tasks.clone()),
    );
    drop(tasks);

    let order = |kind: &str, settings: &str| Ordered {
        kind: kind.to_owned(),
        name: "none".to_owned(),
        settings: settings.to_owned(),
    };
    let process = order("process", "name = \"no such program\"");
    orders.send_replace(vec![order("unheard-of", ""), process.clone()]);
    let finding = found.recv().await.unwrap();
    assert_eq!(finding.subject, "health: unheard-of.none as ordered");
    assert_eq!(finding.state, FindingState::Failing);
    assert_eq!(next(&mut entries).await[0].check, "process.none");
    let finding = found.recv().await.unwrap();
    assert_eq!(
        (finding.subject.as_str(), finding.state),
        ("health: process.none", FindingState::Watched)
    );

    orders.send_replace(vec![process]);
    let finding = found.recv().await.unwrap();
    assert_eq!(
        finding,
        taken_back("health: unheard-of.none as ordered".to_owned())
    );
    next(&mut entries).await;
    orders.send_replace(Vec::new());
    let finding = found.recv().await.unwrap();
    assert_eq!(
        (finding.subject.as_str(), finding.state),
        ("health: process.none", FindingState::Absent)
    );
    running.drain(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_word_the_host_is_sampled() {
    let (keeper, mut entries) = Keeper::new();
    let (findings, _found) = mpsc::unbounded_channel();
    let (tasks, running) = tasks();
    tasks.start(
        "health",
        run(
            Live::fixed(Config::default()),
            nothing(),
            keeper,
            findings,
            tasks.clone(),
        ),
    );
    drop(tasks);
    let began = Instant::now();
    let names: Vec<String> = next(&mut entries)
        .await
        .into_iter()
        .map(|one| one.check)
        .collect();
    assert!(names.contains(&"host.memory".to_owned()), "{names:?}");
    assert!(began.elapsed() < Duration::from_secs(6), "it is told soon");
    next(&mut entries).await;
    running.drain(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_in_time_fails() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text =
        format!("[http.mute]\nurl = \"http://{address}/\"\ntimeout = \"2m\"\ninterval = \"1s\"\n");
    let check = Check::all(&config(&text))
        .into_iter()
        .find(|(name, _)| name == "http.mute");
    let (name, check) = check.unwrap();
    let probe = Probe::new(name, check, Arc::default());
    let found = probe.run().await;
    assert_eq!(found[0].1.verdict, Verdict::Failed);
    assert!(
        found[0].1.detail.contains("no answer within 2m"),
        "{}",
        found[0].1.detail
    );
}

#[test]
fn checks_do_not_all_start_at_once() {
    let starts = (0..100).map(|number| spread(&format!("tcp.{number}"), Duration::from_secs(30)));
    let starts: std::collections::HashSet<_> = starts.collect();
    assert!(starts.len() > 90);
    assert!(
        starts
            .iter()
            .all(|start| *start <= SPREAD + Duration::from_millis(500))
    );
}
