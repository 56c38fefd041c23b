//! Delivery: takes what is due, sends it, and has the outcome recorded. Never sends while a
//! transaction is open, and never lets one channel wait for the other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;

use super::Bell;
use super::attempt::Outcome;
use super::config::Config;
use super::email::Post;
use super::message::{Channel, Message};
use super::outbox::{Act, Job, Outbox};
use super::sms::Gateway;
use crate::metrics;
use crate::web::{self, PublicUrl};

/// How many messages are on their way by one channel at a time.
const WIDTH: usize = 8;

/// How often at least the outbox is looked at when nobody rings.
const LOOK: Duration = Duration::from_secs(1);

/// The servers that messages go to.
#[derive(Debug)]
pub(super) struct Servers {
    email: Post,
    sms: Gateway,
    limit: Duration,
    /// How people reach the page, without a `/` at its end.
    page: Option<String>,
}

impl Servers {
    pub(super) fn open(config: &Config) -> Self {
        let limit = config.pace.timeout.duration();
        let folder = || config.folder.clone();
        Self {
            email: match &config.smtp {
                Some(smtp) => Post::Smtp(Box::new(smtp.clone())),
                None => Post::Folder(folder()),
            },
            sms: match &config.sms {
                Some(sms) => Gateway::open(sms, limit),
                None => Gateway::Folder(folder()),
            },
            limit,
            page: None,
        }
    }

    /// The same, whose messages lead to the page.
    fn leading_to(mut self, page: Option<&PublicUrl>) -> Self {
        self.page = page.map(PublicUrl::origin);
        self
    }

    /// Where an incident is on the page.
    fn link(&self, message: &Message) -> Option<String> {
        let page = self.page.as_deref()?;
        Some(format!("{page}/incidents/{}", message.incident.code))
    }

    /// Sends a message, or asks for it.
    pub(super) async fn attempt(&self, job: &Job) -> Outcome {
        let now = clock::now();
        match (job.message.channel, &job.act) {
            (Channel::Email, _) => self.email.send(&job.message, self.limit, now).await,
            (Channel::Sms, Act::Send) => self.sms.send(&job.message, now).await,
            (Channel::Sms, Act::Ask) => self.sms.ask(&job.message).await,
            (Channel::Sms, Act::Check(taken)) => self.sms.check(&taken.sid).await,
        }
    }
}

/// A message on its way. All use of the database is in [`run`]'s own turn: a future that waits for
/// the one writing connection while nobody polls it would hold up everybody.
type Sending = FuturesUnordered<Pin<Box<dyn Future<Output = (Job, Outcome)> + Send>>>;

/// Delivers until told to stop, and what is on its way has been recorded.
pub(super) async fn run(
    mut outbox: Outbox,
    (config, page): (Live<Config>, Live<web::Config>),
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    let open = |config: &Config, page: &web::Config| {
        Arc::new(Servers::open(config).leading_to(page.public_url.as_ref()))
    };
    let (mut current, mut shown) = (config.now(), page.now());
    let mut servers = open(&current, &shown);
    let mut sending = Sending::new();
    let mut under_way = UnderWay::default();
    let mut done = Vec::new();
    loop {
        let turn = turn(&mut outbox, &mut done, &mut under_way, (&bell, &stop)).await;
        // Only now: what came while it waited for the database may be meant for other servers.
        let newest = (config.now(), page.now());
        if !Arc::ptr_eq(&current, &newest.0) || !Arc::ptr_eq(&shown, &newest.1) {
            (current, shown) = newest;
            servers = open(&current, &shown);
        }
        match turn {
            Ok(jobs) => {
                metrics::went_round(clock::now());
                sending.extend(jobs.into_iter().map(|job| start(&servers, job)));
            }
            Err(error) if stop.is_cancelled() => return Err(error.into()),
            Err(error) => tracing::error!(%error, "the outbox cannot be used; trying again"),
        }
        if stop.is_cancelled() && sending.is_empty() {
            return Ok(outbox.leave().await?);
        }
        let look = LOOK.min(current.pace.first_retry.duration());
        tokio::select! {
            Some(one) = sending.next(), if !sending.is_empty() => done.push(one),
            () = bell.rung() => {}
            () = stop.cancelled(), if !stop.is_cancelled() => {}
            () = sleep(look) => {}
        }
    }
}

/// How many messages are on their way by each channel.
#[derive(Debug, Default)]
struct UnderWay {
    email: usize,
    sms: usize,
}

impl UnderWay {
    fn by(&mut self, channel: Channel) -> &mut usize {
        match channel {
            Channel::Email => &mut self.email,
            Channel::Sms => &mut self.sms,
        }
    }
}

/// Records what was done, writes what is new, and leases what is due.
async fn turn(
    outbox: &mut Outbox,
    done: &mut Vec<(Job, Outcome)>,
    under_way: &mut UnderWay,
    (bell, stop): (&Bell, &Stop),
) -> sqlx::Result<Vec<Job>> {
    // Until it is recorded it stays here: while we live, nobody else takes a lease of ours over.
    while let Some((job, outcome)) = done.last() {
        outbox.record(job, outcome.clone(), clock::now()).await?;
        *under_way.by(job.message.channel) -= 1;
        done.pop();
    }
    if stop.is_cancelled() {
        return Ok(Vec::new());
    }
    let now = clock::now();
    if outbox.prepare(now).await? {
        bell.ring();
    }
    let mut jobs = Vec::new();
    for channel in Channel::ALL {
        let room = WIDTH - *under_way.by(channel);
        let taken = outbox.take(channel, room, now).await?;
        *under_way.by(channel) += taken.len();
        jobs.extend(taken);
    }
    Ok(jobs)
}

fn start(
    servers: &Arc<Servers>,
    mut job: Job,
) -> Pin<Box<dyn Future<Output = (Job, Outcome)> + Send>> {
    let servers = Arc::clone(servers);
    job.message.link = servers.link(&job.message);
    Box::pin(async move {
        let outcome = servers.attempt(&job).await;
        (job, outcome)
    })
}
