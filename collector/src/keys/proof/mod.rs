//! The negative proof: every host's sshd is asked whether it would still take a key, account by account.

mod api;
mod offered;
mod retired;

use futures_util::{StreamExt, stream};
use watchward_protocol::proof::{Answer, Question};
use watchward_protocol::question;

use crate::intake::Questions;
use offered::Offered;

pub use api::routes;
pub(super) use api::{ShownRetired, list};
pub use retired::run;
pub(super) use retired::{Proven, Retired};

/// How many hosts are asked at once.
const AT_ONCE: usize = 16;
/// How often a host is asked for the accounts that it had no time for.
const ROUNDS: usize = 60;

/// What a host said; or why it said nothing.
struct Heard {
    host: String,
    said: Result<Answer, String>,
}

/// Asks hosts about a key, and waits for all of them.
async fn ask(questions: &Questions, hosts: Vec<String>, key: &Offered) -> Vec<Heard> {
    let asking = hosts.into_iter().map(|host| async move {
        let said = whole(questions, &host, key).await;
        Heard { host, said }
    });
    let mut heard: Vec<_> = stream::iter(asking)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    heard.sort_by(|a, b| a.host.cmp(&b.host));
    heard
}

/// All that a host says, however often it has to be asked.
async fn whole(questions: &Questions, host: &str, key: &Offered) -> Result<Answer, String> {
    let mut all = Answer::default();
    for _ in 0..ROUNDS {
        let question = Question {
            key: key.wire.clone(),
            accounts: std::mem::take(&mut all.left),
        };
        let said = questions
            .ask(host, question::Question::Proof(question))
            .await;
        let question::Answer::Proof(said) = said.map_err(|why| why.to_string())? else {
            return Err("cannot be asked about keys: its agent is of an older version".to_owned());
        };
        all.doors.extend(said.doors);
        all.trouble = said.trouble.or(all.trouble);
        all.left = said.left;
        if all.left.is_empty() {
            break;
        }
    }
    Ok(all)
}
