//! The negative proof: every host's sshd is asked whether it would still take keys, account by account.

mod api;
mod elsewhere;
mod glass;
mod offered;
mod revoked;
mod shown;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use watchward_protocol::proof::{Answer, Question};
use watchward_protocol::question;
use watchward_protocol::text::Foreign;

use crate::intake::Questions;
pub(super) use elsewhere::Controls;
use elsewhere::{Asking, Elsewhere};
pub(super) use offered::{Offered, fingerprint};

pub use api::routes;
pub use glass::run as prove_glass;
pub(super) use glass::{Glass, ShownGlass, list as list_glass};
pub use revoked::run;
pub(super) use revoked::{Proven, Revoked, STALE, end};
pub(super) use shown::{ShownRevoked, list, sentence};

/// How many hosts are asked at once.
const AT_ONCE: usize = 16;
/// How often a host is asked for the accounts that it had no time for.
const ROUNDS: usize = 60;
/// How long a host is asked about some keys in all; the last answer may still come.
const LONGEST: Duration = Duration::from_secs(180);
/// Who has named so many doors for each key is not asked for more.
const MOST_DOORS: usize = 16_000;

/// What a host said; or why it said nothing.
struct Heard {
    host: String,
    said: Result<Answer, String>,
    /// And what another host saw of it.
    elsewhere: Elsewhere,
}

impl Heard {
    /// What a host said to each of these keys, with what another sees of it now.
    async fn from(
        asking: &Asking,
        host: &str,
        keys: &[Offered],
        said: Result<Answer, String>,
    ) -> Vec<Self> {
        let elsewhere = match &said {
            Ok(own) => asking.ask(host, keys, own).await,
            Err(_) => Vec::new(),
        };
        Self::each(host, keys, &said, elsewhere)
    }

    /// What a host said to each of these keys, with what another saw of it, if anybody did.
    fn each(
        host: &str,
        keys: &[Offered],
        said: &Result<Answer, String>,
        elsewhere: Vec<Elsewhere>,
    ) -> Vec<Self> {
        let numbers = (0..).zip(keys).map(|(number, _)| number);
        let mut said: Vec<_> = numbers
            .map(|key| said.as_ref().map(|it| it.of_key(key)).map_err(Clone::clone))
            .collect();
        let doors = |said: &Result<Answer, String>| said.as_ref().map_or(0, |it| it.doors.len());
        let most = said.iter().map(doors).max().unwrap_or_default();
        for one in &mut said {
            let lacks = doors(one) < most;
            if let Some(answer) = one.as_mut().ok().filter(|_| lacks) {
                let why = "it said less of this key than of others that it was asked about";
                answer.trouble.get_or_insert_with(|| why.to_owned());
            }
        }
        let mut elsewhere = elsewhere.into_iter();
        let one = |said| Self {
            host: host.to_owned(),
            said,
            elsewhere: elsewhere.next().unwrap_or_default(),
        };
        said.into_iter().map(one).collect()
    }
}

/// Keeps what a host says to a key.
#[cfg(test)]
pub(super) async fn keep_for_tests(
    store: &crate::store::Store,
    key: &str,
    (host, answer): (&str, Answer),
    now: watchward_protocol::time::Timestamp,
) {
    let (host, said) = (host.to_owned(), Ok(answer));
    let elsewhere = Elsewhere::default();
    let heard = [Heard {
        host,
        said,
        elsewhere,
    }];
    revoked::keep(store, key, &heard, now).await.unwrap();
}

/// Asks hosts about a key, and waits for all of them.
async fn ask(asking: &Asking, hosts: Vec<String>, key: &Offered) -> Vec<Heard> {
    let keys = std::slice::from_ref(key);
    let all = hosts.into_iter().map(|host| async move {
        let said = whole(&asking.questions, &host, keys).await;
        Heard::from(asking, &host, keys, said).await
    });
    let heard: Vec<_> = stream::iter(all).buffer_unordered(AT_ONCE).collect().await;
    let mut heard: Vec<Heard> = heard.into_iter().flatten().collect();
    heard.sort_by(|a, b| a.host.cmp(&b.host));
    heard
}

/// All that a host says to these keys, at most [`MOST_KEYS`](watchward_protocol::proof::MOST_KEYS),
/// however often it has to be asked, within [`LONGEST`].
async fn whole(questions: &Questions, host: &str, keys: &[Offered]) -> Result<Answer, String> {
    of(questions, host, (keys, Vec::new())).await
}

/// The same of these accounts; none: of all.
async fn of(
    questions: &Questions,
    host: &str,
    (keys, accounts): (&[Offered], Vec<Foreign>),
) -> Result<Answer, String> {
    let until = Instant::now() + LONGEST;
    let mut all = Answer {
        left: accounts,
        ..Answer::default()
    };
    for _ in 0..ROUNDS {
        let asked = std::mem::take(&mut all.left);
        match once(questions, host, (keys, &asked)).await {
            Ok(said) => {
                if !add(&mut all, asked, (said, keys.len())) {
                    return Ok(all);
                }
            }
            Err(why) if all.doors.is_empty() => return Err(why),
            Err(why) => {
                (all.left, all.trouble) = (asked, Some(why));
                return Ok(all);
            }
        }
        if Instant::now() >= until {
            break;
        }
    }
    all.trouble = Some("not all of it was asked in time".to_owned());
    Ok(all)
}

async fn once(
    questions: &Questions,
    host: &str,
    (keys, accounts): (&[Offered], &[Foreign]),
) -> Result<Answer, String> {
    let question = question::Question::Proof(Question {
        keys: keys.iter().map(|key| key.wire.clone()).collect(),
        accounts: accounts.to_vec(),
    });
    match questions.ask(host, question).await {
        Ok(question::Answer::Proof(said)) => Ok(said),
        Ok(_) => Err("cannot be asked about keys: its agent is of an older version".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// Adds what was said when these accounts were asked about so many keys, or none in particular; says
/// whether to ask on.
/// Beware: a host that says anything at all must not keep others waiting for ever.
fn add(all: &mut Answer, asked: Vec<Foreign>, (said, keys): (Answer, usize)) -> bool {
    let before: HashSet<_> = asked.iter().collect();
    let is_less = said.left.len() < asked.len() && said.left.iter().all(|it| before.contains(it));
    let goes_on = (asked.is_empty() || is_less) && all.doors.len() < MOST_DOORS * keys;
    all.doors.extend(said.doors);
    all.trouble = said.trouble.or(all.trouble.take());
    all.closed = said.closed.or(all.closed.take());
    all.tries = said.tries.or(all.tries);
    if goes_on || said.left.is_empty() {
        all.left = said.left;
        return !all.left.is_empty();
    }
    all.left = asked;
    all.trouble = Some("it was asked again, and got no further".to_owned());
    false
}

#[cfg(test)]
mod tests {
    use watchward_protocol::proof::{Control, Door, Said};

    use super::*;

    fn left(names: &[&str]) -> Answer {
        let door = Door {
            key: 0,
            account: "root".into(),
            at: "127.0.0.1:22".parse().unwrap(),
            said: Said::Accepted,
            control: Control::None,
            note: String::new(),
        };
        Answer {
            doors: vec![door],
            left: names.iter().map(|name| (*name).into()).collect(),
            ..Answer::default()
        }
    }

    /// What is known after these answers, each to the accounts that the one before left.
    fn after(answers: &[&[&str]]) -> (Answer, bool) {
        let mut all = Answer::default();
        let mut goes_on = true;
        for names in answers {
            assert!(goes_on, "it was asked too often");
            let asked = std::mem::take(&mut all.left);
            goes_on = add(&mut all, asked, (left(names), 1));
        }
        (all, goes_on)
    }

    #[test]
    fn a_host_is_asked_on_only_while_less_is_left() {
        let (all, goes_on) = after(&[&["a", "b", "c"], &["c", "b"], &["b"], &[]]);
        assert!(!goes_on && all.trouble.is_none() && all.left.is_empty());
        assert_eq!(all.doors.len(), 4);
        for again in [&["a", "b"][..], &["a", "z"], &["z"], &["a", "b", "c"]] {
            let (all, goes_on) = after(&[&["a", "b"], again]);
            assert!(!goes_on, "{again:?}");
            assert!(all.trouble.unwrap().contains("no further"));
            assert_eq!((all.left.len(), all.doors.len()), (2, 2), "{again:?}");
        }
    }

    const KEY: Offered = Offered {
        kind: String::new(),
        fingerprint: None,
        wire: Vec::new(),
    };

    #[test]
    fn a_key_of_which_less_is_said_than_of_others_is_not_done() {
        let mut said = left(&[]);
        said.doors.push(Door {
            key: 1,
            ..said.doors[0].clone()
        });
        let heard = Heard::each("web", &[KEY, KEY, KEY], &Ok(said), Vec::new());
        let answers = heard.into_iter().map(|it| it.said.unwrap());
        let seen: Vec<_> = answers
            .map(|it| (it.doors.len(), it.trouble.is_some()))
            .collect();
        assert_eq!(seen, [(1, false), (1, false), (0, true)]);
    }

    #[tokio::test]
    async fn who_is_not_there_says_nothing() {
        let key = Offered {
            wire: vec![1],
            ..KEY
        };
        let said = whole(&Questions::default(), "web", &[key]).await;
        assert!(said.unwrap_err().contains("not connected"));
    }
}
