//! Whether an account could get in: the question and its answer, as they travel.

use super::{Malformed, NAME, address, bytes, cut, short, text, v1};
use crate::reach::{Answer, Could, MOST_STEPS, Question, Step, Verdict};
use crate::restriction::Transport;

/// The longest name of an account.
pub(super) const ACCOUNT: usize = 1024;

pub(super) fn ask(question: &Question) -> v1::Ask {
    v1::Ask {
        account: question.account.as_bytes().to_vec(),
        address: bytes(question.address),
        udp: question.transport == Transport::Udp,
        port: question.port.map(u32::from),
        ..v1::Ask::default()
    }
}

/// # Errors
/// It has no address or a port that is none.
pub(super) fn question(wire: v1::Ask) -> Result<Question, Malformed> {
    let port = wire
        .port
        .map(|port| u16::try_from(port).ok().filter(|port| *port > 0));
    Ok(Question {
        account: cut(wire.account, ACCOUNT),
        address: address(&wire.address)?,
        transport: if wire.udp {
            Transport::Udp
        } else {
            Transport::Tcp
        },
        port: port.map(|port| port.ok_or(Malformed("port"))).transpose()?,
    })
}

pub(super) fn reply(answer: Answer) -> v1::Answer {
    let could = match answer.could {
        Could::Yes => v1::Could::Yes,
        Could::No => v1::Could::No,
        Could::Unknown => v1::Could::Unspecified,
    };
    let steps = answer.steps.into_iter().take(MOST_STEPS);
    v1::Answer {
        could: could.into(),
        steps: steps.map(step).collect(),
        ..v1::Answer::default()
    }
}

/// A word of a newer program is as if it could not be told.
pub(super) fn answer(wire: v1::Answer) -> Answer {
    let could = match wire.could() {
        v1::Could::Yes => Could::Yes,
        v1::Could::No => Could::No,
        v1::Could::Unspecified => Could::Unknown,
    };
    let steps = wire.steps.into_iter().take(MOST_STEPS);
    Answer {
        could,
        steps: steps.map(told).collect(),
    }
}

fn step(step: Step) -> v1::Step {
    let verdict = match step.verdict {
        Verdict::Permits => v1::StepVerdict::Permits,
        Verdict::Refuses => v1::StepVerdict::Refuses,
        Verdict::Unknown => v1::StepVerdict::Unspecified,
        Verdict::Notes => v1::StepVerdict::Notes,
    };
    v1::Step {
        subject: step.subject,
        verdict: verdict.into(),
        text: step.text,
    }
}

fn told(wire: v1::Step) -> Step {
    let verdict = match wire.verdict() {
        v1::StepVerdict::Permits => Verdict::Permits,
        v1::StepVerdict::Refuses => Verdict::Refuses,
        v1::StepVerdict::Unspecified => Verdict::Unknown,
        v1::StepVerdict::Notes => Verdict::Notes,
    };
    Step {
        subject: short(wire.subject, NAME),
        verdict,
        text: text(wire.text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop::sample::select(vec![
            Verdict::Permits,
            Verdict::Refuses,
            Verdict::Unknown,
            Verdict::Notes,
        ])
    }

    proptest! {
        #[test]
        fn a_question_arrives_as_it_was_asked(
            account in prop::collection::vec(any::<u8>(), 0..100),
            from: std::net::IpAddr,
            udp: bool,
            port in prop::option::of(1_u16..),
        ) {
            let asked = Question {
                account: account.into(),
                address: from.to_canonical(),
                transport: if udp { Transport::Udp } else { Transport::Tcp },
                port,
            };
            prop_assert_eq!(question(ask(&asked)).unwrap(), asked);
        }

        #[test]
        fn an_answer_arrives_as_it_was_given(
            steps in prop::collection::vec(("[a-z]{1,9}", verdict(), "[ -~]{0,99}"), 0..20),
        ) {
            let steps = steps.into_iter();
            let given = Answer::of(steps.map(|(subject, it, text)| Step::new(&subject, it, text)).collect());
            prop_assert_eq!(answer(reply(given.clone())), given);
        }

        #[test]
        fn nobody_can_ask_what_is_no_question(
            address in prop::collection::vec(any::<u8>(), 0..20), port: u32,
        ) {
            let wire = v1::Ask { address: address.clone(), port: Some(port), ..v1::Ask::default() };
            let sound = [4, 16].contains(&address.len()) && (1..=65535).contains(&port);
            prop_assert_eq!(question(wire).is_ok(), sound);
        }
    }
}
