//! Who knows the authority of hosts alone logs in before, while and after a host's key is replaced, and is never asked.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::enforcer;
use watchward_tests::host::Host;
use watchward_tests::logins::QUICKLY;
use watchward_tests::ready::notice;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until};

use super::revocation::log;
use super::{Key, append, new_key, watched};

const GUARD: &str = "[keys]\nhost = true\n";
/// What every host shows, and nothing else.
const CERTIFIED: &str = "[[keys.hosts]]\ngroups = [\"all\"]\nnames = [\"*.example.test\"]\n";
/// The same, and keys that take each other's place.
const TURNING: &str = "every = \"1m\"\noverlap = \"5s\"\n";
/// Clients are given the next authority's line for so long before it signs.
const SOON_KNOWN: &str = "[keys.hosts_authority]\noverlap = \"5s\"\n";

#[test]
fn a_client_that_knows_the_authority_is_never_asked_while_a_hosts_key_is_replaced() -> Result<()> {
    play("a host's key is replaced", "", |site| {
        let ground = Ground::new(site, GUARD)?;
        let Ground { web, home } = &ground;
        let files = "sha256sum /etc/ssh/ssh_host_* /etc/ssh/sshd_config";
        let (own, before) = (shown(home, web, "")?, web.sh(files)?);
        ensure!(shown(home, web, "-c")?.is_empty(), "no certificate yet");

        site.collector.rule(CERTIFIED)?;
        ground.certified(site)?;
        ensure!(!opens(home, web, "db")?, "it is another's name");
        ensure!(
            opens(home, web, "web.example.test")?,
            "a name of the policy"
        );
        ensure!(shown(home, web, "")? == own, "its keys are the same");

        // What it knew of another key that no certificate is for leads to no question either.
        home.sh("ssh-keygen -q -t rsa -N '' -f /root/rsa
             echo \"web $(cut -d' ' -f1,2 /root/rsa.pub)\" >> /root/known")?;
        ensure!(opens(home, web, "web")?, "a key of another type is known");

        // From now on somebody logs in all the time.
        home.sh(&endlessly(web, "/root/during"))?;
        site.collector.rule(&format!("{CERTIFIED}{TURNING}"))?;
        let told = "sshd -T | grep -c '^hostkey '";
        let ours = "sshd -T | grep -c '^hostkey /etc/ssh/watchward/'";
        until("the new key is shown beside the old ones", 3 * SOON, || {
            Ok(web
                .try_sh(&format!("test $({told}) = 4 && test $({ours}) = 1"))?
                .then_some(()))
        })
        .with_context(|| log(web))?;
        until("the new key alone is shown", 3 * SOON, || {
            Ok(web
                .try_sh(&format!("test $({told}) = 1 && test $({ours}) = 1"))?
                .then_some(()))
        })
        .with_context(|| log(web))?;
        until("clients are shown it", SOON, || {
            let now = shown(home, web, "")?;
            Ok((now.len() == 1 && !own.contains(&now[0])).then_some(()))
        })
        .with_context(|| log(web))?;
        ensure!(opens(home, web, "web")?, "{}", log(web));
        site.collector.rule(CERTIFIED)?;
        home.sh("touch /root/enough; sleep 1")?;
        let during = home.sh("sort /root/during | uniq -c")?;
        notice(&format!("logins while it was replaced: {during}"));
        ensure!(
            during.lines().count() == 1 && during.contains("opened"),
            "{during}"
        );
        ensure!(
            web.sh(files)? == before,
            "nothing of the host's own was changed"
        );
        Ok(())
    })
}

#[test]
fn what_the_guard_forbids_or_sshd_refuses_leaves_what_was_shown() -> Result<()> {
    play("host certificates that cannot be shown", "", |site| {
        let ground = Ground::new(site, "")?;
        let Ground { web, home } = &ground;
        let own = shown(home, web, "")?;
        site.collector.rule(CERTIFIED)?;
        said(web, "put `host = true` into `[keys]`")?;
        ensure!(shown(home, web, "")? == own && shown(home, web, "-c")?.is_empty());

        // An sshd that takes no other configuration is not told of one.
        web.write(
            "/etc/ssh/sshd_config.d/wrong.conf",
            b"Nonsense yes\n",
            0o644,
        )?;
        web.write("/etc/watchward/guard.toml", GUARD.as_bytes(), 0o644)?;
        said(web, "sshd's configuration has an error")?;
        ensure!(shown(home, web, "")? == own, "{}", log(web));
        web.sh("rm /etc/ssh/sshd_config.d/wrong.conf")?;
        ground.certified(site)?;

        // Whoever is killed leaves a host that shows its certificate.
        web.sh("systemctl kill -s KILL watchward-enforcer-keys watchward-agent")?;
        ensure!(opens(home, web, "web")?, "{}", log(web));
        web.sh("systemctl restart ssh")?;
        until("it is shown after a restart", SOON, || {
            let confirmed = "test -L /etc/ssh/watchward/now -a ! -L /etc/ssh/watchward/before";
            let opens = opens(home, web, "web")? && web.try_sh(confirmed)?;
            Ok(opens.then_some(()))
        })
        .with_context(|| log(web))
    })
}

#[test]
fn another_authority_takes_the_place_of_the_one_that_signs_and_a_stolen_key_is_refused()
-> Result<()> {
    play("the authority of hosts is replaced", "", |site| {
        let ground = Ground::new(site, GUARD)?;
        let Ground { web, home } = &ground;
        site.collector.rule(&format!("{SOON_KNOWN}{CERTIFIED}"))?;
        ground.certified(site)?;
        let old = known(site)?;
        site.collector.ask(&["authority", "rotate", "--hosts"])?;
        // Who takes the lines while both are there is never asked.
        let both = until("both are published", SOON, || {
            let all = known(site)?;
            Ok((all.len() == 2 && all.contains(&old[0])).then_some(all))
        })?;
        keep(home, &both)?;
        home.sh(&endlessly(web, "/root/during"))?;
        let new = until("the old one is no more", 3 * SOON, || {
            let all = known(site)?;
            Ok((all.len() == 1).then_some(all))
        })
        .with_context(|| log(web))?;
        ensure!(
            new[0] == both[1] && opens(home, web, "web")?,
            "{}",
            log(web)
        );
        home.sh("touch /root/enough; sleep 1")?;
        let during = home.sh("sort /root/during | uniq -c")?;
        ensure!(
            during.lines().count() == 1 && during.contains("opened"),
            "{during}"
        );
        keep(home, &old)?;
        ensure!(!opens(home, web, "web")?, "the old one counts no more");
        keep(home, &new)?;
        ensure!(opens(home, web, "web")?, "{}", log(web));

        // Somebody stole what the host shows: it shows another, and clients refuse that one.
        let stolen = web.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2")?;
        let stolen = stolen.trim();
        let words = ["revoke", stolen, "--reason", "stolen", "--no-wait", "--yes"];
        let done = site.collector.command()?.args(words).output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        let refused = until("clients are told", SOON, || {
            let all = known(site)?;
            let is_it = |it: &String| it.starts_with("@revoked * ") && it.ends_with(stolen);
            Ok(all.iter().any(is_it).then_some(all))
        })
        .with_context(|| said.into_owned())?;
        keep(home, &refused)?;
        until("another key is shown", 3 * SOON, || {
            let ours = "test $(sshd -T | grep -c '^hostkey ') = 1";
            Ok((web.try_sh(ours)? && opens(home, web, "web")?).then_some(()))
        })
        .with_context(|| log(web))
    })
}

/// The lines by which clients know hosts.
fn known(site: &Site) -> Result<Vec<String>> {
    let said = site.collector.ask(&["authority", "hosts"])?;
    let lines = said.get("known_hosts").and_then(Value::as_array);
    let lines = lines.into_iter().flatten().filter_map(Value::as_str);
    Ok(lines.map(str::to_owned).collect())
}

/// Has the client know hosts by these alone.
fn keep(home: &Host, lines: &[String]) -> Result<()> {
    home.write("/root/known", (lines.join("\n") + "\n").as_bytes(), 0o644)
}

/// A host that is watched, and a client with a key of an account there.
struct Ground {
    web: Host,
    home: Host,
}

impl Ground {
    fn new(site: &mut Site, guard: &str) -> Result<Self> {
        let (web, home) = (watched(site)?, site.boot("home")?);
        enforcer::start_keys(&web, guard)?;
        web.sh("useradd -m -s /bin/bash alice")?;
        let own: Key = new_key(&home, "own")?;
        append(&web, "alice", &own.text)?;
        Ok(Self { web, home })
    }

    /// Waits until the client, which learns the authority alone, is let in without being asked.
    fn certified(&self, site: &Site) -> Result<()> {
        let Self { web, home } = self;
        until("the client is never asked", 2 * SOON, || {
            keep(home, &known(site)?)?;
            Ok(opens(home, web, "web")?.then_some(()))
        })
        .with_context(|| log(web))
    }
}

const OPTIONS: &str = "-o StrictHostKeyChecking=yes -o UserKnownHostsFile=/root/known \
    -o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no -o BatchMode=yes -o LogLevel=ERROR \
    -o ConnectTimeout=20 -o ConnectionAttempts=3 -o IdentitiesOnly=yes -i /root/own";

/// Whether a client that knows the authority alone logs in to what it calls so.
fn opens(from: &Host, to: &Host, name: &str) -> Result<bool> {
    let to = to.address();
    from.try_sh(&format!(
        "ssh {OPTIONS} {QUICKLY} -o HostKeyAlias={name} alice@{to} true"
    ))
}

/// A shell line that logs in again and again until there is `/root/enough`.
fn endlessly(to: &Host, file: &str) -> String {
    let to = to.address();
    format!(
        "while [ ! -e /root/enough ]; do ssh {OPTIONS} {QUICKLY} -o HostKeyAlias=web alice@{to} echo opened \
         2>&1; sleep 0.3; done > {file} 2>&1 &"
    )
}

/// The keys, or with `-c` the certificates, that sshd shows.
fn shown(from: &Host, to: &Host, what: &str) -> Result<Vec<String>> {
    let to = to.address();
    let said = from.sh(&format!(
        "(ssh-keyscan {what} {to} 2>/dev/null || true) | cut -d' ' -f2,3 | sort"
    ))?;
    Ok(said.lines().map(str::to_owned).collect())
}

fn said(web: &Host, words: &str) -> Result<()> {
    until(words, 3 * SOON, || {
        Ok(log(web).contains(words).then_some(()))
    })
    .with_context(|| log(web))
}
