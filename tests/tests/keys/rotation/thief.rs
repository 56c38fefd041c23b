//! Somebody with a copy of the collector's database and of its master key, who gives themselves certificates of
//! which the collector knows nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow, ensure};
use serde::Deserialize;
use watchward_collector::alerting;
use watchward_collector::keys::{self, Authority, Policy, Revocations};
use watchward_collector::people::{Role, Roles};
use watchward_collector::policy::{Groups, Networks};
use watchward_collector::sealing::{self, Sealing};
use watchward_collector::store::Store;
use watchward_daemon::clock;
use watchward_daemon::config::{self, Live};
use watchward_tests::host::Host;
use watchward_tests::logins::Logins;
use watchward_tests::run::run;
use watchward_tests::site::Site;
use watchward_tests::undo::Folder;

/// One, with a certificate for a day by the authority that signed when they took the copy.
pub(super) struct Thief(Folder);

impl Thief {
    pub(super) fn of(site: &Site) -> Result<Self> {
        let folder = Folder::new("watchward-thief-")?;
        let at = |name: &str| folder.path().join(name);
        let mut backup = site.collector.command()?;
        run(backup.arg("backup").arg(at("watchward.db")))?;
        fs::copy(site.collector.folder().join("master.key"), at("master.key"))?;
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
        run(make.arg(at("id")))?;
        let policy = policy(&site.network.outside().to_string())?;
        let key = fs::read_to_string(at("id.pub"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let given = runtime.block_on(certificate(folder.path(), policy, &key))?;
        fs::write(at("id-cert.pub"), given)?;
        Ok(Self(folder))
    }

    /// Whether it opens alice's account there.
    pub(super) fn opens(&self, host: &Host) -> Result<bool> {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=20"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null"]);
        ssh.args(self.way(host).split(' ')).arg("true");
        Ok(ssh.stdin(Stdio::null()).output()?.status.success())
    }

    /// Logs in there with it all the time.
    pub(super) fn logins(&self, host: &Host) -> Result<Logins> {
        let shell = |script: &str| {
            let mut command = Command::new("bash");
            command.args(["-c", script]).current_dir(self.0.path());
            Ok(command)
        };
        Logins::begin(shell, self.0.path().to_owned(), &[self.way(host)])
    }

    fn way(&self, host: &Host) -> String {
        let (folder, address) = (self.0.path().display(), host.address());
        format!("-o IdentitiesOnly=yes -o IdentityAgent=none -i {folder}/id alice@{address}")
    }
}

/// What the copy gives for this key.
async fn certificate(folder: &Path, policy: Policy, key: &str) -> Result<String> {
    let url = format!("sqlite://{}/watchward.db", folder.display());
    let store = Store::open(&url, &[keys::SCHEMA, alerting::SCHEMA]).await?;
    let beside = folder.join("authority.pem");
    let sealing = Sealing::open(&store, &sealing::Config::default(), &beside).await?;
    let (revocations, _told) = Revocations::open(&store).await?;
    let authority = Authority::new(store, sealing, Live::fixed(policy), revocations);
    let roles = Roles::from(Role::Operator);
    let given = authority
        .certify(("ada", &roles), key, clock::now())
        .await?;
    ensure!(given.contains("-cert-v01@openssh.com"), "{given}");
    Ok(given)
}

fn policy(from: &str) -> Result<Policy> {
    #[derive(Deserialize)]
    struct Whole {
        networks: Networks,
        keys: Policy,
    }
    let text = format!(
        "[networks]\nhere = [\"{from}\"]\n\
         [[keys.certificates]]\nroles = [\"operator\"]\nfrom = [\"here\"]\nlife = \"1d\"\n"
    );
    let read = config::parse::<Whole>(&text, Path::new("policy.toml"), |whole| {
        whole.networks.join()?;
        whole.keys.join(&Groups::default(), &whole.networks)
    });
    let whole = read.map_err(|error| anyhow!("{error}"))?;
    Ok(whole.keys)
}
