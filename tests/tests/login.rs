//! `watchward login` on somebody's machine: a certificate comes into a real ssh-agent, and opens a real
//! sshd from where the policy says, and from nowhere else.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::desk::{Desk, PASSWORD};
use watchward_tests::host::Host;
use watchward_tests::run::run;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until_seen};

#[test]
fn a_certificate_opens_hosts_from_where_the_policy_says() -> Result<()> {
    play("a login by certificate", "", |site| {
        let host = site.watched("web", "")?;
        trusts(site, &host)?;
        let desk = Desk::new(site)?;
        permit(site, &["127.0.0.1", &site.network.outside().to_string()])?;

        let mut wrong = desk.typed(&["a guess", "another", "a third"])?;
        ensure!(!wrong.status.success(), "a guess was let in");
        let why = String::from_utf8_lossy(&wrong.stderr);
        ensure!(why.contains("do not belong together"), "{why}");
        desk.logs_in(&desk.next_code()?)?;
        let keys = desk.ask("ssh-add -l")?;
        ensure!(keys.contains("ED25519-CERT"), "{keys}");
        ensure!(
            desk.opens("root", &host)?,
            "{}",
            desk.ask("ssh-add -L | ssh-keygen -Lf -")?
        );
        let look = || site.collector.list(&["access", "--user", "root"]);
        let named = |all: &Vec<Value>| {
            all.iter()
                .any(|it| it.to_string().contains("ada watchward-1-1"))
        };
        until_seen("whose certificate it was", SOON, look, named)?;

        // A certificate that is given here, and opens nothing from here.
        permit(site, &["127.0.0.1"])?;
        desk.ask("ssh-add -q -D")?;
        desk.logs_in(desk.recovery(0)?)?;
        ensure!(!desk.opens("root", &host)?, "it opens from elsewhere");
        host.sh("journalctl -u ssh | grep 'certificate but not from a permitted source address'")
            .context("sshd does not say why")?;

        permit(site, &["127.0.0.1", &site.network.outside().to_string()])?;
        desk.by_browser()?;
        ensure!(
            desk.opens("root", &host)?,
            "a browser's certificate opens nothing"
        );
        desk.ask("ssh-add -q -D")?;

        permit(site, &["203.0.113.0/24"])?;
        wrong = desk.typed(&[PASSWORD, desk.recovery(1)?])?;
        let said = String::from_utf8_lossy(&wrong.stderr);
        ensure!(
            said.contains("who is at 127.0.0.1: it is given in here alone"),
            "{said}"
        );

        let trail = run(site.collector.command()?.args(["audit", "--who", "ada"]))?;
        for deed in ["was given a certificate", "was refused a certificate"] {
            ensure!(trail.contains(deed), "no word of \"{deed}\": {trail}");
        }
        let listed = site.collector.list(&["authority", "certificates"])?;
        assert_eq!(listed.len(), 4, "{listed:#?}");
        Ok(())
    })
}

/// Has sshd take certificates of the collector, root's from operators.
fn trusts(site: &Site, host: &Host) -> Result<()> {
    let key = run(site.collector.command()?.arg("authority"))?;
    host.write("/etc/ssh/authority.pub", key.as_bytes(), 0o644)?;
    host.sh("install -d /etc/ssh/principals; echo role:operator > /etc/ssh/principals/root")?;
    let settings = b"TrustedUserCAKeys /etc/ssh/authority.pub\n\
        AuthorizedPrincipalsFile /etc/ssh/principals/%u\n";
    host.write("/etc/ssh/sshd_config.d/authority.conf", settings, 0o644)?;
    host.sh("systemctl reload-or-restart ssh").map(drop)
}

/// Has certificates given in these networks.
fn permit(site: &Site, from: &[&str]) -> Result<()> {
    let policy = format!(
        "[networks]\nhere = {from:?}\n\
         [[keys.certificates]]\nroles = [\"operator\"]\nfrom = [\"here\"]\nlife = \"1h\"\n"
    );
    site.collector.rule(&policy)
}
