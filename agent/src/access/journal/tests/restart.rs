//! An agent that is started again between the lines of a connection.

use super::*;

#[tokio::test]
async fn a_connection_that_goes_on_over_a_restart_is_one_try() {
    let ends = |number, sender: &str| {
        entry(number, 1, sender)
            .replace(
                "Failed password for",
                "Connection closed by authenticating user",
            )
            .replace("root from", "root")
            .replace(" ssh2", " [preauth]")
            .replace(&format!("port {number}"), "port 2")
    };
    let other = SERVER.replace("_PID=7", "_PID=9");
    let lines = [
        entry(1, 1, SERVER),
        entry(2, 1, SERVER),
        ends(3, SERVER),
        ends(4, &other),
    ];
    let files = |last: usize| {
        let (read, all) = (&lines[last - 1..last], &lines[..=last]);
        Vec::from([("last", read), ("cursor", read), ("follow", all)])
    };
    let before = Bench::new(Some(behind(&lines[0])), &files(1))
        .follow(1)
        .await;
    let position = before.last().unwrap().position.clone().unwrap();
    let mut files = files(2);
    files.pop();
    files.push(("follow", &lines));
    let after = Bench::new(Some(position.bytes), &files).follow(1).await;
    let tries = |all: &[spool::Entry]| -> Vec<_> {
        events(all).iter().map(|event| event.attempt).collect()
    };
    assert_eq!(tries(&before), [true]);
    assert_eq!(
        tries(&after),
        [false, true],
        "counted before, and another connection"
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_understood_is_a_gap() {
    let lines: Vec<String> = (1..4).map(|number| entry(number, 1, SERVER)).collect();
    let files: &[(&str, &[String])] = &[("last", &lines[..2]), ("follow", &lines)];
    let mut bench = Bench::new(Some(b"{\"cursor\":".to_vec()), files);
    let all = bench.follow_until(|all| !ports(all).is_empty()).await;
    let [gap] = gaps(&all)[..] else {
        panic!("one gap: {all:?}");
    };
    assert_eq!((gap.from, gap.lost), (None, None));
    assert!(gap.why.contains("cannot be understood"), "{}", gap.why);
    assert!(ports(&all).contains(&3), "{all:?}");
}
