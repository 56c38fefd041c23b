//! Debian's Prometheus scrapes a collector as docs/monitoring.md says, and answers what it learned.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use watchward_tests::programs;
use watchward_tests::run::run;
use watchward_tests::wait::{SOON, until};

const PAGE: &str = include_str!("../../docs/monitoring.md");

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?);
        Ok(Self(command.stderr(log).spawn()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_a_collector() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let (web, own) = (port()?, port()?);
    configure(at, web)?;
    let mut collector = Command::new(programs::path(programs::COLLECTOR)?);
    collector.arg("--config").arg(at.join("collector.toml"));
    let _collector = Running::start(&mut collector, &at.join("collector.log"))?;
    fs::write(at.join("prometheus.yml"), scraping(web)?)?;
    let mut prometheus = Command::new("/usr/bin/prometheus");
    prometheus
        .arg(format!("--config.file={}/prometheus.yml", at.display()))
        .arg(format!("--storage.tsdb.path={}/data", at.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{own}"));
    let _prometheus = Running::start(&mut prometheus, &at.join("prometheus.log"))?;

    let ask = |question: &str| {
        let mut promtool = Command::new("/usr/bin/promtool");
        run(promtool.args([
            "query",
            "instant",
            &format!("http://127.0.0.1:{own}"),
            question,
        ]))
    };
    for question in [
        "up{job=\"watchward\"} == 1",
        "watchward_database_up == 1",
        "watchward_config_last_reload_successful == 1",
        "watchward_hosts{state=\"heard\"} == 0",
        "watchward_certificate_expiry_timestamp_seconds{certificate=\"own\"} > time()",
    ] {
        until(question, SOON, || {
            Ok((!ask(question)?.trim().is_empty()).then_some(()))
        })?;
    }
    Ok(())
}

/// What the page says that Prometheus is to be told, for a collector that listens here, and hurried.
fn scraping(web: u16) -> Result<String> {
    let (_, rest) = PAGE
        .split_once("```yaml\n")
        .context("no YAML in the page")?;
    let (yaml, _) = rest.split_once("```").context("the YAML does not end")?;
    ensure!(yaml.contains("127.0.0.1:7080"), "{yaml}");
    let yaml = yaml.replace("127.0.0.1:7080", &format!("127.0.0.1:{web}"));
    Ok(format!("global:\n  scrape_interval: 1s\n{yaml}"))
}

fn configure(at: &Path, web: u16) -> Result<()> {
    let text = format!(
        "[store]\ndatabase = \"sqlite://{0}/db\"\n\
         [intake]\nlisten = \"127.0.0.1:{1}\"\nenrolment = \"127.0.0.1:{2}\"\n\
         [admin]\nsocket = \"{0}/socket\"\n\
         [web]\nlisten = \"127.0.0.1:{web}\"\n\
         [alerting]\nfolder = \"{0}/messages\"\n\
         [policy]\nfile = \"{0}/policy.toml\"\n\
         [hosts]\nauthority = \"{0}/authority.pem\"\n",
        at.display(),
        port()?,
        port()?
    );
    Ok(fs::write(at.join("collector.toml"), text)?)
}

fn port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
