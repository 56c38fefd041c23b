//! Where rooms say what they watch, what they do not, and why.

use tokio::sync::mpsc;
use watchward_protocol::hosts::Finding;

/// A room's end of the channel that `hosts` reports from. A later finding on the same subject takes
/// the place of the one before.
pub type Findings = mpsc::UnboundedSender<Finding>;
