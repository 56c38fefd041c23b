//! Which sessions are open still, as far as the log of each host says.

use super::*;

const FROM: &str = "192.0.2.7";

/// A login by this process and from this port.
fn came(seq: u64, seconds: i64, (pid, port): (u32, u16)) -> Heard<AccessEvent> {
    let mut heard = login(1, seq, seconds, FROM);
    heard.report.pid = Some(pid);
    if let Some(peer) = &mut heard.report.peer {
        peer.port = Some(port);
    }
    heard
}

/// What PAM says at the end: the process, and no address.
fn closed(seq: u64, seconds: i64, pid: u32) -> Heard<AccessEvent> {
    let mut heard = came(seq, seconds, (pid, 1));
    heard.report.action = Action::SessionClosed;
    heard.report.outcome = Outcome::Unknown;
    heard.report.peer = None;
    heard
}

/// What sshd says of the connection: its port, by another process.
fn disconnected(seq: u64, seconds: i64, port: u16) -> Heard<AccessEvent> {
    let mut heard = came(seq, seconds, (9999, port));
    heard.report.action = Action::SessionClosed;
    heard.report.outcome = Outcome::Unknown;
    heard
}

async fn sessions(store: &Store, since: i64) -> Vec<i64> {
    let found = open(store, FROM.parse().unwrap(), at(since)).await.unwrap();
    for one in &found {
        assert_eq!((&*one.host, one.service), ("web-1", Service::Sshd));
        assert_eq!(one.user, Some("root".into()));
    }
    let begun = found.iter().map(|one| one.since.since(at(0)).as_secs());
    begun.map(u64::cast_signed).collect()
}

#[tokio::test]
async fn a_session_is_open_until_its_process_or_its_connection_ends() {
    for store in stores().await {
        let mut elsewhere = came(7, 16, (16, 5016));
        elsewhere.report.peer.as_mut().unwrap().address = "192.0.2.8".parse().unwrap();
        let heard = [
            came(1, 10, (10, 5010)),
            came(2, 11, (11, 5011)),
            came(3, 12, (12, 5012)),
            closed(4, 13, 11),
            disconnected(5, 14, 5012),
            closed(6, 15, 4711),
            elsewhere,
            // The process of one that has ended, and the port, come again.
            came(8, 17, (11, 5012)),
        ];
        hear(&store, &heard, at(20)).await;
        assert_eq!(sessions(&store, 0).await, [17, 10]);
        assert_eq!(sessions(&store, 11).await, [17], "of these days");

        let mut started = came(9, 30, (20, 5020));
        started.boot = [8; 16];
        hear(&store, &[started], at(31)).await;
        assert_eq!(sessions(&store, 0).await, [30], "the host was started anew");
    }
}
