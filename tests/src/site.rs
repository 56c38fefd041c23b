//! What a scenario plays on: a network, a collector, and the servers that people are told by.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::agent;
use crate::collector::Collector;
use crate::host::Host;
use crate::mail::MailServer;
use crate::network::Network;
use crate::postgres::Postgres;
use crate::ready;
use crate::root::Release;
use crate::sms::{self, Gateway};
use crate::undo::Folder;
use crate::wait::{SOON, until_seen};

/// Who is told by email.
pub const MAILBOX: &str = "on-call@example.test";
/// Who is told by SMS.
pub const PHONE: &str = "+15550100";

/// Which database a collector keeps everything in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The default.
    Sqlite,
    /// A cluster of its own.
    Postgres,
}

/// All that stands around the hosts of a scenario.
#[derive(Debug)]
pub struct Site {
    /// The collector, which knows the two servers.
    pub collector: Collector,
    /// The SMTP server.
    pub mail: MailServer,
    /// The SMS gateway.
    pub gateway: Gateway,
    /// The network that all are on.
    pub network: Network,
    _secrets: Folder,
    _postgres: Option<Postgres>,
}

/// Plays a scenario on a site of its own, or says that this machine cannot. `settings` are added to
/// the collector's configuration: lines such as `hosts.silent_after = "8s"`.
pub fn play(name: &str, settings: &str, scene: impl FnOnce(&mut Site) -> Result<()>) -> Result<()> {
    play_on(Database::Sqlite, name, settings, scene)
}

/// The same on a database of this kind.
pub fn play_on(
    database: Database,
    name: &str,
    settings: &str,
    scene: impl FnOnce(&mut Site) -> Result<()>,
) -> Result<()> {
    ready::scenario(name, || {
        let mut site = Site::new(database, settings)?;
        scene(&mut site).map_err(|error| error.context(site.collector.log()))
    })
}

impl Site {
    fn new(database: Database, settings: &str) -> Result<Self> {
        let network = Network::new()?;
        let mail = MailServer::start(&network)?;
        let gateway = Gateway::start()?;
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::start()?),
        };
        let url = postgres.as_ref().map(Postgres::database).transpose()?;
        let secrets = Folder::new("watchward-secrets-")?;
        let secret = secrets.path().join("twilio");
        fs::write(&secret, sms::TOKEN)?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        fs::write(secrets.path().join("mail.pem"), mail.certificate())?;
        let told = alerting(&secrets, &mail, &gateway);
        let collector = Collector::start(&network, url.as_deref(), &format!("{settings}\n{told}"))?;
        Ok(Self {
            collector,
            mail,
            gateway,
            network,
            _secrets: secrets,
            _postgres: postgres,
        })
    }

    /// Boots a host that is not watched.
    pub fn boot(&self, name: &str) -> Result<Host> {
        Host::boot(&self.network, name)
    }

    /// The same, of this Debian.
    pub fn boot_as(&self, name: &str, release: Release) -> Result<Host> {
        Host::boot_as(&self.network, name, release)
    }

    /// Boots a host with an agent, and waits until the collector has heard of it.
    pub fn watched(&self, name: &str, settings: &str) -> Result<Host> {
        let host = self.boot(name)?;
        self.watch(&host, settings)?;
        Ok(host)
    }

    /// Has a host watched that was not, and waits until the collector has heard of it.
    pub fn watch(&self, host: &Host, settings: &str) -> Result<()> {
        agent::start(host, &self.network, &self.collector, settings)?;
        let watched = |it: &Value| {
            it.get("name").is_some_and(|name| name == host.name())
                && it
                    .get("findings")
                    .is_some_and(|all| all.to_string().contains("access: "))
        };
        self.hosts_until("the new host is watched", |hosts| hosts.iter().any(watched))
            .with_context(|| agent::log(host))
    }

    /// Waits until the collector's incidents are as they should be.
    pub fn incidents_until(&self, what: &str, enough: impl Fn(&[Value]) -> bool) -> Result<()> {
        let look = || self.collector.incidents();
        until_seen(what, SOON, look, |incidents| enough(incidents)).map(drop)
    }

    /// Waits until the collector's hosts are as they should be.
    pub fn hosts_until(&self, what: &str, enough: impl Fn(&[Value]) -> bool) -> Result<()> {
        let look = || self.collector.list(&["hosts"]);
        until_seen(what, SOON, look, |hosts| enough(hosts)).map(drop)
    }

    /// Waits until a check of any host stands like this, with these words in its detail.
    pub fn check_until(&self, check: &str, state: &str, words: &str) -> Result<()> {
        let what = format!("{check} is {state}: {words}");
        let says = |one: &Value, key: &str, text: &str| {
            one.get(key)
                .and_then(Value::as_str)
                .is_some_and(|said| said.contains(text))
        };
        let fits = |all: &Vec<Value>| {
            all.iter().any(|one| {
                says(one, "check", check) && says(one, "state", state) && says(one, "detail", words)
            })
        };
        let look = || {
            let mut all = self.collector.list(&["health"])?;
            all.retain(|one| says(one, "check", check));
            Ok(all)
        };
        until_seen(&what, SOON, look, fits).map(drop)
    }

    /// Waits until the access events that this query shows are as they should be, and gives them.
    pub fn access_until(
        &self,
        what: &str,
        query: &[&str],
        enough: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let words = [&["access", "--limit", "1000"], query].concat();
        until_seen(
            what,
            SOON,
            || self.collector.list(&words),
            |events| enough(events),
        )
    }

    /// The subjects of the emails and the texts of the SMS that people got so far.
    pub fn told(&self) -> Result<Told> {
        Ok(Told {
            mails: self
                .mail
                .delivered()?
                .iter()
                .map(crate::mime::Mail::subject)
                .collect(),
            texts: self
                .gateway
                .taken()
                .into_iter()
                .map(|sms| sms.body)
                .collect(),
        })
    }

    /// Waits until what people were told is as it should be, and gives it.
    pub fn told_until(&self, what: &str, enough: impl Fn(&Told) -> bool) -> Result<Told> {
        until_seen(what, SOON * 2, || self.told(), enough)
    }
}

/// What people got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Subjects of emails, oldest first.
    pub mails: Vec<String>,
    /// Texts of SMS, oldest first.
    pub texts: Vec<String>,
}

impl Told {
    /// How many emails and how many SMS speak of all these words.
    pub fn of(&self, words: &[&str]) -> (usize, usize) {
        let count = |all: &[String]| {
            all.iter()
                .filter(|text| words.iter().all(|word| text.contains(word)))
                .count()
        };
        (count(&self.mails), count(&self.texts))
    }
}

fn alerting(secrets: &Folder, server: &MailServer, gateway: &Gateway) -> String {
    let (folder, smtp, sms) = (secrets.path().display(), server.address(), gateway.url());
    format!(
        "[alerting]
         folder = \"{folder}\"
         [alerting.pace]
         first_retry = \"500ms\"
         longest_retry = \"2s\"
         [alerting.smtp]
         host = \"{smtp}\"
         port = 25
         tls = \"starttls\"
         ca_file = \"{folder}/mail.pem\"
         from = \"Watchward <watchward@example.test>\"
         [alerting.sms]
         base_url = \"{sms}\"
         account = \"{account}\"
         secret_file = \"{folder}/twilio\"
         from = \"+15550199\"
         [[alerting.contacts]]
         name = \"on-call\"
         email = \"{MAILBOX}\"
         phone = \"{PHONE}\"
         by_sms = \"info\"
        ",
        account = sms::ACCOUNT,
    )
}
