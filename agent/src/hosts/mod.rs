//! What the agent knows of itself: who it is, and what it found on its host.

use tokio::sync::mpsc;
use watchward_protocol::hosts::Finding;

/// Where rooms say what they watch, what they do not, and why. A later finding on the same subject
/// takes the place of the one before.
pub type Findings = mpsc::UnboundedSender<Finding>;
