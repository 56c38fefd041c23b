//! What sshd shows of itself changes as a whole or not at all, before whichever step the program is killed that
//! tells it: a client who knows the authority alone logs in all the time.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use watchward_enforcer::keys::{Answer, Holding, HostCertificate, Request, SOCKET, Shown};
use watchward_tests::enforcer;
use watchward_tests::host::Host;
use watchward_tests::logins::QUICKLY;
use watchward_tests::network::Network;
use watchward_tests::ready::{notice, scenario};
use watchward_tests::run::run;
use watchward_tests::tracer::{Passed, Step, Traced, Tracer};
use watchward_tests::undo::Folder;
use watchward_tests::wait::{SOON, until};

/// The calls that leave something else behind than was there before.
const TOUCH: [&str; 6] = ["clone", "vfork", "rename", "symlink", "unlink", "unlinkat"];
/// Asks it one thing, on the host: nobody is heard who is not.
const ASK: &str = "socket(S, AF_UNIX, SOCK_SEQPACKET, 0) && connect(S, pack_sockaddr_un($ARGV[0])) or die $!; \
    defined send(S, pack('H*', $ARGV[1]), 0) or die $!; \
    defined recv(S, $said, 1 << 20, 0) or die $!; print unpack('H*', $said)";
/// How long a trial lasts that is confirmed, and one that is not.
const LONG: u32 = 60;
const SHORT: u32 = 1;

#[test]
fn killed_before_each_step_sshd_shows_a_key_with_its_certificate_and_the_trial_ends() -> Result<()>
{
    scenario("host keys while what tells sshd is killed", || {
        let network = Network::new()?;
        let ground = Ground::new(&network)?;
        let own = ground.own()?;
        ground.change(&own)?;
        let logins = ground.logins()?;
        // A key of ours is made first, and certified once it is known.
        let both = |certificates: &[HostCertificate]| Shown {
            certificates: certificates.to_vec(),
            serials: vec![1],
            own: true,
        };
        ground.change(&both(&own.certificates))?;
        let ours = ground.certificate("/etc/ssh/watchward/host/1/key.pub")?;
        let both = both(&[&own.certificates[..], std::slice::from_ref(&ours)].concat());
        ground.change(&both)?;
        let one = Shown {
            certificates: vec![ours],
            serials: vec![1],
            own: false,
        };
        let two = Shown {
            serials: vec![1, 2],
            ..one.clone()
        };
        ground.killed(&two, &one, LONG)?;
        ground.killed(&one, &two, SHORT)?;
        ground.always_worked(logins)
    })
}

/// A host, and a client here that has a key of an account there and knows the authority of hosts alone.
struct Ground {
    web: Host,
    folder: Folder,
}

impl Ground {
    fn new(network: &Network) -> Result<Self> {
        let web = Host::boot(network, "web")?;
        let folder = Folder::new("watchward-home-")?;
        let make = "for it in authority own; do ssh-keygen -q -t ed25519 -N '' -f $it; done
            echo \"@cert-authority * $(cat authority.pub)\" > known";
        run(Command::new("bash")
            .args(["-ec", make])
            .current_dir(folder.path()))?;
        let key = fs::read_to_string(folder.path().join("own.pub"))?;
        web.sh(&format!(
            "printf 'u watchward-agent - - /\n' | systemd-sysusers -
             useradd -m -s /bin/bash alice; install -d -m 700 -o alice ~alice/.ssh
             install -m 600 -o alice /dev/null ~alice/.ssh/authorized_keys
             echo '{key}' > ~alice/.ssh/authorized_keys"
        ))?;
        enforcer::start_keys(&web, "[keys]\nhost = true\n")?;
        Ok(Self { web, folder })
    }

    /// Its own keys, certified.
    fn own(&self) -> Result<Shown> {
        let keys = ["ed25519", "ecdsa"].map(|it| format!("/etc/ssh/ssh_host_{it}_key.pub"));
        let certificates = keys.iter().map(|key| self.certificate(key));
        Ok(Shown {
            certificates: certificates.collect::<Result<_>>()?,
            serials: Vec::new(),
            own: true,
        })
    }

    /// A certificate for a key of the host.
    fn certificate(&self, key: &str) -> Result<HostCertificate> {
        let at = |name: &str| self.folder.path().join(name);
        fs::write(at("host.pub"), self.web.sh(&format!("cat {key}"))?)?;
        let sign = "ssh-keygen -q -s authority -h -I web -n web -V -5m:+1d host.pub";
        run(Command::new("bash")
            .args(["-c", sign])
            .current_dir(self.folder.path()))?;
        let text = fs::read_to_string(at("host-cert.pub"))?;
        let wire = text.split(' ').nth(1).context("no certificate")?;
        let wire = STANDARD.decode(wire)?;
        Ok(HostCertificate { wire })
    }

    fn ask(&self, request: &Request) -> Result<Answer> {
        let frame: String = request
            .encode()?
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        let said = run(&mut self
            .web
            .command(&["perl", "-MSocket", "-e", ASK, SOCKET, &frame])?)?;
        let said = said.as_bytes().chunks(2).map(str::from_utf8);
        let said = said.map(|it| Ok(u8::from_str_radix(it?, 16)?));
        Ok(Answer::decode(&said.collect::<Result<Vec<_>>>()?)?)
    }

    fn holding(&self) -> Result<Holding> {
        let said = self.ask(&Request::Hello)?;
        let Answer::Holding(holding) = said else {
            bail!("{said:?}");
        };
        Ok(holding)
    }

    /// Has this be shown, as an agent does that sees it in a handshake.
    fn change(&self, to: &Shown) -> Result<()> {
        self.attempt(to, LONG)?;
        self.confirm()?;
        let holding = self.holding()?;
        let is_it = holding.trial.is_none() && holding.shown == to.digest();
        ensure!(is_it && holding.trouble.is_empty(), "{holding:#?}");
        Ok(())
    }

    fn attempt(&self, to: &Shown, seconds: u32) -> Result<()> {
        let shown = to.clone();
        done(self.ask(&Request::Show { shown, seconds })?)
    }

    fn confirm(&self) -> Result<()> {
        let force = self.holding()?.force.context("nothing is in force")?;
        let generation = force.generation;
        done(self.ask(&Request::Confirm { generation })?)
    }

    /// The whole of a trial: it is confirmed, or, where it is short, nobody is there to do so.
    fn trial(&self, to: &Shown, seconds: u32) -> Result<()> {
        self.attempt(to, seconds)?;
        if seconds == LONG {
            return self.confirm();
        }
        until("it is over", SOON, || {
            Ok(self.holding()?.trial.is_none().then_some(()))
        })
    }

    /// Has a change be made again and again, and what makes it be killed before each of its steps.
    fn killed(&self, from: &Shown, to: &Shown, seconds: u32) -> Result<()> {
        self.change(from)?;
        let tracer = Tracer::note(Traced::One(self.process()?))?;
        self.trial(to, seconds)?;
        let steps = touching(tracer.steps()?)?;
        let (mut last, mut passed) = (0, Passed::default());
        for step in &steps {
            self.change(from)?;
            let process = self.process()?;
            let tracer = Tracer::kill_before(Traced::One(process), step)?;
            let _broken_off = self.trial(to, seconds);
            drop(tracer);
            let why = || format!("killed before {step} of {steps:?}: {}", self.why());
            if self.process().ok() == Some(process) {
                passed.note(step, &steps).with_context(why)?;
            }
            ensure!(self.opens()?, "{}", why());
            self.come_back().with_context(why)?;
            let holding = self.holding()?;
            let held = [from, to].map(|it| holding.shown == it.digest());
            ensure!(
                held != [false, false] && holding.trial.is_none(),
                "{}",
                why()
            );
            self.whole().with_context(why)?;
            last += usize::from(held == [false, true]);
        }
        notice(&format!(
            "killed before each of {} steps of what sshd shows: {last} times the new was shown",
            steps.len()
        ));
        Ok(())
    }

    fn process(&self) -> Result<u32> {
        let show = "systemctl show -P MainPID watchward-enforcer-keys";
        self.web.outside_process(self.web.sh(show)?.trim().parse()?)
    }

    /// Waits until what was killed is back.
    fn come_back(&self) -> Result<()> {
        self.web.sh(
            "systemctl reset-failed; systemctl restart watchward-enforcer-keys
             test $(systemctl show -P MainPID watchward-enforcer-keys) -gt 0",
        )?;
        until("it is back", SOON, || Ok(self.holding().ok().map(drop)))
    }

    /// That the sshd that runs has every file which it was told of.
    fn whole(&self) -> Result<()> {
        let lines = "journalctl -u ssh --no-pager -o cat | wc -l";
        let before = self.web.sh(lines)?;
        ensure!(self.opens()?, "it does not open");
        let after: usize = before.trim().parse::<usize>()? + 1;
        let missed = self.web.sh(&format!(
            "journalctl -u ssh --no-pager -o cat | tail -n +{after} | grep -i 'load host' || true"
        ))?;
        ensure!(missed.is_empty(), "{missed}");
        Ok(())
    }

    fn ssh(&self) -> String {
        let address = self.web.address();
        format!(
            "ssh -F none -o StrictHostKeyChecking=yes -o UserKnownHostsFile=known \
             -o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no -o BatchMode=yes \
             -o LogLevel=ERROR -o ConnectTimeout=20 -o ConnectionAttempts=3 -o IdentitiesOnly=yes \
             -o IdentityAgent=none -i own -o HostKeyAlias=web {QUICKLY} alice@{address} echo opened"
        )
    }

    /// Whether the client is let in without being asked.
    fn opens(&self) -> Result<bool> {
        let mut bash = Command::new("bash");
        bash.args(["-c", &self.ssh()])
            .current_dir(self.folder.path());
        Ok(bash.stdin(Stdio::null()).output()?.status.success())
    }

    /// The client logs in all the time.
    fn logins(&self) -> Result<Endless> {
        let ssh = self.ssh();
        let script =
            format!("while [ ! -e enough ]; do {ssh} 2>&1; sleep 0.3; done < /dev/null > during");
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).current_dir(self.folder.path());
        Ok(Endless(bash.spawn()?))
    }

    fn always_worked(&self, mut logins: Endless) -> Result<()> {
        fs::write(self.folder.path().join("enough"), "")?;
        logins.0.wait()?;
        let during = fs::read_to_string(self.folder.path().join("during"))?;
        let refused: Vec<_> = during.lines().filter(|it| *it != "opened").collect();
        notice(&format!("logins meanwhile: {}", during.lines().count()));
        ensure!(refused.is_empty() && !during.is_empty(), "{refused:#?}");
        Ok(())
    }

    fn why(&self) -> String {
        let told = "journalctl -u watchward-enforcer-keys -u ssh --no-pager -o cat -n 60
            ls -lR /etc/ssh/watchward; cat /etc/ssh/sshd_config.d/*";
        self.web.sh(told).unwrap_or_default()
    }
}

/// Of these steps, each that leaves something else behind for sshd or the next start. Before a trial begins, by a
/// link, only a key of ours is made, which is given its name by a rename.
fn touching(steps: Vec<Step>) -> Result<Vec<Step>> {
    let begins = steps.iter().position(|it| it.call() == "symlink");
    let begins = begins.context("no trial has begun")?;
    let steps = steps.into_iter().enumerate();
    let mut steps: Vec<_> = steps
        .filter(|(at, step)| {
            step.call() == "rename" || *at >= begins && TOUCH.contains(&step.call())
        })
        .map(|(_, step)| step)
        .collect();
    // Of what is taken away in the end, the first stands for the rest.
    let first = steps.iter().find(|it| it.call() == "unlinkat").cloned();
    steps.retain(|it| it.call() != "unlinkat" || Some(it) == first.as_ref());
    Ok(steps)
}

/// Somebody who logs in all the time, and ends with this.
struct Endless(Child);

impl Drop for Endless {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn done(answer: Answer) -> Result<()> {
    ensure!(answer == Answer::Done, "{answer:?}");
    Ok(())
}
