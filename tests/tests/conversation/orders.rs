//! Orders: said after every connect and whenever they change, kept on the host, bounded.

use watchward_protocol::order::Order;

use super::*;

/// What a host of each name is to check.
fn order(collector: &Collector, checks: &'static [(&'static str, &'static str)]) {
    let orders = intake::Orders::new(move |host| {
        let own = checks.iter().filter(|(name, _)| *name == host.name);
        vec![Order::Checks(
            own.map(|(_, check)| check_of(check)).collect(),
        )]
    });
    collector.orders.send_replace(Arc::new(orders));
}

fn check_of(name: &str) -> Ordered {
    Ordered {
        kind: "tcp".to_owned(),
        name: name.to_owned(),
        settings: "address = \"localhost:22\"\n".to_owned(),
    }
}

impl Agent {
    /// The names of the checks that it is ordered to run.
    fn checks(&self) -> Vec<String> {
        let ordered = self.ordered.checks.borrow();
        ordered.iter().map(|check| check.name.clone()).collect()
    }

    async fn runs(&self, checks: &[&str]) -> Result<()> {
        until(&format!("the checks {checks:?}"), || {
            self.checks() == checks
        })
        .await
    }
}

#[tokio::test]
async fn each_host_hears_its_own_and_what_changes() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    order(
        &collector,
        &[("web-1", "a"), ("web-1", "b"), ("web-2", "c")],
    );
    let (one, other) = (
        collector.enrol("web-1").await?,
        collector.enrol("web-2").await?,
    );
    let one = Agent::start(&collector, &one, "web-1")?;
    let other = Agent::start(&collector, &other, "web-2")?;
    one.runs(&["a", "b"]).await?;
    other.runs(&["c"]).await?;
    order(&collector, &[("web-1", "b"), ("web-2", "c")]);
    one.runs(&["b"]).await?;
    order(&collector, &[]);
    one.runs(&[]).await?;
    other.runs(&[]).await?;
    one.end().await;
    other.end().await;
    Ok(())
}

#[tokio::test]
async fn the_last_order_holds_without_a_collector_until_there_is_another() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    order(&collector, &[("web-1", "a")]);
    let host = collector.enrol("web-1").await?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    agent.runs(&["a"]).await?;
    agent.end().await;
    // While the agent is away the policy changes.
    order(&collector, &[("web-1", "b")]);
    let agent = Agent::start(&collector, &host, "web-1")?;
    ensure!(agent.checks() == ["a"], "before it has heard anything");
    agent.runs(&["b"]).await?;
    agent.end().await;
    Ok(())
}

#[tokio::test]
async fn an_order_that_is_too_large_changes_nothing_and_breaks_nothing() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    order(&collector, &[("web-1", "a")]);
    let host = collector.enrol("web-1").await?;
    let agent = Agent::start(&collector, &host, "web-1")?;
    agent.runs(&["a"]).await?;
    let many = intake::Orders::new(|_| vec![Order::Checks(vec![check_of("b"); 257])]);
    collector.orders.send_replace(Arc::new(many));
    agent.tell(0).await?;
    collector.hears(1).await?;
    ensure!(agent.checks() == ["a"], "{:?}", agent.checks());
    order(&collector, &[("web-1", "c")]);
    agent.runs(&["c"]).await?;
    agent.end().await;
    ensure_exactly(&collector, "web-1", 1)
}
