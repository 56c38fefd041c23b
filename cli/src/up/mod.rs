//! `watchward up`: Watchward on this machine, for a try, with a view of it at work.

mod children;
mod configuration;
mod door;
mod found;
mod ground;
mod notice;
mod sshd;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use watchward_daemon::clock;
use watchward_daemon::tasks::{Running, Tasks, tasks};

use crate::args::Up;
use crate::client::Client;
use crate::live;
use crate::screen::{Screen, Tone, safe};
use crate::token;
use children::Program;
use door::Door;
use ground::{Ground, SOCKET};

/// How long a program may take until it does its work.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look whether it does.
const GLANCE: Duration = Duration::from_millis(100);

const COLLECTOR: &str = "watchward-collector";
const AGENT: &str = "watchward-agent";

pub(crate) async fn run(place: Up, screen: &mut Screen) -> anyhow::Result<()> {
    let end = wish_to_end()?;
    let ground = Ground::prepare(&place.folder)?;
    let door = door::look();
    configuration::write(&ground, &door)?;
    let at = screen.paint(Tone::Bold, &safe(&ground.folder().display().to_string()));
    screen.line(&format!("Everything is kept in {at}"))?;
    let (tasks, running) = tasks();
    let mut up = Everything {
        collector: None,
        agent: None,
        running,
    };
    let ended = tokio::select! {
        ended = up.watch(&ground, door, &tasks, screen) => ended,
        () = end => Ok(()),
    };
    drop(tasks);
    up.end(screen).await?;
    ended?;
    Ok(screen.line("Ended. `make up` goes on from here.")?)
}

/// Listens from now on for Ctrl-C, for a request to end, and for a terminal that closes.
fn wish_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// What runs.
struct Everything {
    collector: Option<Program>,
    agent: Option<Program>,
    running: Running,
}

impl Everything {
    /// Starts everything and shows what happens, until something fails.
    async fn watch(
        &mut self,
        ground: &Ground,
        door: Door,
        tasks: &Tasks,
        screen: &mut Screen,
    ) -> anyhow::Result<()> {
        let collector = self.start_collector(ground, screen).await?;
        // Opened before the agent starts, so that nothing it does is missed.
        let mut events = collector.stream("/v1/live").await?;
        enrol(ground, &collector, screen).await?;
        let port = door::open(ground, door, tasks, screen)?;
        let told = self.start_agent(ground, &collector, screen).await?;
        notice::show(ground, &collector, port, screen).await?;
        loop {
            tokio::select! {
                event = events.next() => match event? {
                    Some(event) if found::is_told(&event, told) || live::is_further(&event) => {}
                    Some(event) => live::show(&event, screen)?,
                    None => return Err(failed(&mut self.collector).await),
                },
                error = failed(&mut self.collector) => return Err(error),
                error = failed(&mut self.agent) => return Err(error),
                ended = self.running.failed() => return ended,
            }
        }
    }

    async fn start_collector(
        &mut self,
        ground: &Ground,
        screen: &mut Screen,
    ) -> anyhow::Result<Client> {
        ground.check_ports()?;
        step(
            screen,
            "Starting the collector",
            &ground.path("log/watchward-collector.log"),
        )?;
        let configuration = ground.path("collector.toml");
        let arguments = ["--config".as_ref(), configuration.as_path()];
        self.collector = Some(Program::start(COLLECTOR, &arguments, &ground.path("log"))?);
        let client = Client::new(&ground.path(SOCKET))?;
        let ready = async {
            while !client.is_ready().await {
                tokio::time::sleep(GLANCE).await;
            }
        };
        tokio::select! {
            ready = tokio::time::timeout(PATIENCE, ready) => ready.context(
                "the collector runs, but does not say that it is ready; see its log")?,
            error = failed(&mut self.collector) => return Err(error),
        }
        Ok(client)
    }

    /// Starts the agent and shows what it found. Returns the number of the last finding.
    async fn start_agent(
        &mut self,
        ground: &Ground,
        collector: &Client,
        screen: &mut Screen,
    ) -> anyhow::Result<i64> {
        step(
            screen,
            "Starting the agent",
            &ground.path("log/watchward-agent.log"),
        )?;
        let begin = clock::now();
        let configuration = ground.path("agent.toml");
        let arguments = ["run".as_ref(), "--config".as_ref(), configuration.as_path()];
        self.agent = Some(Program::start(AGENT, &arguments, &ground.path("log"))?);
        let heard = found::wait(collector, begin);
        let heard = tokio::select! {
            heard = tokio::time::timeout(PATIENCE, heard) => heard.context(
                "the agent runs, but the collector does not hear it; see their logs")??,
            error = failed(&mut self.agent) => return Err(error),
            error = failed(&mut self.collector) => return Err(error),
        };
        found::show(&heard, screen)
    }

    /// Ends everything: whoever speaks first, whoever listens last. Whether or not the terminal
    /// is still there to be told.
    async fn end(mut self, screen: &mut Screen) -> anyhow::Result<()> {
        let _ = screen.line("");
        for (name, program) in [
            ("agent", &mut self.agent),
            ("collector", &mut self.collector),
        ] {
            let Some(program) = program else { continue };
            let _ = screen.line(&format!("Ending the {name} ..."));
            program.end().await?;
        }
        self.running.drain(Duration::from_secs(5)).await;
        Ok(())
    }
}

/// Waits until a program ends that should not; for ever, if it does not run.
async fn failed(program: &mut Option<Program>) -> anyhow::Error {
    match program {
        Some(program) => program.failed().await,
        None => std::future::pending().await,
    }
}

/// Has this host enrol, if it has not before.
async fn enrol(ground: &Ground, collector: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let name = found::host_name();
    if ground.path(ground::IDENTITY).exists() {
        return Ok(());
    }
    screen.line(&format!(
        "Enrolling this host as {name} by a one-time token ..."
    ))?;
    let made = token::create(collector, &name, None).await?;
    let configuration = ground.path("agent.toml");
    let mut arguments: Vec<&OsStr> = vec!["enroll".as_ref(), "--config".as_ref()];
    arguments.push(configuration.as_os_str());
    arguments.extend(["--name", &name, "-"].map(OsStr::new));
    children::run_once(AGENT, &arguments, &made.token).await
}

fn step(screen: &mut Screen, what: &str, log: &Path) -> anyhow::Result<()> {
    let log = screen.paint(
        Tone::Dim,
        &format!("(log: {})", safe(&log.display().to_string())),
    );
    Ok(screen.line(&format!("{what} ... {log}"))?)
}
