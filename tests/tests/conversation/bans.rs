//! Bans: what one host decides reaches the others as orders, and so does what people lift.

use std::net::IpAddr;

use watchward_protocol::restriction::{Banned, News, Restriction, bucket};

use super::*;

impl Agent {
    /// Whom it is ordered to shut out.
    fn shut_out(&self) -> Vec<String> {
        let buckets = self.ordered.bans.borrow();
        let all = buckets.values().flat_map(|bucket| &bucket.bans);
        all.map(|ban| ban.net.to_string()).collect()
    }

    /// How many buckets it was told of.
    fn buckets(&self) -> usize {
        self.ordered.bans.borrow().len()
    }

    async fn shuts_out(&self, whom: &[&str]) -> Result<()> {
        until(&format!("the bans {whom:?}"), || self.shut_out() == whom).await
    }

    /// Tells that it shut these out.
    async fn ban(&self, all: &[String]) -> Result<()> {
        let now = clock::now();
        let told = |whom: &String| -> Result<Report> {
            Ok(Report::Restriction(Restriction {
                at: now,
                news: News::Banned(Banned {
                    net: whom.parse::<IpAddr>()?.into(),
                    until: now + Duration::from_secs(300),
                    tries: 12,
                    accounts: 3,
                    within: Duration::from_secs(40),
                    times: 1,
                    lines: vec!["Failed password for root".into()],
                }),
            }))
        };
        let reports = all.iter().map(told).collect::<Result<_>>()?;
        let entry = spool::Entry {
            reports,
            position: None,
        };
        Ok(self.keeper.keep(entry).await?)
    }
}

#[tokio::test]
async fn a_ban_of_one_host_reaches_the_other_and_ends_when_it_is_lifted() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let (one, other) = (
        collector.enrol("web-1").await?,
        collector.enrol("web-2").await?,
    );
    let one = Agent::start(&collector, &one, "web-1")?;
    let other = Agent::start(&collector, &other, "web-2")?;
    until("every bucket is said", || {
        (one.buckets(), other.buckets()) == (256, 256)
    })
    .await?;
    ensure!(other.shut_out().is_empty());

    let from = || -> Vec<_> {
        collector
            .seen
            .lock()
            .unwrap()
            .iter()
            .map(|it| it.1)
            .collect()
    };
    until("each is seen where it is, once", || {
        from() == [IpAddr::from([127, 0, 0, 1]); 2]
    })
    .await?;

    one.ban(&["203.0.113.7".to_owned()]).await?;
    other.shuts_out(&["203.0.113.7/32"]).await?;
    one.shuts_out(&["203.0.113.7/32"]).await?;

    let body = r#"{"net": "203.0.113.7", "reason": "it was us"}"#;
    collector.ask("/v1/bans/lift", body).await?;
    other.shuts_out(&[]).await?;
    let net = "203.0.113.7/32".parse()?;
    let told = other.ordered.bans.borrow()[&bucket(&net)].clone();
    ensure!(
        told.lifted.len() == 1 && told.lifted[0].net == net,
        "{told:?}"
    );
    one.end().await;
    other.end().await;
    Ok(())
}

#[tokio::test]
async fn who_comes_late_hears_of_every_ban_and_a_flood_arrives_whole() -> Result<()> {
    let collector = Collector::start(Span::days(1)).await?;
    let (one, late) = (
        collector.enrol("web-1").await?,
        collector.enrol("web-2").await?,
    );
    let one = Agent::start(&collector, &one, "web-1")?;
    let many = (0..1000_u16).map(|number| format!("198.18.{}.{}", number / 250, number % 250));
    one.ban(&many.collect::<Vec<_>>()).await?;
    until("the host itself hears of all", || {
        one.shut_out().len() == 1000
    })
    .await?;
    let late = Agent::start(&collector, &late, "web-2")?;
    until("and so does the one that is late", || {
        late.shut_out().len() == 1000
    })
    .await?;
    one.end().await;
    late.end().await;
    Ok(())
}
