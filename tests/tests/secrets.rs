//! What a collector has in memory is in no core dump.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use watchward_tests::collector::Collector;
use watchward_tests::network::Network;
use watchward_tests::ready::with_networks;

// Where the kernel makes a core dump of nobody (`kernel.core_pattern`), this says nothing.
#[test]
fn a_collector_that_crashes_leaves_no_core_dump() -> Result<()> {
    with_networks("a crash", || {
        let network = Network::new()?;
        let collector = Collector::start(&network, None, "")?;
        let ended = collector.abort()?;
        ensure!(ended.signal() == Some(Signal::ABORT.as_raw()), "{ended}");
        ensure!(!ended.core_dumped(), "{}", collector.log());
        Ok(())
    })
}
