//! A key and an authority that the collector orders open an account of a host, as far as its guard lets them, and nobody's own file is touched.

use anyhow::{Context, Result, ensure};
use watchward_protocol::instruments::{Instruments, Managed, Opens, Revoked};
use watchward_protocol::time::Timestamp;
use watchward_tests::enforcer;
use watchward_tests::host::Host;
use watchward_tests::root::Release;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until};

use super::client::{opens, opens_for};
use super::revocation::{FIRST, confirmed, log, order_all, wire};
use super::{Key, append, new_key, watched_as};

/// Lets every account be opened but root's.
pub(super) const GUARD: &str = "[keys]\naccounts = [\"*\"]\n";

#[test]
fn a_managed_key_opens_from_where_and_until_when_it_should_and_the_users_own_file_stays()
-> Result<()> {
    key_on(Release::Usual)
}

pub(super) fn key_on(release: Release) -> Result<()> {
    play("a managed key", "", |site| {
        let ground = Ground::new_as(site, GUARD, release)?;
        let Ground { web, home, .. } = &ground;
        let files = "stat -c '%i %z' ~alice/.ssh/authorized_keys /etc/shadow; sshd -T | grep -i authorizedkeysfile";
        let before = web.sh(files)?;
        let key = ground.fresh()?;
        hold(web, 0, vec![key.clone()])?;
        ensure!(opens(home, web, "fresh")?, "{}", log(web));
        ensure!(opens(home, web, "own")?, "the user's own opens still");

        let from = |nets: &[&str]| -> Result<Managed> {
            let nets = nets.iter().map(|net| net.parse());
            Ok(Managed {
                from: nets.collect::<std::result::Result<_, _>>()?,
                ..key.clone()
            })
        };
        let here = format!("{}/32", home.address());
        hold(web, 1, vec![from(&["203.0.113.0/24"])?])?;
        ensure!(!opens(home, web, "fresh")?, "from elsewhere alone");
        hold(web, 2, vec![from(&["203.0.113.0/24", &here])?])?;
        ensure!(opens(home, web, "fresh")?, "from here too");

        let until_at = |seconds: i64| Managed {
            until: Some(Timestamp::from_micros(seconds * 1_000_000)),
            ..key.clone()
        };
        let now: i64 = web.sh("date +%s")?.trim().parse()?;
        hold(web, 3, vec![until_at(now - 1)])?;
        ensure!(!opens(home, web, "fresh")?, "it has ended");
        hold(web, 4, vec![until_at(now + 3600)])?;
        ensure!(opens(home, web, "fresh")?, "it has not ended");

        // Nothing is left of it once nothing is ordered.
        hold(web, 5, Vec::new())?;
        ensure!(!opens(home, web, "fresh")? && opens(home, web, "own")?);
        ensure!(web.sh(files)? == before, "{}", log(web));
        Ok(())
    })
}

#[test]
fn a_managed_authority_opens_for_its_principals_and_that_account_alone() -> Result<()> {
    authority_on(Release::Usual)
}

pub(super) fn authority_on(release: Release) -> Result<()> {
    play("a managed authority", "", |site| {
        let ground = Ground::new_as(site, GUARD, release)?;
        let Ground { web, home, .. } = &ground;
        web.sh("useradd -m -s /bin/bash bob")?;
        let authority = new_key(home, "authority")?;
        for (name, principal) in [("operator", "role:operator"), ("guest", "role:guest")] {
            new_key(home, name)?;
            home.sh(&format!(
                "ssh-keygen -q -s authority -I {name} -n {principal} -z 7 -V -5m:+1h {name}.pub"
            ))?;
        }
        let key = wire(&authority.text)?;
        let line = |key: &[u8]| Managed {
            account: "bob".to_owned(),
            opens: Opens::Authority {
                key: key.to_vec(),
                principals: vec!["role:operator".to_owned()],
            },
            from: Vec::new(),
            until: None,
            forwarding: false,
        };
        hold(web, 0, vec![line(&key)])?;
        ensure!(opens_for(home, web, "operator", "bob")?, "{}", log(web));
        ensure!(!opens_for(home, web, "guest", "bob")?, "another principal");
        ensure!(
            !opens_for(home, web, "operator", "alice")?,
            "another account"
        );
        ensure!(
            !opens_for(home, web, "authority", "bob")?,
            "the authority's own key"
        );

        // A certificate that is revoked opens nothing, while the authority's others do.
        let revoked = Revoked::Serials {
            authority: key.clone(),
            first: 7,
            last: 7,
        };
        order_all(
            web,
            Instruments {
                generation: FIRST + 1,
                revoked: vec![revoked],
                managed: vec![line(&key)],
                ..Instruments::default()
            },
        )?;
        confirmed(web, FIRST + 1)?;
        ensure!(!opens_for(home, web, "operator", "bob")?, "{}", log(web));
        Ok(())
    })
}

#[test]
fn what_may_not_be_opened_is_said_and_what_is_revoked_does_not_wait_for_it() -> Result<()> {
    play("lines that cannot be held", "", |site| {
        let ground = Ground::new(site, GUARD)?;
        let Ground { web, home, own } = &ground;
        let fresh = ground.fresh()?;
        let root = Managed {
            account: "root".to_owned(),
            ..fresh.clone()
        };
        let other = new_key(home, "other")?;
        append(web, "alice", &other.text)?;
        let revoked = vec![Revoked::Key(wire(&own.text)?)];
        let ordered = |generation, line: &Managed| Instruments {
            generation,
            revoked: revoked.clone(),
            managed: vec![line.clone()],
            ..Instruments::default()
        };
        order_all(web, ordered(FIRST, &root))?;
        said(web, "does not let root be opened")?;
        ensure!(!opens_for(home, web, "fresh", "root")?);
        ensure!(!opens(home, web, "own")?, "what is revoked holds");

        let nobody = Managed {
            account: "zoe".to_owned(),
            ..fresh.clone()
        };
        order_all(web, ordered(FIRST + 1, &nobody))?;
        said(web, "there is no account zoe")?;
        web.sh("useradd -m -s /bin/bash zoe")?;
        until("zoe is opened", SOON, || {
            Ok(opens_for(home, web, "fresh", "zoe")?.then_some(()))
        })
        .with_context(|| log(web))?;

        // sshd looks elsewhere for her keys.
        let elsewhere = b"Match User zoe\nAuthorizedKeysFile none\n";
        web.write("/etc/ssh/sshd_config.d/z.conf", elsewhere, 0o644)?;
        said(
            web,
            "sshd does not look into /etc/ssh/watchward/now/keys/%u for zoe",
        )?;

        // Whoever changes where sshd looks for everybody's keys is followed.
        let elsewhere = b"AuthorizedKeysFile /etc/ssh/keys/%u\n";
        web.write("/etc/ssh/sshd_config.d/z.conf", elsewhere, 0o644)?;
        let told = "grep -qx 'AuthorizedKeysFile /etc/ssh/keys/%u /etc/ssh/watchward/now/keys/%u' \
            /etc/ssh/sshd_config.d/10-watchward.conf";
        until("it is followed", SOON, || {
            Ok(web.try_sh(told)?.then_some(()))
        })
        .with_context(|| log(web))?;
        until("the file in the home counts no more", SOON, || {
            Ok((!opens(home, web, "other")?).then_some(()))
        })
        .with_context(|| log(web))?;
        ensure!(opens_for(home, web, "fresh", "zoe")?, "{}", log(web));
        Ok(())
    })
}

#[test]
fn a_file_that_a_match_block_keeps_for_some_opens_nobody_else() -> Result<()> {
    match_block_on(Release::Usual)
}

pub(super) fn match_block_on(release: Release) -> Result<()> {
    play("lines beside a Match block", "", |site| {
        let ground = Ground::new_as(site, GUARD, release)?;
        let Ground { web, home, .. } = &ground;
        let theirs = new_key(home, "theirs")?;
        web.sh(&format!(
            "useradd -m -s /bin/bash zoe; mkdir /etc/ssh/theirs
             for it in alice zoe; do echo '{}' > /etc/ssh/theirs/$it; done",
            theirs.text
        ))?;
        // For zoe and whoever is nobody in particular. Of a port sshd says nothing unless it is told one.
        let kept = b"Match User *,!alice\nAuthorizedKeysFile /etc/ssh/theirs/%u\n\
            Match LocalPort 2222\nMaxAuthTries 3\n";
        web.write("/etc/ssh/sshd_config.d/z.conf", kept, 0o644)?;
        web.sh("systemctl reload ssh")?;
        let only_zoe = || -> Result<bool> {
            Ok(opens_for(home, web, "theirs", "zoe")? && !opens(home, web, "theirs")?)
        };
        until("sshd hears of it", SOON, || Ok(only_zoe()?.then_some(())))?;
        hold(web, 0, vec![ground.fresh()?])?;
        ensure!(opens(home, web, "fresh")?, "{}", log(web));
        ensure!(opens(home, web, "own")?, "{}", log(web));
        ensure!(only_zoe()?, "{}", log(web));
        Ok(())
    })
}

fn said(web: &Host, words: &str) -> Result<()> {
    until(words, SOON, || Ok(log(web).contains(words).then_some(()))).with_context(|| log(web))
}

/// Orders these lines, and waits until they hold.
pub(super) fn hold(web: &Host, number: u64, managed: Vec<Managed>) -> Result<()> {
    let instruments = Instruments {
        generation: FIRST + number,
        revoked: Vec::new(),
        managed,
        ..Instruments::default()
    };
    order_all(web, instruments)?;
    confirmed(web, FIRST + number)
}

/// A server with an account that a key of its own opens, and a client that has another key.
pub(super) struct Ground {
    pub(super) web: Host,
    pub(super) home: Host,
    pub(super) own: Key,
}

impl Ground {
    pub(super) fn new(site: &mut Site, guard: &str) -> Result<Self> {
        Self::new_as(site, guard, Release::Usual)
    }

    fn new_as(site: &mut Site, guard: &str, release: Release) -> Result<Self> {
        let (web, home) = (watched_as(site, release)?, site.boot("home")?);
        enforcer::start_keys(&web, guard)?;
        web.sh("useradd -m -s /bin/bash alice")?;
        let own = new_key(&home, "own")?;
        append(&web, "alice", &own.text)?;
        ensure!(opens(&home, &web, "own")?);
        Ok(Self { web, home, own })
    }

    /// A line for a new key of the client, called `fresh`, that opens alice's account.
    pub(super) fn fresh(&self) -> Result<Managed> {
        let fresh = new_key(&self.home, "fresh")?;
        ensure!(!opens(&self.home, &self.web, "fresh")?);
        Ok(Managed {
            account: "alice".to_owned(),
            opens: Opens::Key(wire(&fresh.text)?),
            from: Vec::new(),
            until: None,
            forwarding: false,
        })
    }
}
