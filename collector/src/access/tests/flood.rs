//! A flood stays linear: what it takes is counted in statements, never in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::span;

use super::*;
use crate::store::Kind;

/// Counts the statements that this thread sends to a database.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// So many events, two from each address.
fn flood(from: u32, many: u32) -> Vec<Heard<AccessEvent>> {
    (from..from + many)
        .map(|n| {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + n / 2).to_string();
            failure(1, u64::from(n) + 1, i64::from(n / 1_000), &address)
        })
        .collect()
}

#[tokio::test]
async fn a_flood_from_very_many_addresses_takes_few_statements_and_hides_nobody() {
    for store in stores().await {
        let counted = Statements::default();
        let guard = tracing::subscriber::set_default(counted.clone());
        hear(&store, &flood(0, 10_000), at(100)).await;
        let ten = counted.0.swap(0, Ordering::Relaxed);
        hear(&store, &flood(10_000, 40_000), at(100)).await;
        let forty = counted.0.load(Ordering::Relaxed);
        drop(guard);
        // SQLite works, and counts, on a thread of its own.
        if store.kind() == Kind::Postgres {
            assert!(
                ten > 0 && ten < 10_000 / 20,
                "{ten} statements for 10,000 events"
            );
            assert!(forty <= 4 * ten, "{ten} statements, then {forty}");
        }
        assert_eq!(incidents(&store).await.len(), 0);
        hear(&store, &failures(2, 0, 10, "203.0.113.7"), at(100)).await;
        assert_eq!(incidents(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn an_attack_that_goes_on_costs_the_same_each_time() {
    for store in stores().await {
        let counted = Statements::default();
        let guard = tracing::subscriber::set_default(counted.clone());
        let mut costs = Vec::new();
        for round in 0..40 {
            hear(&store, &failures(1, round * 10, 10, "203.0.113.7"), at(500)).await;
            costs.push(counted.0.swap(0, Ordering::Relaxed));
        }
        drop(guard);
        let least = costs.iter().min().unwrap();
        let dearer = costs.iter().filter(|cost| *cost > least).count();
        assert!(dearer <= 7, "told at each doubling only: {costs:?}");
        let found = incidents(&store).await;
        assert_eq!(found.len(), 1);
        assert!(
            found[0].title.contains("320 failures"),
            "{}",
            found[0].title
        );
    }
}
