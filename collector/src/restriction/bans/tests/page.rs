//! The page of bans, as somebody sees it who has signed in.

use super::*;
use axum::http::StatusCode;

async fn open(store: &Store) -> Browser {
    let (spread, _) = Spread::open(store, clock::now()).await.unwrap();
    let pages = pages(store.clone(), Live::fixed(policy()), spread);
    Browser::open(store, pages).await
}

#[tokio::test]
async fn somebody_is_shut_out_pinned_and_let_in_by_forms() {
    for store in stores().await {
        let browser = open(&store).await;
        let form = "net=203.0.113.7&until=1d&reason=%3Cb%3Escans";
        let answer = browser.send("/bans", form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let page = browser.read("/bans").await;
        for expected in ["203.0.113.7/32", "&#60;b&#62;scans", "ada", "pinned"] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        let pin = "net=203.0.113.7&until=2030-01-01T00:00:00Z";
        let answer = text(browser.send("/bans/pin", pin).await).await;
        assert!(answer.contains("400 days at most"), "{answer}");
        let answer = browser.send("/bans/pin", "net=203.0.113.7&until=30d").await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let lift = "net=203.0.113.7&reason=a+friend";
        let answer = browser.send("/bans/lift", lift).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert!(browser.read("/bans").await.contains("Nobody is shut out"));
        let page = browser.read("/bans?ended=on&address=203.0.113.0/24").await;
        assert!(
            page.contains("lifted") && page.contains("a friend"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_reason() {
    for store in stores().await {
        let browser = open(&store).await;
        for (whom, why) in [
            ("nonsense", "expected an address"),
            ("127.0.0.1", "nobody comes over a network from 127.0.0.0/8"),
            ("0.0.0.0/0", "wider than /8 is never shut out"),
            ("203.0.112.0/23", "is wider than /24"),
            ("203.0.113.7/24", "is an address in 203.0.113.0/24"),
            ("192.0.2.7", "is in the network office of the policy"),
            ("2001:db8::/48", "is wider than /56"),
        ] {
            let form = format!("net={whom}&until=1d&reason=why");
            let answer = browser.send("/bans", &form).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{whom}");
            let answer = text(answer).await;
            assert!(answer.contains(why), "{whom}: {answer}");
        }
        let wide = "net=203.0.112.0/23&until=1d&reason=why&even_so=on";
        let answer = browser.send("/bans", wide).await;
        assert_eq!(
            answer.status(),
            StatusCode::SEE_OTHER,
            "when it is meant so"
        );
    }
}

#[tokio::test]
async fn a_line_that_may_hold_a_password_is_in_no_page() {
    for store in stores().await {
        let now = clock::now();
        let mut heard = banned(1, 0, "203.0.113.7/32");
        heard.report.at = now;
        if let News::Banned(banned) = &mut heard.report.news {
            banned.lines = vec!["Failed password for invalid user Tr0ub4dor&3".into()];
        }
        tell(&store, &[heard], now).await;
        let page = open(&store).await.read("/bans").await;
        assert!(page.contains("12 tries with 3 accounts"), "{page}");
        assert!(!page.contains("Tr0ub4dor"), "{page}");
    }
}
