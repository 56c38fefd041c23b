//! Somebody is invited, chooses a password, sets up a second factor, and may what their role says.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use thirtyfour::prelude::*;
use watchward_daemon::clock;
use watchward_tests::mime::Mail;
use watchward_tests::totp::code;

use crate::browser::{Browser, VIEWS, soon};
use crate::site::Site;

const OWN: &str = "seven quiet herons wade";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_chooses_a_password_shows_a_code_and_may_what_on_call_may() -> Result<()> {
    let site = Site::start_with("required").await?;
    let long_ago = clock::now() - Duration::from_secs(2 * 3600);
    site.host("edge-7.example.org", long_ago).await?;
    let link = invite(&site, "ada").await?;
    let browser = Browser::start(&site.origin).await?;
    let (tab, enter) = (Key::Tab.value(), Key::Enter.value());

    browser.driver.goto(&link).await?;
    browser.until_it_says("Nobody else ever knows it").await?;
    ensure!(
        browser.path().await? == "/welcome",
        "the link is in no history"
    );
    browser.picture("welcome").await?;
    let keys = format!("{OWN}{tab}{OWN}{enter}");
    browser.press_in("Password", keys).await?;
    let (secret, step) = enrol(&browser).await?;

    browser.tab_to("Sign out").await?;
    browser.press(Key::Enter).await?;
    browser.until_it_says("The first account is").await?;
    let keys = format!("ada{tab}{OWN}{enter}");
    browser.press_in("Name", keys).await?;
    browser.until_it_says("Code from your phone").await?;
    browser.picture("code").await?;
    let keys = format!("{}{enter}", code(&secret, step)?);
    browser.press_in("Code from your phone", keys).await?;
    browser.until_it_says("it was used before").await?;
    // The next code counts a step ahead.
    let keys = format!("{}{enter}", code(&secret, step + 1)?);
    browser.press_in("Code from your phone", keys).await?;
    browser.until_it_says("Overview").await?;

    acknowledges(&site, &browser).await?;
    browser.open("/bans").await?;
    browser.until_it_says("Shut somebody out").await?;
    changes_nobody(&browser).await?;

    browser.driver.goto(&link).await?;
    browser.until_it_says("cannot be used any more").await?;
    browser.ensure_quiet().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_security_key_takes_the_place_of_a_code() -> Result<()> {
    let site = Site::start_with("required").await?;
    let link = invite(&site, "zoe").await?;
    let browser = Browser::start(&site.origin).await?;
    browser.put_in_a_key().await?;
    let (tab, enter) = (Key::Tab.value(), Key::Enter.value());

    browser.driver.goto(&link).await?;
    browser.until_it_says("Nobody else ever knows it").await?;
    let keys = format!("{OWN}{tab}{OWN}{enter}");
    browser.press_in("Password", keys).await?;
    browser.until_it_says("Or use a security key").await?;
    browser.tab_to("What you call it").await?;
    browser.press(format!("the <b>blue</b> one{enter}")).await?;
    browser.until_it_says("Your recovery codes").await?;
    browser.tab_to("I have written them down").await?;
    browser.press(Key::Enter).await?;
    browser.until_it_says("Overview").await?;

    for _ in 0..2 {
        browser.tab_to("Sign out").await?;
        browser.press(Key::Enter).await?;
        browser.until_it_says("The first account is").await?;
        let keys = format!("zoe{tab}{OWN}{enter}");
        browser.press_in("Name", keys).await?;
        browser.until_it_says("Use your security key").await?;
        browser.picture("security-key").await?;
        browser.press_in("Use your security key", enter).await?;
        browser.until_it_says("Overview").await?;
    }
    browser.open("/people/second-factor").await?;
    browser.until_it_says("the <b>blue</b> one").await?;
    browser.until_it_says("10 recovery codes are left").await?;
    for view in VIEWS {
        browser.look(view).await?;
        let picture = format!("security-keys-{}", view.name);
        browser.picture(&picture).await?;
        ensure!(browser.overflow().await? <= 0, "too wide for {}", view.name);
    }
    browser.tab_to("Remove the <b>blue</b> one").await?;
    browser.press(Key::Enter).await?;
    browser
        .until_it_says("It is your only second factor")
        .await?;
    browser.ensure_quiet().await
}

/// Has somebody invited by the command: the link in the email, which lies in the folder.
async fn invite(site: &Site, name: &str) -> Result<String> {
    let email = format!("{name}@example.test");
    let words = ["people", "invite", name, "--email", &email];
    let made = site.ask(&[&words[..], &["--role", "on-call"]].concat())?;
    let file = made
        .get("file")
        .and_then(Value::as_str)
        .context("no file")?;
    ensure!(made.get("link").is_none(), "{made}");
    let mail = soon("the letter is written", async || {
        Ok(Some(Mail::parse(&fs::read_to_string(file)?)?))
    })
    .await?;
    ensure!(mail.header("To") == email);
    let text = mail.text();
    let link = text
        .split_whitespace()
        .find(|word| word.starts_with("http"));
    let link = link.with_context(|| text.clone())?.to_owned();
    let token = link.split("token=").nth(1).context("no token")?.to_owned();
    ensure!(!site.log()?.contains(&token), "the token is in the log");
    Ok(link)
}

/// Sets up a second factor: its secret, and the step whose code was used.
async fn enrol(browser: &Browser) -> Result<(String, i64)> {
    browser
        .until_it_says("please set up a second factor")
        .await?;
    browser.open("/hosts").await?;
    ensure!(
        browser.path().await? == "/people/second-factor",
        "nothing else is open"
    );
    for view in VIEWS {
        browser.look(view).await?;
        browser.open("/people/second-factor").await?;
        browser
            .picture(&format!("second-factor-{}", view.name))
            .await?;
        ensure!(
            browser.overflow().await? <= 0,
            "it is too wide for {}",
            view.name
        );
    }
    let secret: String = browser
        .ask("return document.querySelector('#secret').textContent")
        .await?;
    let dark: i64 = browser
        .ask("return document.querySelector('.qr path').getAttribute('d').split('M').length")
        .await?;
    ensure!(dark > 400, "a QR code has more dark squares than {dark}");
    let step = clock::now().as_micros() / 30_000_000;
    let keys = format!("{}{}", code(&secret, step)?, Key::Enter.value());
    browser
        .press_in("The code that the app shows now", keys)
        .await?;
    browser.until_it_says("Your recovery codes").await?;
    let codes: Vec<String> = browser
        .ask("return [...document.querySelectorAll('.codes code')].map(it => it.textContent)")
        .await?;
    ensure!(codes.len() == 10, "{codes:?}");
    browser.picture("recovery-codes").await?;
    browser.tab_to("I have written them down").await?;
    browser.press(Key::Enter).await?;
    browser.until_it_says("Overview").await?;
    Ok((secret, step))
}

async fn acknowledges(site: &Site, browser: &Browser) -> Result<()> {
    let code = soon("there is an incident", async || {
        let incidents = site.ask(&["incidents"])?;
        let all = incidents
            .as_array()
            .or(incidents.get("incidents").and_then(Value::as_array));
        let first = all.and_then(|all| all.first()?.get("id")?.as_str().map(str::to_owned));
        Ok(first)
    })
    .await?;
    browser.open(&format!("/incidents/{code}")).await?;
    browser.tab_to("Acknowledge").await?;
    browser.press(Key::Enter).await?;
    browser.until_it_says("by ada").await
}

async fn changes_nobody(browser: &Browser) -> Result<()> {
    let entries: Vec<String> = browser
        .ask("return [...document.querySelectorAll('nav a')].map(it => it.textContent)")
        .await?;
    ensure!(!entries.contains(&"People".to_owned()), "{entries:?}");
    browser.open("/people").await?;
    browser
        .until_it_says("This needs one of the roles administrator or security")
        .await?;
    browser
        .until_it_says("Administrators can give you one: admin.")
        .await?;
    browser.picture("forbidden").await
}
