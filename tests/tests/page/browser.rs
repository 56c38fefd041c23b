//! Debian's Chromium, driven as a person would: by its keyboard. It notes every request, every word
//! on its console and every dialog.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use thirtyfour::ChromeCapabilities;
use thirtyfour::prelude::*;
use watchward_tests::root;
use watchward_tests::undo::{Folder, Undo};

/// A browser that ends with the test.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    origin: String,
    _driver_process: Undo,
    _folder: Folder,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

/// A desk by day and by night, and a phone.
pub(crate) const VIEWS: [View; 3] = [
    View {
        name: "light",
        width: 1280,
        height: 900,
        dark: false,
    },
    View {
        name: "dark",
        width: 1280,
        height: 900,
        dark: true,
    },
    View {
        name: "phone",
        width: 360,
        height: 740,
        dark: false,
    },
];

impl Browser {
    /// Starts one for the site at this origin.
    pub(crate) async fn start(origin: &str) -> Result<Self> {
        let folder = Folder::new("watchward-browser-")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new("setsid")
            .arg("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("chromedriver; `make test` installs it")?;
        // A session of its own, so that the browsers which it starts end with it.
        let undo = Undo::promise(format!("kill -9 -- -{}", child.id()))?;
        let capabilities = capabilities(folder.path())?;
        let server = format!("http://127.0.0.1:{port}");
        let driver = soon("the browser starts", async || {
            WebDriver::new(&server, capabilities.clone())
                .await
                .map(Some)
                .map_err(Into::into)
        })
        .await?;
        Ok(Self {
            driver,
            origin: origin.to_owned(),
            _driver_process: undo,
            _folder: folder,
        })
    }

    /// Puts in a security key that is touched whenever it is asked.
    pub(crate) async fn put_in_a_key(&self) -> Result<()> {
        let cdp = self.driver.cdp();
        cdp.send_raw("WebAuthn.enable", json!({})).await?;
        let options = json!({
            "protocol": "ctap2", "transport": "usb", "hasResidentKey": false,
            "hasUserVerification": false, "automaticPresenceSimulation": true,
        });
        let wish = json!({ "options": options });
        cdp.send_raw("WebAuthn.addVirtualAuthenticator", wish)
            .await?;
        Ok(())
    }

    /// Looks at the site as this view does.
    pub(crate) async fn look(&self, view: View) -> Result<()> {
        let cdp = self.driver.cdp();
        let metrics = json!({
            "width": view.width, "height": view.height, "deviceScaleFactor": 1,
            "mobile": view.width < 600,
        });
        cdp.send_raw("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        let scheme = if view.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        cdp.send_raw("Emulation.setEmulatedMedia", media).await?;
        Ok(())
    }

    /// Opens a path of the site.
    pub(crate) async fn open(&self, path: &str) -> Result<()> {
        Ok(self.driver.goto(format!("{}{path}", self.origin)).await?)
    }

    /// The path and query of the page that is shown.
    pub(crate) async fn path(&self) -> Result<String> {
        let url = self.driver.current_url().await?;
        let whole = url.to_string();
        Ok(whole
            .strip_prefix(&self.origin)
            .unwrap_or(&whole)
            .to_owned())
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: impl Into<TypingData>) -> Result<()> {
        Ok(self.driver.action_chain().send_keys(keys).perform().await?)
    }

    /// Presses keys once the focus is on the field of that name: a new page sets it when it is there.
    pub(crate) async fn press_in(&self, field: &str, keys: impl Into<TypingData>) -> Result<()> {
        soon(&format!("the focus is on \"{field}\""), async || {
            let focus = self.focus().await?;
            ensure!(focus == field, "it is on \"{focus}\"");
            Ok(Some(()))
        })
        .await?;
        self.press(keys).await
    }

    /// Presses Tab until what has the focus is called so, and says how often that took.
    pub(crate) async fn tab_to(&self, name: &str) -> Result<u32> {
        for presses in 1..=80 {
            self.press(Key::Tab).await?;
            if self.focus().await? == name {
                return Ok(presses);
            }
        }
        bail!(
            "no key leads to \"{name}\"; the focus is on \"{}\"",
            self.focus().await?
        )
    }

    /// What has the focus: its label or its text; nothing if it cannot be seen.
    pub(crate) async fn focus(&self) -> Result<String> {
        let script = "const it = document.activeElement; if (!it) return ''; \
            const box = it.getBoundingClientRect(); if (!box.width || !box.height) return ''; \
            return (it.labels?.[0]?.textContent || it.getAttribute('aria-label') || \
            it.textContent || it.name || '').trim();";
        self.ask(script).await
    }

    /// What a script finds in the page.
    pub(crate) async fn ask<T: TryFrom<Found, Error = anyhow::Error>>(
        &self,
        script: &str,
    ) -> Result<T> {
        let found = self.driver.execute(script, vec![]).await?;
        Found(found.json().clone()).try_into()
    }

    /// What the page says.
    pub(crate) async fn text(&self) -> Result<String> {
        self.ask("return document.body.innerText").await
    }

    /// Waits until the page says this.
    pub(crate) async fn until_it_says(&self, text: &str) -> Result<()> {
        soon(&format!("the page says \"{text}\""), async || {
            let page = self.text().await?;
            ensure!(page.contains(text), "it says: {page}");
            Ok(Some(()))
        })
        .await
    }

    /// Keeps a picture of the whole page for people to look at.
    pub(crate) async fn picture(&self, name: &str) -> Result<()> {
        let folder = root::target().join("screenshots");
        std::fs::create_dir_all(&folder)?;
        let wish = json!({ "format": "png", "captureBeyondViewport": true });
        // A page that was just opened has no width until it is laid out.
        let taken = soon("a picture is taken", async || {
            let cdp = self.driver.cdp();
            let taken = cdp.send_raw("Page.captureScreenshot", wish.clone());
            Ok(Some(taken.await?))
        })
        .await?;
        let data = taken.get("data").and_then(Value::as_str);
        let data = data.context("no picture was taken")?;
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(data)?;
        Ok(std::fs::write(folder.join(format!("{name}.png")), bytes)?)
    }

    /// Fails if a page wrote anything on the console (a refused style, an error), if a dialog is
    /// open, or if anything was asked of another place.
    pub(crate) async fn ensure_quiet(&self) -> Result<()> {
        ensure!(
            self.driver.get_alert_text().await.is_err(),
            "a dialog is open"
        );
        let said = self.driver.browser_log().await?;
        // What a page answers with 4xx is noted there too, and meant.
        let said: Vec<_> = said
            .iter()
            .map(|entry| entry.message.as_str())
            .filter(|message| !message.contains("responded with a status of 4"))
            .collect();
        ensure!(said.is_empty(), "the console says {said:#?}");
        for entry in self.driver.get_log("performance").await? {
            let event: Value = serde_json::from_str(&entry.message)?;
            let message = event.get("message").unwrap_or(&event);
            if message.get("method").and_then(Value::as_str) != Some("Network.requestWillBeSent") {
                continue;
            }
            let url = message
                .pointer("/params/request/url")
                .and_then(Value::as_str)
                .unwrap_or_default();
            // The browser's own first page, before it is sent anywhere.
            let is_its_own = ["chrome", "data:"].iter().any(|own| url.starts_with(own));
            ensure!(
                url.starts_with(&self.origin) || is_its_own,
                "the page asked for {url}"
            );
        }
        Ok(())
    }

    /// How many pixels the page is wider than what shows it.
    pub(crate) async fn overflow(&self) -> Result<i64> {
        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        self.ask(script).await
    }
}

/// What a script found.
pub(crate) struct Found(Value);

impl TryFrom<Found> for String {
    type Error = anyhow::Error;

    fn try_from(Found(value): Found) -> Result<Self> {
        Ok(value.as_str().context("no text")?.to_owned())
    }
}

impl TryFrom<Found> for i64 {
    type Error = anyhow::Error;

    fn try_from(Found(value): Found) -> Result<Self> {
        value.as_i64().context("no number")
    }
}

impl TryFrom<Found> for bool {
    type Error = anyhow::Error;

    fn try_from(Found(value): Found) -> Result<Self> {
        value.as_bool().context("neither yes nor no")
    }
}

impl TryFrom<Found> for Vec<String> {
    type Error = anyhow::Error;

    fn try_from(Found(value): Found) -> Result<Self> {
        let all = value.as_array().context("no list")?.iter();
        let texts: Option<_> = all.map(|one| one.as_str().map(str::to_owned)).collect();
        texts.context("no texts")
    }
}

fn capabilities(folder: &Path) -> Result<ChromeCapabilities> {
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary("/usr/bin/chromium")?;
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1280,900",
        &profile,
    ] {
        capabilities.add_arg(argument)?;
    }
    let logs = json!({ "browser": "ALL", "performance": "ALL" });
    capabilities.set("goog:loggingPrefs", logs)?;
    Ok(capabilities)
}

/// Asks until the answer is there, for a minute at most; an error counts as "not yet".
pub(crate) async fn soon<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut last = None;
    let asking = async {
        loop {
            match ask().await {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(60), asking).await {
        Ok(found) => Ok(found),
        Err(_) => bail!("waited a minute in vain: {what}; {last:?}"),
    }
}
