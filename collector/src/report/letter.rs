//! The report goes by email each week, once to each who gets it.

use std::fmt::Write as _;
use std::time::Duration;

use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::report::Report;
use watchward_protocol::time::Timestamp;

use super::{Config, Sources, rows};
use crate::alerting::{self, Letter, Posted};

/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_secs(60);
/// How long after an attempt the next one is made, by whichever collector.
const AGAIN: Duration = Duration::from_secs(600);
/// So long after its end a week is no news any more.
const STALE: Duration = Duration::from_secs(6 * 86_400);

/// Sends what is due, until told to stop.
///
/// # Errors
/// None.
pub(crate) async fn run(
    sources: Sources,
    (config, alerting): (Live<Config>, Live<alerting::Config>),
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        let with = (&*config.now(), &*alerting.now());
        if let Err(error) = send_due(&sources, with, clock::now()).await {
            let error = format!("{error:#}");
            tracing::error!(error, "cannot send the weekly report; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Sends the report of the week that was over last to whoever has not got it.
pub(super) async fn send_due(
    sources: &Sources,
    (config, alerting): (&Config, &alerting::Config),
    now: Timestamp,
) -> anyhow::Result<()> {
    let end = config.end(now);
    if config.to.is_empty() || now >= end + STALE {
        return Ok(());
    }
    let mut report = None;
    for to in &config.to {
        let to = to.to_string();
        let mut tx = sources.store.begin().await?;
        let taken = rows::take(&mut tx, (end, &to), (now, now + AGAIN)).await?;
        tx.commit().await?;
        if !taken {
            continue;
        }
        let report = match &report {
            Some(report) => report,
            None => report.insert(sources.report(end, now).await?),
        };
        let letter = letter(report, &to);
        let (note, is_done) = match alerting::send_letter(alerting, &letter, now).await {
            Posted::Taken(note) => (note, true),
            Posted::Refused(note) => {
                tracing::error!(to, note, "the weekly report was refused");
                (note, true)
            }
            Posted::Later(note) => (note, false),
        };
        let mut tx = sources.store.begin().await?;
        rows::note(&mut tx, (end, &to), (&note, is_done.then_some(now))).await?;
        tx.commit().await?;
    }
    Ok(())
}

fn letter(report: &Report, to: &str) -> Letter {
    let day: String = report.to.0.chars().take(10).collect();
    let place: String = to
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    Letter {
        to: to.to_owned(),
        subject: format!("Watchward: the week until {day}"),
        text: text(report),
        file: format!("000-report-{day}-{place}.eml"),
    }
}

/// As people read it.
fn text(report: &Report) -> String {
    let mut text = String::new();
    for (name, said) in report.lines() {
        let name = match name {
            "" => String::new(),
            name => format!("{name}:"),
        };
        // Writing to a text never fails.
        let _ = writeln!(text, "{name:<12}{said}");
    }
    let _ = write!(
        text,
        "\nWritten at {}. Signed, and of the last seven days: `watchward report --json`;\n\
         `watchward verify` looks at that without the collector.\n",
        report.made_at.0
    );
    text
}
