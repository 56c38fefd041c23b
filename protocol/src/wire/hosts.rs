//! What an agent says of itself.

use super::{Malformed, text, v1};
use crate::hosts::{Doctor, Finding, FindingState};

impl From<Doctor> for v1::Doctor {
    fn from(doctor: Doctor) -> Self {
        Self {
            version: doctor.version,
            system: doctor.system,
            findings: doctor.findings.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Doctor> for Doctor {
    type Error = Malformed;

    fn try_from(wire: v1::Doctor) -> Result<Self, Malformed> {
        let findings: Result<_, _> = wire.findings.into_iter().map(TryInto::try_into).collect();
        Ok(Self {
            version: text(wire.version),
            system: text(wire.system),
            findings: findings?,
        })
    }
}

impl From<Finding> for v1::doctor::Finding {
    fn from(finding: Finding) -> Self {
        use v1::doctor::finding::State;
        let state = match finding.state {
            FindingState::Watched => State::Watched,
            FindingState::Absent => State::Absent,
            FindingState::Failing => State::Failing,
        };
        Self {
            subject: finding.subject,
            state: state.into(),
            detail: finding.detail,
        }
    }
}

impl TryFrom<v1::doctor::Finding> for Finding {
    type Error = Malformed;

    fn try_from(wire: v1::doctor::Finding) -> Result<Self, Malformed> {
        use v1::doctor::finding::State;
        let state = match wire.state() {
            State::Watched => FindingState::Watched,
            State::Absent => FindingState::Absent,
            State::Failing => FindingState::Failing,
            State::Unspecified => return Err(Malformed("state of a finding")),
        };
        Ok(Self {
            subject: text(wire.subject),
            state,
            detail: text(wire.detail),
        })
    }
}
