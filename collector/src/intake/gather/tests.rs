//! What is committed of a group, and what is not.

use std::sync::Mutex;

use super::*;
use crate::store::testing;

/// Knows one host that was revoked, and notes whose gaps it hears.
#[derive(Default)]
struct Notes {
    gone: Option<HostId>,
    heard: Mutex<Vec<(HostId, u64)>>,
}

#[tonic::async_trait]
impl Rooms for Notes {
    async fn alive(&self, _: &mut Tx, _: &[Host], _: Timestamp) -> anyhow::Result<Vec<HostId>> {
        Ok(self.gone.into_iter().collect())
    }

    async fn absorb(&self, _: &mut Tx, told: Told<'_>, _: Timestamp) -> anyhow::Result<()> {
        if let Told::Gaps(gaps) = told {
            let heard = gaps.iter().map(|one| (one.host.id, one.seq));
            self.heard.lock().unwrap().extend(heard);
        }
        Ok(())
    }

    fn committed(&self) {}
}

fn arrival(host: u8, seq: u64) -> (Arrival, mpsc::Receiver<Result<v1::FromCollector, Status>>) {
    let (reply, replies) = mpsc::channel(4);
    let id = HostId::from_bytes([host; 16]);
    let gap = Gap {
        source: "test".to_owned(),
        from: None,
        to: Timestamp::from_micros(1),
        lost: Some(1),
        why: "a test".to_owned(),
    };
    let record = Record {
        seq,
        covers: 0,
        kept_at: Timestamp::from_micros(1),
        boot: [0; 16],
        report: Report::Gap(gap),
    };
    let arrival = Arrival {
        host: Host {
            id,
            name: format!("web-{host}"),
        },
        epoch: Epoch(1),
        lane: Lane::Access,
        records: vec![record],
        backlog: None,
        from: None,
        reply,
    };
    (arrival, replies)
}

#[tokio::test]
async fn what_was_queued_when_its_host_was_revoked_is_not_kept() {
    for store in testing::stores(&[rows::SCHEMA]).await {
        let (one, mut to_one) = arrival(1, 1);
        let (two, mut to_two) = arrival(2, 1);
        let (stays, goes) = (one.host.id, two.host.id);
        let rooms = Notes {
            gone: Some(goes),
            ..Notes::default()
        };
        attempt(&store, &rooms, &[one, two]).await.unwrap();
        assert_eq!(*rooms.heard.lock().unwrap(), [(stays, 1)]);
        let mut connection = store.read().acquire().await.unwrap();
        for (host, kept) in [(stays, 1), (goes, 0)] {
            let key = (host, Lane::Access, Epoch(1));
            let mark = rows::high_water(&mut connection, key).await.unwrap();
            assert_eq!(mark.seq, kept);
        }
        to_one.try_recv().unwrap().unwrap();
        let refusal = to_two.try_recv().unwrap().unwrap_err();
        assert_eq!(refusal.message(), "this host is revoked");
    }
}
