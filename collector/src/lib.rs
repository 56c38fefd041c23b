//! The centre: keeps what agents tell, judges it, and tells people.

pub mod access;
pub mod alerting;
mod asked;
mod audit;
pub mod backup;
pub mod config;
mod guessed;
pub mod health;
pub mod hosts;
pub mod intake;
pub mod keys;
mod letters;
pub mod live;
pub mod metrics;
pub mod people;
pub mod policy;
mod reload;
pub mod report;
pub mod restriction;
mod ruling;
pub mod sealing;
mod shown;
pub mod store;
pub mod web;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::service::{self, Signals};
use watchward_daemon::tasks::{Tasks, tasks};
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use alerting::Bell;
use config::Config;
use hosts::Hosts;
use intake::{Host, Told};
use letters::Postman;
use people::People;
use reload::Followed;
use ruling::{Beginning, Ruling};
use sealing::Sealing;
use shown::Shown;
use store::{Schema, Store, Tx, deadline};

/// Every room's tables.
const SCHEMAS: &[Schema] = &[
    store::timer::SCHEMA,
    policy::versions::SCHEMA,
    intake::SCHEMA,
    sealing::SCHEMA,
    people::SCHEMA,
    alerting::SCHEMA,
    hosts::SCHEMA,
    access::SCHEMA,
    health::SCHEMA,
    restriction::SCHEMA,
    restriction::BANS,
    restriction::HELD,
    keys::SCHEMA,
    report::SCHEMA,
];

/// What the room of keys knows of where hosts are.
const WHERE: keys::Rooms = keys::Rooms {
    inventory: hosts::watched,
    sites: restriction::sites,
};

/// Runs the collector until a signal ends it.
///
/// # Errors
/// The configuration is wrong, an address or the database cannot be used, or a task ended that
/// should not have.
pub async fn run(file: &Path) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    metrics::recorder();
    let (tasks, running) = tasks();
    let ruling = start(&tasks, file).await?;
    drop(tasks);
    service::run(signals, running, || ruling.wish()).await
}

/// Builds the rooms and joins them.
async fn start(tasks: &Tasks, file: &Path) -> anyhow::Result<Ruling> {
    let config = Config::alone(file)?;
    let (intake, admin, now) = (config.intake.clone(), config.admin.clone(), clock::now());
    let store = Store::open(&config.store.url()?, SCHEMAS).await?;
    let beginning = Beginning::of(&store, &config, now).await?;
    let sealing = Sealing::open(&store, &config.sealing, &config.hosts.authority).await?;
    let (followed, hands) = reload::follow(config, beginning.policy());
    let signer = keys::Signer::open(&store, &sealing, now).await?;
    let (revocations, refusing) = keys::Revocations::open(&store).await?;
    let told = (sealing, revocations.clone());
    let (people, authority) = everybody(&store, told, &followed, now).await?;
    let hosts = Hosts::open(store.clone(), followed.hosts.clone(), now)?
        .on_revoke(|tx, host, now| Box::pin(forget(tx, host, now)))
        .reached_at(intake.doors());
    thaw(&store, &hosts, now).await?;
    let (spread, bans) = restriction::Spread::open(&store, now).await?;
    let (rotations, owned) = keys::Rotations::new();

    let rooms = Rooms::of(&followed, &hosts, (&spread, &revocations, &rotations));
    let ruled = (store.clone(), rooms.bell.clone());
    let ruling = Ruling::new(ruled, file, beginning, hands, now);
    let joined = (Arc::new(hosts.clone()) as _, Arc::clone(&rooms) as _);
    let parts = (store.clone(), joined.0, joined.1);
    let (errands_changes, errands) = Live::new(intake::Errands::default());
    let shown = keys::show_hosts(tasks, &authority, hosts::watched, &rooms.bell);
    let all = intake::Wanted {
        orders: followed.orders,
        bans,
        errands,
        refusing,
        owned,
        shown,
    };
    let (committing, questions) = intake::start(tasks, &intake, &hosts.trust(), all, parts).await?;
    let rules = (followed.key_rules.clone(), signer);
    let told = (revocations, rooms.bell.clone());
    let revoking = keys::Desk::new((store.clone(), hosts::watched), rules, told);
    let shown = Shown {
        rotations: rooms.calendar(&store),
        report: followed.report,
        store,
        people,
        hosts,
        alerting: (followed.alerting).knowing(|store, name| Box::pin(hosts::is_known(store, name))),
        rules: followed.rules,
        key_rules: followed.key_rules,
        spread,
        revoking,
        bell: rooms.bell.clone(),
        web: followed.web.clone(),
        committing,
        ruling: ruling.clone(),
        questions,
        authority,
    };
    web::start_admin(tasks, &admin, shown::routes(&shown, tasks.stop()))?;
    let site = shown::site(&shown, tasks.stop());
    site.start(tasks, followed.web).await?;
    go_on(tasks, &rooms, shown, errands_changes);
    Ok(ruling)
}

/// Who may sign in, and what gives them certificates; at the first start the first of them is made.
async fn everybody(
    store: &Store,
    (sealing, revocations): (Sealing, keys::Revocations),
    followed: &Followed,
    now: Timestamp,
) -> anyhow::Result<(People, keys::Authority)> {
    let post = Postman {
        alerting: followed.alerting.config.clone(),
        web: followed.web.clone(),
    };
    let people = People::new(store.clone(), followed.people.clone())
        .sealed_by(sealing.clone())
        .at(&followed.web.now().address())
        .with_post(Arc::new(post));
    people.reseal().await?;
    people.welcome(now).await?;
    let rules = followed.key_rules.clone();
    let authority = keys::Authority::new(store.clone(), sealing, rules, revocations);
    authority.reseal().await?;
    Ok((people, authority))
}

/// Has every room do what time alone brings about.
fn go_on(tasks: &Tasks, rooms: &Rooms, shown: Shown, errands: watch::Sender<Arc<intake::Errands>>) {
    tasks.start("report", shown.send_reports(tasks.stop()));
    let (store, bell) = (shown.store, &rooms.bell);
    tasks.start(
        "alerting",
        alerting::run(
            store.clone(),
            (shown.alerting, shown.web),
            bell.clone(),
            tasks.stop(),
        ),
    );
    tasks.start(
        "access",
        access::run(
            store.clone(),
            rooms.access.clone(),
            bell.clone(),
            tasks.stop(),
        ),
    );
    tasks.start(
        "restriction",
        restriction::run(
            store.clone(),
            rooms.restriction.clone(),
            bell.clone(),
            tasks.stop(),
        ),
    );
    watch_keys(tasks, rooms, &store, shown.questions);
    let authority = shown.authority;
    let following = keys::follow_authority(authority, hosts::watched, bell.clone(), tasks.stop());
    tasks.start("authority", following);
    let spread = rooms.spread.clone().run(store.clone(), tasks.stop());
    tasks.start("bans", spread);
    let watched = (store.clone(), hosts::watched as _);
    let gates = restriction::run_gates(watched, rooms.rules.clone(), bell.clone(), tasks.stop());
    tasks.start("gates", gates);
    let rules = (rooms.rules.clone(), rooms.restriction.clone());
    let ends = (errands, bell.clone());
    let probes = restriction::run_probes(store.clone(), rules, ends, tasks.stop());
    tasks.start("probes", probes);
    tasks.start(
        "health",
        health::run(
            store.clone(),
            rooms.health.clone(),
            hosts::signs,
            bell.clone(),
            tasks.stop(),
        ),
    );
    let codes = guessed::run(store, bell.clone(), tasks.stop());
    tasks.start("hosts", shown.hosts.run(bell.clone(), tasks.stop()));
    let letters = shown.people.clone().send_letters(tasks.stop());
    tasks.start("letters", letters);
    tasks.start("people", shown.people.run(tasks.stop()));
    tasks.start("codes", codes);
    tasks.start("policy", shown.ruling.run(tasks.stop()));
    tasks.start("metrics", metrics::run(tasks.stop()));
}

/// Has the keys judged, what is revoked refused, and every door asked.
fn watch_keys(tasks: &Tasks, rooms: &Rooms, store: &Store, questions: intake::Questions) {
    let (revocations, bell) = (&rooms.revocations, &rooms.bell);
    let rules = (rooms.keys.clone(), rooms.key_rules.clone());
    let judging = keys::run(store.clone(), rules, bell.clone(), tasks.stop());
    tasks.start("keys", judging);
    let spreading = revocations.clone().run(store.clone(), tasks.stop());
    tasks.start("revocations", spreading);
    let watched = (store.clone(), hosts::watched as _);
    let lines = keys::watch_lines(watched.clone(), bell.clone(), tasks.stop());
    tasks.start("lines", lines);
    let refusals = keys::watch_refusals(watched, bell.clone(), tasks.stop());
    tasks.start("refusals", refusals);
    let told = (questions.clone(), revocations.clone(), bell.clone());
    let rules = (WHERE, rooms.key_rules.clone());
    let rotating = rooms
        .rotations
        .clone()
        .run(store.clone(), rules, told, tasks.stop());
    tasks.start("rotations", rotating);
    let rules = rooms.key_rules.clone();
    let told = (revocations.clone(), bell.clone());
    tasks.start(
        "old-keys",
        keys::retire(store.clone(), rules, told, tasks.stop()),
    );
    let asking = (questions, hosts::names as _, restriction::places as _);
    let rules = (rooms.key_rules.clone(), bell.clone());
    let proving = keys::prove_glass(store.clone(), asking.clone(), rules, tasks.stop());
    tasks.start("break-glass", proving);
    let told = (revocations.clone(), bell.clone());
    let asking = keys::ask_daily(store.clone(), asking, told, tasks.stop());
    tasks.start("proof", asking);
}

/// Puts every deadline off by the time that the collector was away.
async fn thaw(store: &Store, hosts: &Hosts, now: Timestamp) -> anyhow::Result<()> {
    let mut tx = store.begin().await?;
    let away = hosts.thaw(&mut tx, now).await?;
    for deadlines in [
        access::DEADLINES,
        health::DEADLINES,
        restriction::DEADLINES,
        keys::DEADLINES,
    ] {
        deadline::put_off(&mut tx, deadlines, away).await?;
    }
    Ok(tx.commit().await?)
}

/// Ends and forgets what rooms hold of a host that is revoked.
async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    health::forget(tx, host, now).await?;
    keys::forget(tx, host, now).await?;
    restriction::forget(tx, host, now).await
}

/// Hands what hosts told to the rooms that keep and judge it.
struct Rooms {
    hosts: Hosts,
    access: Live<access::Config>,
    health: Live<health::Config>,
    restriction: Live<restriction::Config>,
    rules: Live<restriction::Policy>,
    spread: restriction::Spread,
    keys: Live<keys::Config>,
    key_rules: Live<keys::Policy>,
    revocations: keys::Revocations,
    rotations: keys::Rotations,
    bell: Bell,
}

impl Rooms {
    fn of(
        followed: &Followed,
        hosts: &Hosts,
        (spread, revocations, rotations): (
            &restriction::Spread,
            &keys::Revocations,
            &keys::Rotations,
        ),
    ) -> Arc<Self> {
        Arc::new(Self {
            hosts: hosts.clone(),
            access: followed.access.clone(),
            health: followed.health.clone(),
            restriction: followed.restriction.clone(),
            rules: followed.rules.clone(),
            spread: spread.clone(),
            keys: followed.keys.clone(),
            key_rules: followed.key_rules.clone(),
            revocations: revocations.clone(),
            rotations: rotations.clone(),
            bell: Bell::default(),
        })
    }

    /// Where rotations are seen and hastened.
    fn calendar(&self, store: &Store) -> keys::Calendar {
        let rules = (store.clone(), self.key_rules.clone());
        keys::Calendar::new(rules, (WHERE, self.rotations.clone()))
    }
}

#[tonic::async_trait]
impl intake::Rooms for Rooms {
    async fn alive(
        &self,
        tx: &mut Tx,
        hosts: &[Host],
        now: Timestamp,
    ) -> anyhow::Result<Vec<HostId>> {
        Ok(self.hosts.alive(tx, hosts, now).await?)
    }

    async fn absorb(&self, tx: &mut Tx, told: Told<'_>, now: Timestamp) -> anyhow::Result<()> {
        match told {
            Told::Behind(hosts) => self.hosts.behind(tx, hosts, now).await?,
            Told::From(all) => restriction::see(tx, all).await?,
            Told::Doctors(heard) => {
                self.hosts.doctors(tx, heard, now).await?;
                health::doctors(tx, heard, now).await?;
            }
            Told::Access(heard) => {
                let heard = &keys::named(heard, &self.key_rules.now());
                let shut_out: access::IsShutOut =
                    |tx, whom, now| Box::pin(restriction::shut_out(tx, whom, now));
                access::absorb(tx, heard, (&self.access.now(), shut_out), now).await?;
                let (rules, config) = (self.rules.now(), self.restriction.now());
                restriction::absorb(tx, heard, (&rules, &config), now).await?;
                keys::used(tx, heard, &self.keys.now(), now).await?;
                keys::watch_guarded(tx, heard, &self.key_rules.now(), now).await?;
            }
            Told::Gaps(heard) => access::absorb_gaps(tx, heard, &self.access.now(), now).await?,
            Told::Keys(heard) => keys::absorb(tx, heard, &self.key_rules.now(), now).await?,
            Told::Restriction(heard) => {
                let rules = (&*self.rules.now(), &*self.restriction.now());
                if restriction::hear(tx, heard, rules, now).await? {
                    self.spread.touch();
                }
            }
            Told::Instruments(heard) => {
                if keys::refused(tx, heard, now).await? {
                    self.revocations.touch();
                }
            }
            Told::Identities(heard) => {
                keys::own_keys(tx, heard, &self.key_rules.now(), now).await?;
                self.rotations.touch();
            }
            Told::Peers(heard) => keys::hear_peers(tx, heard, &self.key_rules.now(), now).await?,
            Told::Health(heard) => health::absorb(tx, heard, &self.health.now(), now).await?,
        }
        Ok(())
    }

    fn committed(&self) {
        self.bell.ring();
        self.spread.committed();
        self.revocations.committed();
    }
}
