//! The page in a real browser: signed in to for the first time, used by keyboard alone, on a desk and
//! on a phone, by day and by night, and by nobody's words but its own.

mod browser;
mod people;
mod rules;
mod site;

use anyhow::{Context, Result, ensure};
use thirtyfour::prelude::*;
use watchward_daemon::clock;
use watchward_protocol::record::Backlog;

use browser::{Browser, VIEWS, soon};
use site::{Login, Site};

const OWN: &str = "correct horse battery staple";

/// Names that strangers type, which a page may not take for markup.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "'-alert(3)-'",
    "</table><svg onload=alert(4)>",
    "javascript:alert(5)",
    "{{7*7}}\u{202e}\u{1b}[31m",
];

/// A stage with some life on it, and somebody who has signed in.
async fn stage() -> Result<(Site, Browser)> {
    let site = Site::start().await?;
    let now = clock::now();
    let web = site.host("web-1.example.org", now).await?;
    let db = site.host("db-1.example.org", now).await?;
    let long_ago = now - std::time::Duration::from_secs(2 * 3600);
    site.host("edge-7.example.org", long_ago).await?;
    for (host, check, unit, is_down) in [
        (&web, "cpu", "%", false),
        (&web, "disk /", "%", false),
        (&web, "http.shop", "s", true),
        (&db, "memory", "%", false),
        (&db, "tcp.postgres", "s", false),
    ] {
        site.check(host, check, (unit, is_down)).await?;
    }
    let backlog = Backlog {
        records: 1204,
        oldest: std::time::Duration::from_secs(180),
    };
    site.behind(&db, backlog).await?;
    site.behind(&web, Backlog::default()).await?;
    site.key(&web, "ada").await?;
    site.key(&db, "ada").await?;
    for ago in 0..120 {
        let own = ago % 7 == 0;
        let stranger = format!("203.0.113.{}", ago % 5);
        let login = Login {
            user: if own { "ada" } else { "root" },
            known: true,
            address: if own { "2001:db8:1:2::7" } else { &stranger },
            is_in: own,
            ago: 60 * (ago + 1),
        };
        site.login(if ago % 3 == 0 { &db } else { &web }, login)
            .await?;
    }
    site.rules(&[&web, &db]).await?;
    let browser = Browser::start(&site.origin).await?;
    sign_in(&site, &browser).await?;
    Ok((site, browser))
}

/// Signs in for the first time, by keyboard.
async fn sign_in(site: &Site, browser: &Browser) -> Result<()> {
    let once = site.one_time_password()?;
    browser.open("/").await?;
    ensure!(browser.path().await? == "/sign-in");
    let (tab, enter) = (Key::Tab.value(), Key::Enter.value());
    let keys = format!("admin{tab}{once}{enter}");
    browser.press_in("Name", keys).await?;
    browser
        .until_it_says("That was a one-time password")
        .await?;
    let keys = format!("{OWN}{tab}{OWN}{enter}");
    browser.press_in("New password", keys).await?;
    browser.until_it_says("Overview").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_signs_in_and_chooses_a_password() -> Result<()> {
    let site = Site::start().await?;
    let browser = Browser::start(&site.origin).await?;
    let (tab, enter) = (Key::Tab.value(), Key::Enter.value());

    browser.open("/access?host=web").await?;
    ensure!(browser.path().await? == "/sign-in?next=%2Faccess%3Fhost%3Dweb");
    browser.picture("sign-in").await?;
    let keys = format!("admin{tab}a guess{enter}");
    browser.press_in("Name", keys).await?;
    browser
        .until_it_says("Name and password do not belong together")
        .await?;

    // Only that is to be typed again.
    let keys = format!("{}{enter}", site.one_time_password()?);
    browser.press_in("Password", keys).await?;
    chooses_a_password(&browser).await?;

    let cookies = browser.driver.get_all_cookies().await?;
    ensure!(
        cookies.len() == 1 && cookies[0].http_only == Some(true),
        "{cookies:?}"
    );
    let seen: String = browser.ask("return document.cookie").await?;
    ensure!(seen.is_empty(), "a script can read {seen}");
    browser.open("/audit").await?;
    let page = browser.text().await?;
    for event in ["failed to sign in", "signed in", "changed the password"] {
        ensure!(page.contains(event), "no word of \"{event}\": {page}");
    }
    browser.tab_to("Sign out").await?;
    browser.press(Key::Enter).await?;
    browser.until_it_says("The first account is").await?;
    browser.open("/people").await?;
    ensure!(browser.path().await? == "/sign-in?next=%2Fpeople");
    Ok(())
}

/// Two that are refused, and one that is taken.
async fn chooses_a_password(browser: &Browser) -> Result<()> {
    let (tab, enter) = (Key::Tab.value(), Key::Enter.value());
    browser
        .until_it_says("That was a one-time password")
        .await?;
    browser.open("/hosts").await?;
    ensure!(
        browser.path().await? == "/people/password",
        "nothing else is open yet"
    );
    let keys = format!("hello{tab}hello{enter}");
    browser.press_in("New password", keys).await?;
    ensure!(
        browser.path().await? == "/people/password",
        "that was too short"
    );
    browser.open("/people/password").await?;
    let keys = format!("admin and so on{tab}admin and so on{enter}");
    browser.press_in("New password", keys).await?;
    browser
        .until_it_says("must not have your name in it")
        .await?;
    browser.picture("password").await?;
    let keys = format!("{OWN}{tab}{OWN}{enter}");
    browser.press_in("New password", keys).await?;
    browser.until_it_says("Nothing is wrong").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_desk_and_phone_by_day_and_night_and_asks_nobody_else() -> Result<()> {
    let (site, browser) = stage().await?;
    soon("the silent host is noticed", async || {
        browser.open("/").await?;
        Ok(browser.text().await?.contains("Silent hosts").then_some(()))
    })
    .await?;
    let code = first_incident(&site)?;
    let silence = "/silences?key=health.down+http.shop&host=web-1.example.org";
    let incident = format!("/incidents/{code}");
    for (name, path) in [
        ("overview", "/"),
        ("incidents", "/incidents"),
        ("incident", incident.as_str()),
        ("hosts", "/hosts"),
        ("host", "/hosts/web-1.example.org"),
        ("checks", "/checks"),
        ("access", "/access"),
        (
            "access-filtered",
            "/access?address=203.0.113.0/30&outcome=failure",
        ),
        ("access-trouble", "/access?address=nowhere"),
        ("access-outside", "/access?outside=on"),
        ("silences", silence),
        ("keys", "/keys"),
        ("networks", "/networks"),
        ("bans", "/bans"),
        ("policy", "/policy"),
        ("policy-version", "/policy/1"),
        ("people", "/people"),
        ("audit", "/audit"),
        ("second-factor-none", "/people/second-factor"),
        ("change-password", "/people/password"),
        ("missing", "/nowhere"),
    ] {
        for view in VIEWS {
            browser.look(view).await?;
            browser.open(path).await?;
            browser.picture(&format!("{name}-{}", view.name)).await?;
            let overflow = browser.overflow().await?;
            ensure!(
                overflow <= 0,
                "{path} is {overflow} px too wide for {}",
                view.name
            );
            let headings: Vec<String> = browser
                .ask("return [...document.querySelectorAll('h1')].map(it => it.textContent)")
                .await?;
            ensure!(headings.len() == 1, "{path} has the headings {headings:?}");
        }
        browser
            .ensure_quiet()
            .await
            .with_context(|| path.to_owned())?;
    }
    Ok(())
}

/// The code of the incident that is listed first.
fn first_incident(site: &Site) -> Result<String> {
    let incidents = site.ask(&["incidents"])?;
    let list = incidents
        .as_array()
        .or(incidents.get("incidents").and_then(|it| it.as_array()));
    let code = list.and_then(|all| all.first()?.get("id")?.as_str().map(str::to_owned));
    code.context("no incident")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_used_by_keyboard_alone() -> Result<()> {
    let (_site, browser) = stage().await?;
    browser.open("/").await?;
    browser.press(Key::Tab).await?;
    ensure!(browser.focus().await? == "Skip to the content");
    browser.press(Key::Enter).await?;
    browser.press(Key::Tab).await?;
    let inside: bool = browser
        .ask("return document.querySelector('main').contains(document.activeElement)")
        .await?;
    ensure!(inside, "the skip link leads into the content");

    let entries: Vec<String> = browser
        .ask("return [...document.querySelectorAll('nav a')].map(it => it.textContent)")
        .await?;
    ensure!(entries.len() >= 5, "{entries:?}");
    for entry in &entries {
        browser.open("/people").await?;
        browser.tab_to(entry).await?;
        browser.press(Key::Enter).await?;
        soon("the entry is the current page", async || {
            let here: String = browser
                .ask("return document.querySelector('nav [aria-current]')?.textContent ?? ''")
                .await?;
            Ok((here == *entry).then_some(()))
        })
        .await?;
        // A visible focus: an outline of the one that has it.
        browser.press(Key::Tab).await?;
        let outline: String = browser
            .ask("return getComputedStyle(document.activeElement).outlineStyle")
            .await?;
        ensure!(outline == "solid", "{entry}: the focus is not to be seen");
    }
    browser.open("/access").await?;
    browser.press("/").await?;
    ensure!(browser.focus().await? == "Since", "/ leads to the filters");
    browser.tab_to("User").await?;
    browser.press(format!("ada{}", Key::Enter.value())).await?;
    soon("the filter counts", async || {
        Ok(browser.path().await?.contains("user=ada").then_some(()))
    })
    .await?;
    let users: Vec<String> = browser
        .ask("return [...document.querySelectorAll('#tail-rows [data-label=Who]')].map(it => it.innerText.trim())")
        .await?;
    ensure!(
        !users.is_empty() && users.iter().all(|user| user == "ada"),
        "{users:?}"
    );
    browser.press(Key::Escape).await?;
    browser
        .driver
        .execute("document.activeElement.blur()", vec![])
        .await?;
    browser.press("gh").await?;
    soon("g and h lead to the hosts", async || {
        Ok((browser.path().await? == "/hosts").then_some(()))
    })
    .await?;
    browser.tab_to("web-1.example.org").await?;
    browser.press(Key::Enter).await?;
    browser.until_it_says("What is watched there").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_type_is_text_and_new_events_come_by_themselves() -> Result<()> {
    let (site, browser) = stage().await?;
    let host = site.host("web-2.example.org", clock::now()).await?;
    for name in HOSTILE {
        site.login(&host, attack(name, true)).await?;
        let secret = format!("hunter2{name}");
        site.login(&host, attack(&secret, false)).await?;
    }
    for path in ["/", "/access", "/hosts/web-2.example.org", "/incidents"] {
        browser.open(path).await?;
        browser.ensure_quiet().await?;
        let strange: i64 = browser
            .ask(
                "return document.querySelectorAll('svg[onload], img[onerror], main script').length",
            )
            .await?;
        ensure!(strange == 0, "{path} has markup that a stranger typed");
        let page = browser.driver.source().await?;
        ensure!(
            !page.contains("hunter2"),
            "{path} has what may be a password"
        );
    }
    browser.open("/access").await?;
    let page = browser.text().await?;
    ensure!(
        page.contains(HOSTILE[0]),
        "it is shown as the text it is: {page}"
    );
    ensure!(page.contains("(unknown name)"));
    ensure!(
        page.contains("\\u{202e}"),
        "nothing turns the direction of writing"
    );
    browser.picture("hostile").await?;

    browser.tab_to("Live tail").await?;
    browser.press(Key::Enter).await?;
    browser.until_it_says("live").await?;
    site.login(&host, attack("fresh <b>face</b>", true)).await?;
    browser.until_it_says("fresh <b>face</b>").await?;
    browser.picture("live").await?;
    let marked: i64 = browser
        .ask("return document.querySelectorAll('main b').length")
        .await?;
    ensure!(marked == 0);
    browser.press(Key::Enter).await?;
    browser.until_it_says("stopped").await?;
    browser.ensure_quiet().await
}

fn attack(user: &str, known: bool) -> Login<'_> {
    Login {
        user,
        known,
        address: "198.51.100.9",
        is_in: known,
        ago: 1,
    }
}
