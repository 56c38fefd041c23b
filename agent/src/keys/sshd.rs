//! Asks the host's sshd what applies to each account.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rcgen::KeyPair;
use watchward_protocol::text::Foreign;

use super::accounts::{Account, Accounts};
use super::child;
use super::layout::Layout;
use super::settings::Settings;

/// Where sshd reads its configuration, unless its packager wants it otherwise.
const CONFIGURATION: &str = "/etc/ssh/sshd_config";

/// How many accounts sshd is asked for one by one.
const MOST: usize = 1000;

/// What sshd says.
#[derive(Debug)]
pub(super) struct Said {
    /// What applies where nothing else is said. None: there is no sshd.
    pub(super) general: Option<Arc<Settings>>,
    /// What applies to an account, where sshd was asked for it.
    own: HashMap<Foreign, Arc<Settings>>,
    pub(super) layout: Layout,
    /// What could not be found out, each in one sentence.
    pub(super) troubles: Vec<String>,
}

impl Said {
    /// What applies to an account. None: there is no sshd.
    pub(super) fn of(&self, account: &Account) -> Option<&Settings> {
        let own = self.own.get(&account.name).or(self.general.as_ref())?;
        Some(own)
    }

    /// Nobody was asked.
    pub(super) fn nothing() -> Self {
        Self {
            general: None,
            own: HashMap::new(),
            layout: Layout::default(),
            troubles: Vec::new(),
        }
    }

    /// Asks: once, or once for each account if the configuration makes a difference between them.
    pub(super) async fn ask(sshd: &Path, accounts: &Accounts) -> Self {
        let layout = tokio::task::spawn_blocking(|| Layout::read(Path::new(CONFIGURATION)));
        let mut said = Self::nothing();
        said.layout = layout.await.unwrap_or_default();
        if !sshd.exists() {
            said.trouble(format!("there is no sshd at {}", sshd.display()));
            return said;
        }
        let asking = match Asking::begin(sshd).await {
            Ok((asking, general)) => {
                said.general = Some(Arc::new(general));
                asking
            }
            Err(error) => {
                said.trouble(format!(
                    "sshd does not say what applies, so it is taken to have its defaults: {error:#}"
                ));
                said.general = Some(Arc::default());
                return said;
            }
        };
        if said.layout.by_origin {
            let what = "Match blocks that depend on where somebody comes from are not looked into";
            said.trouble(what.to_owned());
        }
        if said.layout.matches {
            said.each(&asking, accounts).await;
        }
        said
    }

    async fn each(&mut self, asking: &Asking<'_>, accounts: &Accounts) {
        if accounts.list.len() > MOST {
            let what = format!("sshd was asked what applies for the first {MOST} accounts only");
            self.trouble(what);
        }
        for account in accounts.list.iter().take(MOST) {
            let name = &account.name;
            let text = std::str::from_utf8(name.as_bytes()).ok();
            // A comma would end the name in what sshd is asked.
            let Some(text) = text.filter(|name| !name.contains(',')) else {
                self.trouble(format!("sshd cannot be asked what applies to {name}"));
                continue;
            };
            let who = format!("user={text},host=localhost,addr=127.0.0.1");
            match asking.ask(&["-C", &who]).await {
                Ok(settings) => {
                    self.own.insert(name.clone(), Arc::new(settings));
                }
                Err(error) => {
                    self.trouble(format!(
                        "sshd does not say what applies to {name}: {error:#}"
                    ));
                }
            }
        }
    }

    fn trouble(&mut self, what: String) {
        self.troubles.push(what);
    }
}

/// How sshd can be asked.
struct Asking<'a> {
    sshd: &'a Path,
    /// A host key to have, where it may not read the host's own: without one it says nothing.
    key: Option<String>,
}

impl<'a> Asking<'a> {
    async fn begin(sshd: &'a Path) -> anyhow::Result<(Self, Settings)> {
        let mut asking = Self { sshd, key: None };
        let first = asking.ask(&[]).await;
        let Err(error) = first else {
            return Ok((asking, first?));
        };
        if !format!("{error:#}").contains("no hostkeys") {
            return Err(error);
        }
        asking.key = Some(KeyPair::generate()?.serialize_pem());
        let settings = asking.ask(&[]).await?;
        Ok((asking, settings))
    }

    async fn ask(&self, more: &[&str]) -> anyhow::Result<Settings> {
        const INPUT: &str = "/dev/stdin";
        let mut arguments = vec!["-T"];
        let key = self.key.as_deref();
        if key.is_some() {
            arguments.extend(["-h", INPUT]);
        }
        arguments.extend(more);
        let said = child::run(self.sshd, &arguments, key.unwrap_or_default().as_bytes()).await?;
        let mut settings = Settings::read(&said);
        if key.is_some() {
            settings.host_keys.retain(|path| path != Path::new(INPUT));
            if settings.host_keys.is_empty() {
                settings.host_keys = Settings::default().host_keys;
            }
        }
        Ok(settings)
    }
}
