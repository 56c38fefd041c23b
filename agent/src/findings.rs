//! Where rooms say what they watch, what they do not, and why.

use tokio::sync::mpsc;
use watchward_protocol::hosts::{Finding, FindingState};

/// A room's end of the channel that `hosts` reports from. A later finding on the same subject takes
/// the place of the one before.
pub type Findings = mpsc::UnboundedSender<Finding>;

/// Takes back what was said of a subject, of which there is nothing more to say.
pub fn taken_back(subject: String) -> Finding {
    Finding {
        subject,
        state: FindingState::Absent,
        detail: String::new(),
    }
}

/// Whether this only takes back what was said.
pub(crate) fn takes_back(finding: &Finding) -> bool {
    finding.state == FindingState::Absent && finding.detail.is_empty()
}
