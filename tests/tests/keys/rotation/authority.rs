//! The authority of people's certificates is replaced to the end, whatever is killed, cut off or asleep meanwhile:
//! who has a certificate that counts is never refused, and then the old one opens nothing.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::agent;
use watchward_tests::desk::Desk;
use watchward_tests::host::Host;
use watchward_tests::run::run;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until};

use super::ground::{CUT, HEAL, kill, server};
use super::thief::Thief;
use crate::{append, new_key};

const ENFORCER: &str = "watchward-enforcer-keys";

#[test]
fn an_authority_is_replaced_to_the_end_and_what_the_old_one_signed_opens_nothing() -> Result<()> {
    play("an authority is replaced to the end", "", |site| {
        let ground = Ground::new(site)?;
        let Ground { web, shop, .. } = &ground;
        let mut desk = Desk::new(site)?;
        desk.logs_in(&desk.next_code()?)?;
        for host in [web, shop] {
            ensure!(desk.opens("alice", host)?, "{}", ground.why());
        }
        let thief = Thief::of(site)?;
        ensure!(thief.opens(web)? && thief.opens(shop)?, "{}", ground.why());

        let logins = thief.logins(web)?;
        begun(&ground)?;
        let worked = logins.always_worked().with_context(|| ground.why())?;
        ensure!(worked > 5, "{worked} logins alone");

        // What the new one signs counts for longer than this lasts; what the old one signed, a minute.
        site.collector.rule(&policy(site, "1h"))?;
        desk.follow(&site.collector)?;
        desk.logs_in(desk.recovery(0)?)?;
        ensure!(desk.opens("alice", web)? && desk.opens("alice", shop)?);
        let logins = desk.logins("alice", std::slice::from_ref(web))?;
        ended(&ground, &thief)?;
        logins.always_worked().with_context(|| ground.why())?;
        let new = ground.ordered()?;
        for host in [web, shop] {
            ensure!(desk.opens("alice", host)?, "{}", ground.why());
            ensure!(trusted(host)? == new, "{}", ground.why());
        }
        let mut alerts = site.collector.incidents()?;
        alerts.retain(|it| {
            it["key"]
                .as_str()
                .is_some_and(|it| it.contains("keys.authority"))
        });
        ensure!(alerts.is_empty(), "{alerts:#?}");
        Ok(())
    })
}

/// From {old} to {old, new}, while everything is killed in turn and a host is cut off, until the new one signs.
fn begun(ground: &Ground) -> Result<()> {
    let Ground {
        site, web, shop, ..
    } = ground;
    shop.sh(CUT)?;
    run(site.collector.command()?.args(["authority", "rotate"]))?;
    site.collector.kill()?;
    site.collector.start_again()?;
    let both = ground.ordered()?;
    ensure!(both.len() == 2, "{}", ground.why());
    ground.until_trusted(web, &both)?;
    kill(web, ENFORCER)?;
    agent::kill(web)?;
    ground.until_trusted(web, &both)?;
    ensure!(ground.signing()? == 1, "a host does not trust the next one");
    shop.sh(HEAL)?;
    ground.until_trusted(shop, &both)?;
    agent::kill(shop)?;
    kill(shop, ENFORCER)?;
    until("the next one signs", SOON * 3, || {
        Ok((ground.signing()? == 2).then_some(()))
    })
    .with_context(|| ground.why())
}

/// From {old, new} to {new}, while everything is killed in turn and a host is asleep.
fn ended(ground: &Ground, thief: &Thief) -> Result<()> {
    let Ground {
        site, web, shop, ..
    } = ground;
    shop.power_off()?;
    until("the old one's last certificate is over", SOON * 3, || {
        let all = ground.standing()?;
        Ok((all.len() == 1).then_some(()))
    })
    .with_context(|| ground.why())?;
    site.collector.kill()?;
    site.collector.start_again()?;
    kill(web, ENFORCER)?;
    agent::kill(web)?;
    ground.until_trusted(web, &ground.ordered()?)?;
    kill(web, ENFORCER)?;
    ground.refuses(web, thief)?;
    shop.power_on()?;
    ground.refuses(shop, thief)
}

/// Two servers whose account alice people come into by certificates, and by nothing else.
struct Ground<'a> {
    site: &'a Site,
    web: Host,
    shop: Host,
}

impl<'a> Ground<'a> {
    fn new(site: &'a Site) -> Result<Self> {
        let (web, shop) = (server(site, "web")?, server(site, "shop")?);
        let admin = new_key(&web, "admin")?;
        for host in [&web, &shop] {
            append(host, "root", &admin.text)?;
        }
        site.collector.rule(&policy(site, "1m"))?;
        let ground = Self { site, web, shop };
        for host in [&ground.web, &ground.shop] {
            ground.until_trusted(host, &ground.ordered()?)?;
        }
        Ok(ground)
    }

    /// Waits until these authorities open the account, confirmed and not on trial.
    fn until_trusted(&self, host: &Host, wanted: &[String]) -> Result<()> {
        until("it trusts these authorities", SOON * 3, || {
            let confirmed = !host.try_sh("test -L /etc/ssh/watchward/before")?;
            Ok((trusted(host)? == wanted && confirmed).then_some(()))
        })
        .with_context(|| format!("{}: {wanted:?}\n{}", host.name(), self.why()))
    }

    /// Waits until what the old one signed opens nothing there.
    fn refuses(&self, host: &Host, thief: &Thief) -> Result<()> {
        until("the old one opens nothing", SOON * 2, || {
            Ok((!thief.opens(host)?).then_some(()))
        })
        .with_context(|| self.why())?;
        self.until_trusted(host, &self.ordered()?)?;
        ensure!(!thief.opens(host)?, "{}", self.why());
        Ok(())
    }

    /// The authorities that hosts are to trust, as the collector prints them for others.
    fn ordered(&self) -> Result<Vec<String>> {
        Ok(keys(&run(self.site.collector.command()?.arg("authority"))?))
    }

    fn standing(&self) -> Result<Vec<Value>> {
        let standing = self.site.collector.ask(&["authority", "show"])?;
        let all = standing.get("authorities").and_then(Value::as_array);
        Ok(all.context("no authorities")?.clone())
    }

    /// The number of the one that signs.
    fn signing(&self) -> Result<u64> {
        let all = self.standing()?;
        let signs = all.iter().find(|it| it["signs"] == true);
        signs.and_then(|it| it["number"].as_u64()).context("none")
    }

    fn why(&self) -> String {
        let standing = self.standing().map(|all| format!("{all:#?}"));
        let log = |host: &Host| crate::revocation::log(host);
        [
            standing.unwrap_or_default(),
            self.site.collector.log(),
            log(&self.web),
            log(&self.shop),
        ]
        .join("\n")
    }
}

/// Which authorities open the account there, by the lines that sshd is told.
fn trusted(host: &Host) -> Result<Vec<String>> {
    let lines = host.sh("grep cert-authority /etc/ssh/watchward/now/keys/alice")?;
    Ok(keys(&lines))
}

/// The keys of these lines, in the order of their letters.
fn keys(lines: &str) -> Vec<String> {
    let words = lines.split_whitespace();
    let keys = words.filter(|it| it.starts_with("AAAA"));
    let mut keys: Vec<_> = keys.map(str::to_owned).collect();
    keys.sort();
    keys
}

/// A policy by which operators come in as alice, by certificates that count for so long.
fn policy(site: &Site, life: &str) -> String {
    let outside = site.network.outside();
    format!(
        "[groups]\nservers = [\"web\", \"shop\"]\n[networks]\nhere = [\"{outside}\", \"127.0.0.1\"]\n\
         [keys.authority]\nslack = \"1s\"\n\
         [[keys.logins]]\ngroups = [\"servers\"]\naccounts = [\"alice\"]\nroles = [\"operator\"]\n\
         [[keys.certificates]]\nroles = [\"operator\"]\nfrom = [\"here\"]\nlife = \"{life}\"\n"
    )
}
