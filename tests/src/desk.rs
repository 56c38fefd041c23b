//! Somebody's machine, which is this one: an ssh-agent of its own, and a person who logs in with
//! `watchward login`.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_daemon::clock;

use crate::collector::Collector;
use crate::host::Host;
use crate::logins::Logins;
use crate::run::{complaint, run};
use crate::site::Site;
use crate::totp;
use crate::undo::{Folder, Undo};
use crate::wait::{SOON, until};

/// What she chooses as her password.
pub const PASSWORD: &str = "seven quiet herons wade";

/// Somebody's machine: this one, with an ssh-agent of its own.
#[derive(Debug)]
pub struct Desk {
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
    pub fn new(site: &Site) -> Result<Self> {
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
    pub fn by_browser(&self) -> Result<()> {
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

    /// The collector started again, and its page is elsewhere.
    pub fn follow(&mut self, collector: &Collector) -> Result<()> {
        self.page = collector.page()?;
        Ok(())
    }

    /// The next code of the phone.
    pub fn next_code(&self) -> Result<String> {
        let step = now_step().max(self.step + 1);
        totp::code(&self.secret, step)
    }

    /// A code for whoever has lost the phone.
    pub fn recovery(&self, number: usize) -> Result<&str> {
        let code = self.recovery.get(number);
        code.map(String::as_str).context("no such code")
    }

    /// Logs in with the password and this code.
    pub fn logs_in(&self, code: &str) -> Result<()> {
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
    pub fn typed(&self, lines: &[&str]) -> Result<Output> {
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
    pub fn ask(&self, script: &str) -> Result<String> {
        let agent = self.folder.path().join("agent");
        run(Command::new("sh")
            .args(["-c", script])
            .env("SSH_AUTH_SOCK", agent))
    }

    /// A program that logs in all the time with what the ssh-agent has.
    pub fn logins(&self, account: &str, hosts: &[Host]) -> Result<Logins> {
        let ways = hosts.iter().map(|it| format!("{account}@{}", it.address()));
        let ways: Vec<_> = ways.collect();
        let shell = |script: &str| {
            let mut command = Command::new("bash");
            command.args(["-c", script]).current_dir(self.folder.path());
            command.env("SSH_AUTH_SOCK", self.folder.path().join("agent"));
            Ok(command)
        };
        Logins::begin(shell, self.folder.path().to_owned(), &ways)
    }

    /// Whether what the ssh-agent has opens this account there.
    pub fn opens(&self, account: &str, host: &Host) -> Result<bool> {
        let address = host.address();
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
            .arg(format!("{account}@{address}"))
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
