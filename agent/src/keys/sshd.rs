//! Asks the host's sshd what applies to each account, and for connections that it tells apart.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rcgen::KeyPair;
use watchward_protocol::proof::TRIES;
use watchward_protocol::restriction::Sshd;
use watchward_protocol::text::Foreign;

use super::accounts::{Account, Accounts};
use super::admits;
use super::child;
use super::criteria::Connection;
use super::layout::Layout;
use super::settings::Settings;

/// Where a host key is given to it.
const INPUT: &str = "/dev/stdin";

/// Where sshd reads its configuration, unless its packager wants it otherwise.
const CONFIGURATION: &str = "/etc/ssh/sshd_config";

/// How many questions are asked at most; each starts a program.
const MOST: usize = 2000;

/// An account that no host has: what applies to it applies where nothing is said of anybody.
const NOBODY: &str = "watchward-nobody";

/// What applies to an account.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// For the usual connection.
    pub(super) always: Arc<Settings>,
    /// For connections that sshd tells apart, where it is something else.
    pub(super) sometimes: Vec<(String, Arc<Settings>)>,
    /// Why it may be otherwise.
    pub(super) doubt: Option<String>,
}

impl Answer {
    fn doubtful(&self, doubt: String) -> Self {
        let doubt = Some(doubt);
        Self {
            doubt,
            ..self.clone()
        }
    }
}

/// What sshd says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// What applies where nothing else is said. None: there is no sshd.
    pub(super) general: Option<Answer>,
    /// What applies to an account, where sshd was asked for it.
    own: HashMap<Foreign, Answer>,
    pub(super) layout: Layout,
    /// Who may come in, as it says; none: it does not say.
    pub(super) admits: Option<Sshd>,
    /// What could not be found out, each in one sentence.
    pub(super) troubles: Vec<String>,
}

impl Said {
    /// What applies to an account. None: there is no sshd.
    pub(super) fn of(&self, account: &Account) -> Option<&Answer> {
        self.own.get(&account.name).or(self.general.as_ref())
    }

    /// How many tries it bears in one connection, whoever it is.
    pub(super) fn tries(&self) -> u32 {
        let answers = self.general.iter().chain(self.own.values());
        let settings = answers.flat_map(|it| {
            let sometimes = it.sometimes.iter().map(|(_, settings)| settings);
            sometimes.chain([&it.always])
        });
        settings.map(|it| it.tries).min().unwrap_or(TRIES)
    }

    /// The same for everybody.
    pub(super) fn of_one(always: Arc<Settings>) -> Self {
        Self {
            general: Some(Answer {
                always,
                sometimes: Vec::new(),
                doubt: None,
            }),
            ..Self::default()
        }
    }

    /// Asks: once, or once for each account if the configuration makes a difference between them;
    /// and so for each connection that it makes a difference for. Where there is no answer now, the
    /// one before goes on counting: so it does for the sshd that runs.
    pub(super) async fn ask(sshd: &Path, accounts: &Accounts, before: Option<&Self>) -> Self {
        if !sshd.exists() {
            return Self {
                admits: Some(Sshd::default()),
                ..Self::default()
            };
        }
        let layout = tokio::task::spawn_blocking(|| Layout::read(Path::new(CONFIGURATION)));
        let mut said = Self {
            layout: layout.await.unwrap_or_default(),
            ..Self::default()
        };
        let usual = said.layout.criteria.usual();
        let (connections, unknown) = said.layout.criteria.unusual();
        let asked = Asking::begin(sshd, (usual, connections)).await;
        let (asking, general) = match asked {
            Ok(found) => found,
            Err(error) => {
                said.assume(before, &error);
                return said;
            }
        };
        let own = asking.say(&["-C", &asking.usual.question(NOBODY)]).await;
        said.admits = own.ok().map(|own| admits::read(&own, &said.layout));
        if !unknown.is_empty() {
            let unknown: Vec<_> = unknown.into_iter().collect();
            let unknown = unknown.join(", ");
            said.trouble(format!(
                "sshd's configuration is not looked into as to {unknown}"
            ));
        }
        let who = said.layout.criteria.who;
        said.general = Some(general);
        if who {
            said.each(&asking, accounts, before).await;
        }
        said
    }

    /// Goes on with what sshd said before; if that is not known, with its defaults.
    fn assume(&mut self, before: Option<&Self>, error: &anyhow::Error) {
        if let Some((before, general)) = before.and_then(|it| Some((it, it.general.clone()?))) {
            self.general = Some(general);
            self.own.clone_from(&before.own);
            self.trouble(format!(
                "sshd does not say what applies, so what it said before counts: {error:#}"
            ));
            return;
        }
        let doubt = "sshd has not said yet what applies to it, so its defaults are assumed";
        self.general = Some(Answer {
            always: Arc::default(),
            sometimes: Vec::new(),
            doubt: Some(doubt.to_owned()),
        });
        self.trouble(format!(
            "sshd does not say what applies, so its defaults are assumed: {error:#}"
        ));
    }

    async fn each(&mut self, asking: &Asking<'_>, accounts: &Accounts, before: Option<&Self>) {
        let Some(general) = self.general.clone() else {
            return;
        };
        let most = MOST / (1 + asking.connections.len());
        if accounts.list.len() > most {
            self.trouble(format!(
                "sshd was asked what applies for the first {most} accounts only"
            ));
        }
        let (first, rest) = accounts.list.split_at(most.min(accounts.list.len()));
        for account in rest {
            let doubt = "sshd was not asked what applies to it: there are too many accounts";
            let answer = general.doubtful(doubt.to_owned());
            self.own.insert(account.name.clone(), answer);
        }
        for some in first.chunks(AT_ONCE) {
            let one = |at: usize| async move {
                let account = some.get(at)?;
                Some((account, asking.of(account).await))
            };
            let (a, b, c, d) = tokio::join!(one(0), one(1), one(2), one(3));
            for (account, answer) in [a, b, c, d].into_iter().flatten() {
                let answer = answer.unwrap_or_else(|error| {
                    let known = before.and_then(|it| it.own.get(&account.name));
                    known
                        .unwrap_or(&general)
                        .doubtful(format!("sshd does not say what applies to it: {error:#}"))
                });
                self.own.insert(account.name.clone(), answer);
            }
        }
    }

    fn trouble(&mut self, what: String) {
        self.troubles.push(what);
    }
}

/// What sshd writes of one account that comes from an address to a port, and what it may mean by more
/// than that.
///
/// # Errors
/// It does not answer.
pub(super) async fn say(
    sshd: &Path,
    name: &str,
    (address, port): (IpAddr, Option<u16>),
) -> anyhow::Result<(Vec<u8>, Vec<String>)> {
    let layout = tokio::task::spawn_blocking(|| Layout::read(Path::new(CONFIGURATION))).await?;
    let unknown = layout.criteria.unknown.iter();
    let doubts = unknown.map(|it| format!("sshd's configuration is not looked into as to {it}"));
    let doubts = doubts.collect();
    let connection = layout.criteria.usual().from(address, port);
    let (asking, _) = Asking::begin(sshd, (connection.clone(), Vec::new())).await?;
    let said = asking.say(&["-C", &connection.question(name)]).await?;
    Ok((said, doubts))
}

/// How many questions are asked at once.
const AT_ONCE: usize = 4;

/// How sshd can be asked.
struct Asking<'a> {
    sshd: &'a Path,
    /// A host key to have, where it may not read the host's own: without one it says nothing.
    key: Option<String>,
    usual: Connection,
    connections: Vec<(String, Connection)>,
}

impl<'a> Asking<'a> {
    /// Asks what applies to nobody.
    async fn begin(
        sshd: &'a Path,
        (usual, connections): (Connection, Vec<(String, Connection)>),
    ) -> anyhow::Result<(Self, Answer)> {
        let mut asking = Self {
            sshd,
            key: None,
            usual,
            connections,
        };
        let first = asking.whom(NOBODY).await;
        let Err(error) = first else {
            return Ok((asking, first?));
        };
        if !format!("{error:#}").contains("no hostkeys") {
            return Err(error);
        }
        asking.key = Some(KeyPair::generate()?.serialize_pem());
        let answer = asking.whom(NOBODY).await?;
        Ok((asking, answer))
    }

    async fn of(&self, account: &Account) -> anyhow::Result<Answer> {
        let name = std::str::from_utf8(account.name.as_bytes()).ok();
        // A comma would end the name in what sshd is asked.
        let name = name.filter(|name| !name.contains(','));
        self.whom(name.context("its name cannot be told to sshd")?)
            .await
    }

    async fn whom(&self, name: &str) -> anyhow::Result<Answer> {
        let always = self.ask(&["-C", &self.usual.question(name)]).await?;
        let mut sometimes = Vec::new();
        for (condition, connection) in &self.connections {
            let settings = self.ask(&["-C", &connection.question(name)]).await?;
            if settings != always {
                sometimes.push((condition.clone(), Arc::new(settings)));
            }
        }
        Ok(Answer {
            always: Arc::new(always),
            sometimes,
            doubt: None,
        })
    }

    async fn ask(&self, more: &[&str]) -> anyhow::Result<Settings> {
        let said = self.say(more).await?;
        let mut settings = Settings::read(&said);
        if self.key.is_some() {
            settings.host_keys.retain(|path| path != Path::new(INPUT));
            if settings.host_keys.is_empty() {
                settings.host_keys = Settings::default().host_keys;
            }
        }
        Ok(settings)
    }

    /// What it writes.
    async fn say(&self, more: &[&str]) -> anyhow::Result<Vec<u8>> {
        let mut arguments = vec!["-T"];
        let key = self.key.as_deref();
        if key.is_some() {
            arguments.extend(["-h", INPUT]);
        }
        arguments.extend(more);
        child::run(self.sshd, &arguments, key.unwrap_or_default().as_bytes()).await
    }
}
