//! What an agent says of itself.

use super::{Malformed, NAME, short, v1};
use crate::hosts::{Doctor, Finding, FindingState};

/// The longest sentence about one, in bytes.
const DETAIL: usize = 1024;

impl From<Doctor> for v1::Doctor {
    fn from(doctor: Doctor) -> Self {
        let doctor = doctor.bounded();
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
        let doctor = Self {
            version: short(wire.version, NAME),
            system: short(wire.system, NAME),
            findings: findings?,
        };
        Ok(doctor.bounded())
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
            subject: short(wire.subject, NAME),
            state,
            detail: short(wire.detail, DETAIL),
        })
    }
}
