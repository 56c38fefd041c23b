//! What goes right: nothing is lost or told twice while connections and certificates come and go.

use super::*;

#[tokio::test]
async fn what_an_agent_keeps_arrives_once_and_in_order_across_restarts() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    for round in 0..3 {
        let agent = Agent::start(&collector, &host, "web-1")?;
        for number in round * 300..(round + 1) * 300 {
            agent.tell(number).await?;
        }
        agent.end().await;
    }
    let agent = Agent::start(&collector, &host, "web-1")?;
    collector.hears(900).await?;
    agent.end().await;
    ensure_exactly(&collector, "web-1", 900)
}

#[tokio::test]
async fn certificates_of_both_ends_are_renewed_and_no_event_is_lost() -> Result<()> {
    let collector = Collector::start(Span::seconds(6)).await?;
    let host = collector.enrol("web-1").await?;
    let first = std::fs::read_to_string(&host.identity)?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    // Three lives of a certificate: without renewal the last of these could not arrive.
    for number in 0..180 {
        agent.tell(number).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    collector.hears(180).await?;
    agent.end().await;
    ensure!(
        std::fs::read_to_string(&host.identity)? != first,
        "the certificate is the first one"
    );
    ensure_exactly(&collector, "web-1", 180)
}

#[tokio::test]
async fn a_revoked_host_is_cut_off_in_the_middle_of_a_stream() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let other = collector.enrol("web-2").await?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    let bystander = Agent::start(&collector, &other, "web-2")?;
    agent.tell(0).await?;
    collector.hears(1).await?;
    collector.ask("/v1/hosts/web-1/revoke", "").await?;
    for number in 1..50 {
        agent.tell(number).await?;
    }
    until("the revoked host to keep what it saw", || {
        agent.spool.last().access == 50
    })
    .await?;
    bystander.tell(0).await?;
    collector.hears(2).await?;
    ensure_exactly(&collector, "web-1", 1)?;
    ensure_exactly(&collector, "web-2", 1)?;
    agent.end().await;
    bystander.end().await;
    Ok(())
}

#[tokio::test]
async fn an_agent_whose_disk_was_set_back_goes_on_in_another_epoch() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    agent.tell(0).await?;
    collector.hears(1).await?;
    agent.end().await;
    let file = collector.folder.path().join("web-1.spool/spool.redb");
    let copy = collector.folder.path().join("copy");
    std::fs::copy(&file, &copy)?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    agent.tell(1).await?;
    collector.hears(2).await?;
    agent.end().await;

    std::fs::copy(&copy, &file)?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    agent.tell(2).await?;
    until("the new report", || {
        collector
            .heard
            .lock()
            .unwrap()
            .iter()
            .any(|(_, _, heard)| *heard == report(2))
    })
    .await?;
    agent.end().await;
    let heard = collector.heard.lock().unwrap();
    ensure!(
        heard
            .iter()
            .filter(|(_, _, heard)| *heard == report(1))
            .count()
            == 1
    );
    Ok(())
}

#[tokio::test]
async fn other_settings_are_followed_in_the_middle_of_a_conversation() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let host = collector.enrol("web-1").await?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    agent.tell(0).await?;
    collector.hears(1).await?;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await?;
    agent.settings.send_replace(Arc::new(uplink::Config {
        collector: Some(address(elsewhere.local_addr()?)?),
        ..collector.uplink.clone()
    }));
    let dialled = tokio::time::timeout(Duration::from_secs(30), elsewhere.accept()).await;
    dialled.context("nobody comes to where the collector is said to be")??;
    let back = Arc::new(collector.uplink.clone());
    agent.settings.send_replace(back);
    agent.tell(1).await?;
    collector.hears(2).await?;
    agent.end().await;
    ensure_exactly(&collector, "web-1", 2)
}
