//! A collector on loopback with a page, and hosts that have told it of themselves.

use std::fs::{self, File};
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use watchward_collector::hosts::{self, Hosts};
use watchward_collector::intake::{Behind, Enrol, Heard, Host, Registry};
use watchward_collector::store::Store;
use watchward_collector::{access, health, keys};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::access::{
    AccessEvent, Action, Key, Outcome, Peer, Service, Trust, Tunnel, User,
};
use watchward_protocol::health::{self as checks, HealthReport, Verdict};
use watchward_protocol::hosts::{Doctor, Finding, FindingState};
use watchward_protocol::keys::{Holder, Keys, Means, Opening, PublicKey};
use watchward_protocol::record::{Backlog, Epoch, Lane};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;
use watchward_tests::programs;
use watchward_tests::run::run;
use watchward_tests::undo::{Folder, Undo};
use watchward_tests::wait::{SOON, until};

/// The key that everybody has here.
const FINGERPRINT: &str = "SHA256:kDfRnJ3pGm0P4nRrD1cXq2nTn7c0yT3n4E5bCVtM2Ks";

/// A running collector.
pub(crate) struct Site {
    pub(crate) origin: String,
    pub(crate) store: Store,
    hosts: Hosts,
    pub(super) folder: Folder,
    seq: std::sync::atomic::AtomicU64,
    _process: Undo,
}

impl Site {
    /// Starts one that knows nobody yet, where a password will do.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with("optional").await
    }

    /// Starts one that knows nobody yet, where a second factor is "required" or "optional".
    pub(crate) async fn start_with(second_factor: &str) -> Result<Self> {
        let folder = Folder::new("watchward-page-")?;
        let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (at, page) = (folder.path().display().to_string(), port()?);
        let text = format!(
            "[store]\ndatabase = \"sqlite://{at}/db\"\n\
             [intake]\nlisten = \"127.0.0.1:{}\"\nenrolment = \"127.0.0.1:{}\"\n\
             [admin]\nsocket = \"{at}/socket\"\n\
             [web]\nlisten = \"127.0.0.1:{page}\"\npublic_url = \"http://localhost:{page}\"\n\
             [people]\nsecond_factor = \"{second_factor}\"\n\
             [policy]\nfile = \"{at}/policy.toml\"\n\
             [alerting]\nfolder = \"{at}/messages\"\n\
             [hosts]\nauthority = \"{at}/authority.pem\"\nsilent_after = \"1h\"\n",
            port()?,
            port()?
        );
        fs::write(folder.path().join("collector.toml"), text)?;
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(programs::path(programs::COLLECTOR)?)
            .arg("--config")
            .arg(folder.path().join("collector.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let process = Undo::promise(format!("kill -9 {}", child.id()))?;
        until("the collector answers", SOON, || {
            ask(folder.path(), &["hosts"]).map(Some)
        })?;
        let store = Store::open(&format!("sqlite://{at}/db"), &[]).await?;
        let config = hosts::Config {
            authority: folder.path().join("authority.pem"),
            ..hosts::Config::default()
        };
        let hosts = Hosts::open(store.clone(), Live::fixed(config), clock::now())?;
        Ok(Self {
            origin: format!("http://localhost:{page}"),
            store,
            hosts,
            folder,
            seq: std::sync::atomic::AtomicU64::new(1),
            _process: process,
        })
    }

    /// What the collector has logged.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// The one-time password that the collector said at its first start.
    pub(crate) fn one_time_password(&self) -> Result<String> {
        let log = self.log()?;
        let said = log.split("one-time password ").nth(1);
        let said = said.and_then(|rest| rest.split(". ").next());
        Ok(said.with_context(|| format!("not said: {log}"))?.to_owned())
    }

    /// What the operator's command shows.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Value> {
        ask(self.folder.path(), words)
    }

    /// Enrols a host that tells of itself at this moment.
    pub(crate) async fn host(&self, name: &str, now: Timestamp) -> Result<Host> {
        let made = self.ask(&["token", "create", name])?;
        let token = made.get("token").and_then(Value::as_str).context("token")?;
        let secret = token.strip_prefix("wwt1-").context("token")?;
        let byte = |at: usize| u8::from_str_radix(secret.get(at..at + 2).unwrap_or("?"), 16);
        let secret: Result<Vec<u8>, _> = (0..64).step_by(2).map(byte).collect();
        let key = rcgen::KeyPair::generate()?;
        let request = rcgen::CertificateParams::default().serialize_request(&key)?;
        let enrol = Enrol {
            name: name.to_owned(),
            secret: secret?,
            request: request.der().to_vec(),
            from: None,
        };
        self.hosts.enrol(enrol, clock::now()).await??;
        let listed = self.ask(&["hosts"])?;
        let all = listed.as_array().context("hosts")?;
        let own = all
            .iter()
            .rfind(|host| host.get("name").and_then(Value::as_str) == Some(name));
        let id = own.and_then(|host| host.get("id")?.as_str());
        let host = Host {
            id: id.context("the host is not listed")?.parse()?,
            name: name.to_owned(),
        };
        let mut tx = self.store.begin().await?;
        self.hosts
            .alive(&mut tx, std::slice::from_ref(&host), now)
            .await?;
        let doctor = self.heard(&host, now, doctor());
        self.hosts.doctors(&mut tx, &[doctor], now).await?;
        tx.commit().await?;
        Ok(host)
    }

    /// Has a host say that the collector is that far behind.
    pub(crate) async fn behind(&self, host: &Host, backlog: Backlog) -> Result<()> {
        let behind = Behind {
            host: host.clone(),
            epoch: Epoch(0x5eed),
            backlog,
        };
        let mut tx = self.store.begin().await?;
        self.hosts.behind(&mut tx, &[behind], clock::now()).await?;
        Ok(tx.commit().await?)
    }

    /// Three hours of a check, the last runs of it failed if it is down.
    pub(crate) async fn check(
        &self,
        host: &Host,
        check: &str,
        (unit, is_down): (&str, bool),
    ) -> Result<()> {
        let now = clock::now();
        let reports: Vec<_> = (0..180_u32)
            .map(|minute| {
                let wave = f64::from(minute % 37) + 20.0 * (f64::from(minute) / 17.0).sin();
                let failed = is_down && minute > 170;
                let at = now - Duration::from_secs(60 * u64::from(179 - minute));
                let report = HealthReport {
                    at,
                    check: check.to_owned(),
                    verdict: if failed {
                        Verdict::Failed
                    } else {
                        Verdict::Passed
                    },
                    detail: match failed {
                        true => format!("{check}: connection refused"),
                        false => format!("{check}: as it should be"),
                    },
                    took: Duration::from_millis(3),
                    interval: Duration::from_secs(60),
                    failures: 3,
                    values: vec![checks::Value::new(check, 30.0 + wave, unit).up_to(90.0)],
                };
                self.heard(host, at, report)
            })
            .collect();
        let mut tx = self.store.begin().await?;
        health::absorb(&mut tx, &reports, &health::Config::default(), now).await?;
        Ok(tx.commit().await?)
    }

    /// One key that opens an account.
    pub(crate) async fn key(&self, host: &Host, account: &str) -> Result<()> {
        let now = clock::now();
        let key = PublicKey {
            kind: "ssh-ed25519".to_owned(),
            bits: 256,
            fingerprint: FINGERPRINT.to_owned(),
            wire: Vec::new(),
        };
        let opening = Opening {
            means: Means::AuthorizedKey,
            key: Some(key),
            file: format!("/home/{account}/.ssh/authorized_keys"),
            line: Some(1),
            comment: "ada@<b>laptop</b>".into(),
            options: Foreign::default(),
            principals: Vec::new(),
            not_before: None,
            not_after: None,
            condition: None,
        };
        let told = Keys {
            at: now,
            holder: Holder::Account(account.into()),
            openings: vec![opening],
            omitted: 0,
            troubles: Vec::new(),
        };
        let mut tx = self.store.begin().await?;
        let heard = [self.heard(host, now, told)];
        keys::absorb(&mut tx, &heard, &keys::Policy::default(), now).await?;
        Ok(tx.commit().await?)
    }

    /// A try to log in, so many seconds ago.
    pub(crate) async fn login(&self, host: &Host, login: Login<'_>) -> Result<()> {
        let now = clock::now();
        let at = now - Duration::from_secs(login.ago);
        let user = Foreign::from(login.user);
        let address: IpAddr = login.address.parse()?;
        let key = Key {
            kind: "ED25519".to_owned(),
            fingerprint: FINGERPRINT.to_owned(),
        };
        let (form, outcome) = match login.is_in {
            true => ("accepted", Outcome::Success),
            false => ("failed", Outcome::Failure),
        };
        let event = AccessEvent {
            at,
            service: Service::Sshd,
            action: Action::Authentication,
            outcome,
            attempt: true,
            form: form.to_owned(),
            line: Foreign::from(format!("{form} for {user} from {address} port 40022").as_str()),
            user: Some(User {
                name: user,
                known: login.known,
            }),
            target: None,
            peer: Some(Peer {
                address,
                port: Some(40022),
            }),
            tunnel: Tunnel::default(),
            method: Some(if login.is_in { "publickey" } else { "password" }.to_owned()),
            key: login.is_in.then_some(key),
            certificate: None,
            command: None,
            pid: Some(4711),
            trust: Trust::Server,
        };
        let mut tx = self.store.begin().await?;
        let heard = [self.heard(host, at, event)];
        let shut_out: access::IsShutOut = |_, _, _| Box::pin(async { Ok(None) });
        let by = (&access::Config::default(), shut_out);
        access::absorb(&mut tx, &heard, by, now).await?;
        Ok(tx.commit().await?)
    }

    pub(super) fn heard<T>(&self, host: &Host, at: Timestamp, report: T) -> Heard<T> {
        Heard {
            host: host.clone(),
            lane: Lane::Access,
            epoch: Epoch(7),
            seq: self.seq.fetch_add(1, std::sync::atomic::Ordering::SeqCst),
            kept_at: at,
            boot: [0; 16],
            report,
        }
    }
}

/// Somebody who logs in, or fails to.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) known: bool,
    pub(crate) address: &'a str,
    pub(crate) is_in: bool,
    /// How many seconds ago.
    pub(crate) ago: u64,
}

fn doctor() -> Doctor {
    let finding = |subject: &str, state, detail: &str| Finding {
        subject: subject.to_owned(),
        state,
        detail: detail.to_owned(),
    };
    Doctor {
        version: "0.1.0".to_owned(),
        system: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        findings: vec![
            finding(
                "access: journal",
                FindingState::Watched,
                "sshd, from the journal",
            ),
            finding(
                "access: openvpn",
                FindingState::Absent,
                "there is no server of OpenVPN",
            ),
            finding(
                "health: systemd",
                FindingState::Failing,
                "D-Bus does not answer: permission denied",
            ),
        ],
    }
}

fn ask(folder: &Path, words: &[&str]) -> Result<Value> {
    let mut command = Command::new(programs::path(programs::COMMAND)?);
    command
        .arg("--socket")
        .arg(folder.join("socket"))
        .arg("--json");
    let shown = run(command.args(words))?;
    serde_json::from_str(&shown).with_context(|| format!("this is no JSON: {shown}"))
}
