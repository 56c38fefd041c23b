//! A question that the collector asks, and what the host answers, as they travel.

use prost::Message;

use super::{Malformed, cut, elsewhere, proof, reach, text, v1};
use crate::instruments::Ended;
use crate::question::{Answer, Left, Question};
use crate::time::Timestamp;

/// A question as it travels, with its number.
pub fn ask(id: u64, asked: &Question) -> v1::Ask {
    let wire = match asked {
        Question::Reach(asked) => reach::ask(asked),
        Question::Proof(asked) => v1::Ask {
            proof: Some(proof::ask(asked)),
            ..v1::Ask::default()
        },
        Question::Elsewhere(asked) => v1::Ask {
            elsewhere: Some(elsewhere::ask(asked)),
            ..v1::Ask::default()
        },
        Question::Expect(expected) => v1::Ask {
            expect: Some(elsewhere::expect(expected)),
            ..v1::Ask::default()
        },
        Question::Left(asked) => v1::Ask {
            left: Some(v1::AskLeft {
                account: asked.account.as_bytes().to_vec(),
                since: asked.since.as_micros(),
            }),
            ..v1::Ask::default()
        },
    };
    v1::Ask { id, ..wire }
}

/// The question in a message.
///
/// # Errors
/// It has no address, a port that is none, no key, or more than can be asked.
pub fn question(mut wire: v1::Ask) -> Result<Question, Malformed> {
    if let Some(asked) = wire.proof.take() {
        return proof::question(asked).map(Question::Proof);
    }
    if let Some(asked) = wire.elsewhere.take() {
        return elsewhere::question(asked).map(Question::Elsewhere);
    }
    if let Some(asked) = wire.left.take() {
        return Ok(Question::Left(Left {
            account: cut(asked.account, reach::ACCOUNT),
            since: Timestamp::from_micros(asked.since),
        }));
    }
    match wire.expect.take() {
        Some(expected) => elsewhere::expected(expected).map(Question::Expect),
        None => reach::question(wire).map(Question::Reach),
    }
}

/// An answer as it travels, with the number of its question.
pub fn reply(id: u64, given: Answer) -> v1::Answer {
    let wire = match given {
        Answer::Reach(given) => reach::reply(given),
        Answer::Proof(given) => v1::Answer {
            proven: Some(proof::proven(given)),
            ..v1::Answer::default()
        },
        Answer::Elsewhere(given) => v1::Answer {
            elsewhere: Some(elsewhere::reply(given)),
            ..v1::Answer::default()
        },
        Answer::Expecting => v1::Answer {
            expecting: true,
            ..v1::Answer::default()
        },
        Answer::Ways(ways) => v1::Answer {
            ways: Some(proof::ways(ways)),
            ..v1::Answer::default()
        },
        Answer::Left(sentences) => v1::Answer {
            left: Some(v1::Left { sentences }),
            ..v1::Answer::default()
        },
    };
    v1::Answer { id, ..wire }
}

/// The answer in a message. A word of a newer program is as if it could not be told.
///
/// # Errors
/// A door is at no address.
pub fn answer(mut wire: v1::Answer) -> Result<Answer, Malformed> {
    if let Some(proven) = wire.proven.take() {
        return proof::answer(proven).map(Answer::Proof);
    }
    if let Some(seen) = wire.elsewhere.take() {
        return elsewhere::answer(seen).map(Answer::Elsewhere);
    }
    if wire.expecting {
        return Ok(Answer::Expecting);
    }
    if let Some(left) = wire.left.take() {
        let sentences = left.sentences.into_iter().take(Ended::MOST_SURVIVORS);
        return Ok(Answer::Left(sentences.map(text).collect()));
    }
    match wire.ways.take() {
        Some(ways) => proof::told(ways).map(Answer::Ways),
        None => Ok(Answer::Reach(reach::answer(wire))),
    }
}

/// A question as bytes, for another program of the same host.
pub fn encode_question(asked: &Question) -> Vec<u8> {
    ask(0, asked).encode_to_vec()
}

/// The question in these bytes.
///
/// # Errors
/// There is none.
pub fn decode_question(bytes: &[u8]) -> Result<Question, Malformed> {
    question(v1::Ask::decode(bytes).map_err(|_| Malformed("question"))?)
}

/// An answer as bytes.
pub fn encode_answer(given: Answer) -> Vec<u8> {
    reply(0, given).encode_to_vec()
}

/// The answer in these bytes.
///
/// # Errors
/// There is none.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, Malformed> {
    answer(v1::Answer::decode(bytes).map_err(|_| Malformed("answer"))?)
}
