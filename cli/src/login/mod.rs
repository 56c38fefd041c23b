//! `watchward login`: signs in on the collector's page for one moment, and hands the certificate that
//! comes of it to the ssh-agent. Nothing is kept in a file but where and as whom.

mod agent;
mod browser;
mod key;
mod known_hosts;
mod prompt;
mod remembered;

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use watchward_daemon::clock;
use watchward_protocol::host_keys::Vouched;
use watchward_protocol::time::Timestamp;

use crate::args::Login;
use crate::row::Row;
use crate::screen::{Screen, safe};

use agent::Agent;
use key::Key;
use prompt::Prompt;
use remembered::Remembered;

/// How often a password or a code may be mistyped.
const TRIES: usize = 3;
const CODE: &str = "Code from your phone: ";
/// How long the collector may take. It slows tries down by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the collector gives.
#[derive(Debug, Deserialize)]
struct Issued {
    certificate: String,
    name: String,
    until: Timestamp,
    from: Vec<String>,
    #[serde(default)]
    known_hosts: Vec<String>,
    #[serde(default)]
    vouched: Vec<Vouched>,
}

/// What comes of one try.
enum Tried {
    Given(Value),
    /// A code from a phone is needed too.
    Code,
    Wrong(String),
}

pub(crate) async fn run(asked: Login, screen: &mut Screen) -> anyhow::Result<()> {
    watchward_daemon::secret::keep_out_of_dumps();
    let remembered = Remembered::read();
    let url = asked
        .url
        .or_else(|| remembered.as_ref().map(|it| it.url.clone()));
    let url =
        url.context("where? Give the page of the collector, such as https://watch.example.org")?;
    let url = page(&url)?;
    // Before anybody types anything: without it there is nowhere to put what would come of it.
    let agent = Agent::find()?;
    let key = Key::new()?;
    let given = if asked.browser {
        browser::ask(&url, &key)?
    } else {
        let name = asked.name.or_else(|| remembered.map(|it| it.name));
        let name = name.or_else(|| std::env::var("USER").ok());
        let name = name.context("as whom? Give --as NAME")?;
        let http = client(asked.ca.as_deref())?;
        ask(&http, (&url, &name, &key)).await?
    };
    let issued: Issued = serde_json::from_value(given.clone())
        .context("the answer is not what this version of watchward expects")?;
    let left = u32::try_from(issued.until.since(clock::now()).as_secs()).ok();
    let left = left.filter(|left| *left > 0);
    let left = left.context("the certificate is over already: is this machine's clock right?")?;
    // The certificate's name begins with its owner's.
    let name = issued.name.split(' ').next().unwrap_or_default().to_owned();
    let comment = format!("watchward {name}@{}", url.host_str().unwrap_or_default());
    let before = agent.keep(&key, &issued.certificate, &comment, left)?;
    tell(screen, (&url, &name), (&given, &issued))?;
    before.forget().await;
    Ok(())
}

/// Keeps what makes the next login easier, and says what came of this one.
fn tell(
    screen: &mut Screen,
    (url, name): (&Url, &str),
    (given, issued): (&Value, &Issued),
) -> anyhow::Result<()> {
    if let Err(error) = (Remembered {
        url: url.to_string(),
        name: name.to_owned(),
    })
    .write()
    {
        screen.line(&format!("(The next time, say it all again: {error:#})"))?;
    }
    let told = known_hosts::keep((&issued.known_hosts, &issued.vouched), |difference| {
        !screen.is_for_programs() && takes(difference).unwrap_or(false)
    });
    if screen.is_for_programs() {
        return Ok(screen.json(given)?);
    }
    let row = Row::of(given);
    screen.line(&format!(
        "Welcome, {}. Your ssh-agent has a certificate until {} UTC, for {}.",
        safe(name),
        row.moment("until"),
        safe(&row.texts("principals").join(", ")),
    ))?;
    screen.line(&format!(
        "It opens hosts only from {}.",
        safe(&issued.from.join(", "))
    ))?;
    match told {
        Ok(None) => Ok(()),
        Ok(Some(told)) => Ok(screen.line(&told)?),
        Err(error) => Ok(screen.line(&format!("(How hosts are known is not kept: {error:#})"))?),
    }
}

/// Asks for what is needed until a certificate is given.
async fn ask(
    http: &reqwest::Client,
    (url, name, key): (&Url, &str, &Key),
) -> anyhow::Result<Value> {
    let mut prompt = Prompt::open()?;
    let (mut tries, mut code) = (1, None);
    let mut password = prompt.secret(&format!("Password of {name} on {url}: "))?;
    loop {
        let typed = json!({
            "name": name, "password": &*password, "code": code, "key": key.line(),
        });
        match login(http, url, &typed).await? {
            Tried::Given(issued) => return Ok(issued),
            Tried::Code => {
                let typed = prompt.plain(CODE);
                code = Some(typed.context("a code from your phone is needed, too")?);
            }
            // A program types the same again.
            Tried::Wrong(why) if tries == TRIES || !prompt.is_terminal() => bail!("{}", safe(&why)),
            Tried::Wrong(why) => {
                tries += 1;
                prompt.say(&format!("{}. Please try again.", safe(&why)))?;
                password = prompt.secret("Password: ")?;
                code = code.map(|_| prompt.plain(CODE)).transpose()?;
            }
        }
    }
}

async fn login(http: &reqwest::Client, url: &Url, typed: &Value) -> anyhow::Result<Tried> {
    let place = url
        .join("login")
        .context("this is no page of a collector")?;
    let answer = http.post(place).json(typed).send().await;
    let answer = answer
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("cannot reach {url}"))?;
    let status = answer.status();
    let said: Value = answer
        .json()
        .await
        .with_context(|| format!("no collector answers at {url}"))?;
    let row = Row::of(&said);
    let why = row.text("error");
    match status {
        StatusCode::OK => Ok(Tried::Given(said)),
        StatusCode::UNAUTHORIZED if row.text("needs") == "code" => Ok(Tried::Code),
        StatusCode::UNAUTHORIZED => Ok(Tried::Wrong(why)),
        _ => bail!("{url} refuses: {}", safe(&why)),
    }
}

/// Whether somebody at a terminal takes what ssh would trust from now on.
fn takes(difference: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut prompt = Prompt::open()?;
    prompt.say(&format!("How hosts are known has changed:\n{difference}"))?;
    let answer = prompt.plain("Was that meant? [y/N] ")?.to_lowercase();
    Ok(matches!(answer.trim(), "y" | "yes"))
}

/// A password goes only where nobody between can read it.
fn page(text: &str) -> anyhow::Result<Url> {
    let url: Url = text
        .parse()
        .map_err(|_| anyhow!("\"{text}\" is no URL: give one such as https://watch.example.org"))?;
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && here),
        "{url} is not encrypted: give one that begins with https"
    );
    Ok(url)
}

fn client(ca: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(file) = ca {
        let named = || file.display().to_string();
        let text = std::fs::read(file).with_context(named)?;
        let found = reqwest::Certificate::from_pem_bundle(&text).with_context(named)?;
        builder = builder.tls_certs_merge(found);
    }
    builder.build().context("cannot make an HTTP client")
}
