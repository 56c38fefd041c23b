//! What people read of a login from outside.

use super::*;
use crate::alerting::testing::{raised, told};

#[tokio::test]
async fn a_login_from_outside_says_who_where_since_when_and_what_to_do() {
    let policy = read(OFFICE).unwrap();
    for (address, outside) in [
        ("203.0.113.7", "203.0.113.7, outside the permitted networks"),
        (
            "2001:db9:aaaa:bbbb:cccc:dddd:eeee:ffff",
            "2001:db9:aaaa:bbbb:cccc:dddd:eeee:ffff, outside",
        ),
    ] {
        let store = stores().await.remove(0);
        hear(&store, &[login(1, 0, address)], &policy, at(1)).await;
        let alert = raised(&store).await.remove(0);
        let [sms, subject] = told(&alert);
        assert_eq!(
            sms,
            format!(
                "CRITICAL web-1: root logged in from {} since 08:00 UTC. \
                 Ask them; if it was not them, end the session. W-7K3F",
                outside
            )
        );
        let named = format!("[CRITICAL] web-1: root logged in from {address}, outside");
        assert!(subject.starts_with(&named), "{subject}");
        assert!(
            alert.detail.contains("permit the network"),
            "{}",
            alert.detail
        );
    }
}
