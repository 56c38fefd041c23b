//! `watchward login` on somebody's machine: a certificate comes into a real ssh-agent, and opens a real
//! sshd from where the policy says, and from nowhere else.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_daemon::clock;
use watchward_tests::host::Host;
use watchward_tests::run::{complaint, run};
use watchward_tests::site::{Site, play};
use watchward_tests::totp;
use watchward_tests::undo::{Folder, Undo};
use watchward_tests::wait::{SOON, until, until_seen};

const PASSWORD: &str = "seven quiet herons wade";

#[test]
fn a_certificate_opens_hosts_from_where_the_policy_says() -> Result<()> {
    play("a login by certificate", "", |site| {
        let host = site.watched("web", "")?;
        trusts(site, &host)?;
        let desk = Desk::new(site)?;
        permit(site, &["127.0.0.1", &site.network.outside().to_string()])?;

        let mut wrong = desk.typed(&["a guess", "another", "a third"])?;
        ensure!(!wrong.status.success(), "a guess was let in");
        desk.at_least_once(&desk.next_code()?)?;
        let keys = desk.ask("ssh-add -l")?;
        ensure!(keys.contains("ED25519-CERT"), "{keys}");
        ensure!(
            desk.opens(&host)?,
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
        desk.at_least_once(&desk.recovery[0])?;
        ensure!(!desk.opens(&host)?, "it opens from elsewhere");
        host.sh("journalctl -u ssh | grep 'certificate but not from a permitted source address'")
            .context("sshd does not say why")?;

        permit(site, &["127.0.0.1", &site.network.outside().to_string()])?;
        desk.by_browser()?;
        ensure!(desk.opens(&host)?, "a browser's certificate opens nothing");
        desk.ask("ssh-add -q -D")?;

        permit(site, &["203.0.113.0/24"])?;
        wrong = desk.typed(&[PASSWORD, &desk.recovery[1]])?;
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

/// Somebody's machine: this one, with an ssh-agent of its own.
struct Desk {
    command: PathBuf,
    folder: Folder,
    page: String,
    secret: String,
    /// The step of the code that was used last.
    step: i64,
    recovery: Vec<String>,
    _agent: Undo,
}

/// What the page says to a browser that keeps its cookies.
fn browse(folder: &Folder, page: &str, (path, fields): (&str, &[&str])) -> Result<String> {
    let mut curl = Command::new("curl");
    curl.args(["-sSL", "--noproxy", "*", "-c", "jar", "-b", "jar"]);
    curl.current_dir(folder.path());
    for field in fields {
        curl.args(["--data-urlencode", field]);
    }
    run(curl.arg(format!("{page}{path}")))
}

impl Desk {
    /// Has ada invited; she chooses a password and sets up a second factor.
    fn new(site: &Site) -> Result<Self> {
        let invite = ["people", "invite", "ada", "--role", "operator"];
        let made = site.collector.ask(&invite)?;
        let link = made.get("link").and_then(Value::as_str);
        let link = link.context("no link")?;
        let (_, token) = link.split_once("/welcome").context("a strange link")?;
        let page = site.collector.page()?;
        let folder = Folder::new("watchward-desk-")?;
        let browse = |path: &str, fields: &[&str]| browse(&folder, &page, (path, fields));
        browse(&format!("/welcome{token}"), &[])?;
        let (new, again) = (format!("new={PASSWORD}"), format!("again={PASSWORD}"));
        let shown = browse("/welcome", &["name=ada", &new, &again])?;
        let secret = between(&shown, "<code id=\"secret\">", "</code>").context(shown.clone())?;
        let step = now_step();
        let code = format!("code={}", totp::code(secret, step)?);
        let shown = browse("/people/second-factor", &[&code])?;
        let codes = between(&shown, "<ul class=\"codes\">", "</ul>").context(shown.clone())?;
        let recovery = codes.split("<code>").skip(1);
        let recovery = recovery.filter_map(|it| Some(it.split_once("</code>")?.0.to_owned()));
        let socket = folder.path().join("agent");
        let agent = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()?;
        let undo = Undo::promise(format!("kill -9 {}", agent.id()))?;
        until("the ssh-agent listens", SOON, || {
            Ok(socket.exists().then_some(()))
        })?;
        Ok(Self {
            command: site.collector.command()?.get_program().into(),
            page,
            secret: secret.to_owned(),
            step,
            recovery: recovery.collect(),
            folder,
            _agent: undo,
        })
    }

    /// `watchward login --browser`, where the browser has signed in a moment ago.
    fn by_browser(&self) -> Result<()> {
        let mut child = self
            .command_for(&["--browser", &self.page])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().context("no words")?);
        let mut place = String::new();
        while !place.contains("/certificate?key=") {
            place.clear();
            ensure!(said.read_line(&mut place)? > 0, "it says no page");
        }
        let path = place.trim().strip_prefix(&self.page).context("elsewhere")?;
        let shown = browse(&self.folder, &self.page, (path, &[]))?;
        let key = between(&shown, "name=\"key\" value=\"", "\"").context(shown.clone())?;
        let key = format!("key={}", key.replace("&#43;", "+"));
        let given = browse(&self.folder, &self.page, ("/certificate", &[&key]))?;
        let text = between(&given, "readonly>", "<").context(given.clone())?;
        let mut input = child.stdin.take().context("no input")?;
        writeln!(input, "{text}")?;
        drop(input);
        let ended = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        ensure!(said.starts_with("Welcome, ada."), "{said}");
        Ok(())
    }

    /// The next code of the phone.
    fn next_code(&self) -> Result<String> {
        let step = now_step().max(self.step + 1);
        totp::code(&self.secret, step)
    }

    /// Logs in with the password and this code.
    fn at_least_once(&self, code: &str) -> Result<()> {
        let ended = self.typed(&[PASSWORD, code])?;
        ensure!(
            ended.status.success(),
            "{}",
            complaint(&self.login(), &ended)
        );
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        ensure!(
            said.starts_with("Welcome, ada. Your ssh-agent has a certificate until"),
            "{said}"
        );
        Ok(())
    }

    fn login(&self) -> Command {
        self.command_for(&[&self.page, "--as", "ada"])
    }

    fn command_for(&self, words: &[&str]) -> Command {
        let mut login = Command::new(&self.command);
        login.arg("login").args(words);
        login.env("SSH_AUTH_SOCK", self.folder.path().join("agent"));
        login.env("XDG_CONFIG_HOME", self.folder.path());
        login
    }

    /// `watchward login`, with these lines typed.
    fn typed(&self, lines: &[&str]) -> Result<Output> {
        let mut child = self
            .login()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        // It may have ended before it has read all.
        let _ = input.write_all((lines.join("\n") + "\n").as_bytes());
        drop(input);
        Ok(child.wait_with_output()?)
    }

    /// What a script says that asks the ssh-agent.
    fn ask(&self, script: &str) -> Result<String> {
        let agent = self.folder.path().join("agent");
        run(Command::new("sh")
            .args(["-c", script])
            .env("SSH_AUTH_SOCK", agent))
    }

    /// Whether what the ssh-agent has opens root's account there.
    fn opens(&self, host: &Host) -> Result<bool> {
        let address: Ipv4Addr = host.address();
        let agent = self.folder.path().join("agent");
        let ended = Command::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=no",
            ])
            .args([
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "ConnectTimeout=20",
            ])
            .arg(format!("root@{address}"))
            .arg("true")
            .env("SSH_AUTH_SOCK", agent)
            .stdin(Stdio::null())
            .output()?;
        Ok(ended.status.success())
    }
}

fn now_step() -> i64 {
    clock::now().as_micros() / 30_000_000
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    Some(rest.split_once(end)?.0)
}
