//! Whether public keys would still be accepted by this host's sshd: it is asked, door by door.

mod door;
mod elsewhere;
mod key;
mod shown;
#[cfg(test)]
mod tests;
mod visits;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use watchward_daemon::tasks::Stop;
use watchward_protocol::proof::{
    Answer, Control, Door, MOST_DOORS, Question, Said, Stands, TRIES, Way, Ways,
};
use watchward_protocol::question;
use watchward_protocol::restriction::Transport;
use watchward_protocol::text::Foreign;

use crate::own::Own;
use crate::sockets::{self, Place};
use crate::uplink::Asked;
use door::{Asking, Heard};
use key::{Key, Wanted};

pub use elsewhere::{Private, run as ask_elsewhere};
pub use shown::{Presents, presents};
pub use visits::run as expect_visits;

/// How long the reader of keys may take to say where a key can be tried.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long an answer may take in all: a collector waits for 15 seconds.
const LONGEST: Duration = Duration::from_secs(12);
/// Between two connections that come from one address. OpenSSH since 9.8 shuts out who fails more
/// often than about every five seconds (`PerSourcePenalties`).
const PACE: Duration = Duration::from_secs(6);

/// Answers one question after the other until asked to stop. Who reads the keys says where a key can
/// be tried.
///
/// # Errors
/// None.
pub async fn run(
    mut questions: mpsc::Receiver<Asked>,
    keys: mpsc::Sender<Asked>,
    own: Own,
    stop: Stop,
) -> anyhow::Result<()> {
    while let Some(Some(Asked { question, answer })) =
        stop.run_until_cancelled(questions.recv()).await
    {
        let question::Question::Proof(question) = question else {
            continue;
        };
        let proven = prove(&question, &keys, &own).await;
        // Whoever asked may have gone.
        let _ = answer.send(question::Answer::Proof(proven));
    }
    Ok(())
}

async fn prove(question: &Question, keys: &mpsc::Sender<Asked>, own: &Own) -> Answer {
    let until = Instant::now() + LONGEST;
    let wanted: Vec<Wanted> = question.keys.iter().map(|it| Key::read(it)).collect();
    match ways(question, keys).await {
        Ok(Ways {
            closed: Some(why), ..
        }) => closed(why, &sockets::places()),
        Ok(ways) => Round::new(&ways, &wanted, (own, until)).all().await,
        Err(why) => Answer::of_trouble(why),
    }
}

/// Where SSH is served unless somebody says otherwise (RFC 4253, section 4.2).
const SSH: u16 = 22;

/// Where there is no sshd, nothing can be opened, unless something else may serve SSH.
fn closed(why: String, listening: &BTreeMap<Place, u64>) -> Answer {
    let mut places = listening.keys();
    match places.any(|it| it.transport == Transport::Tcp && it.port == SSH) {
        true => Answer::of_trouble(format!(
            "{why}, and yet something listens on port {SSH}, which is not asked"
        )),
        false => Answer {
            closed: Some(why),
            ..Answer::default()
        },
    }
}

/// Where it can be tried.
async fn ways(question: &Question, keys: &mpsc::Sender<Asked>) -> Result<Ways, &'static str> {
    let (answer, said) = oneshot::channel();
    let asked = Asked {
        question: question::Question::Proof(question.clone()),
        answer,
    };
    keys.try_send(asked)
        .map_err(|_| "who reads the keys is busy")?;
    match timeout(PATIENCE, said).await {
        Ok(Ok(question::Answer::Ways(ways))) => Ok(ways),
        _ => Err("who reads the keys did not answer in time"),
    }
}

/// A question while it is answered: every door is asked, as long as there is time.
struct Round<'a> {
    ways: &'a Ways,
    places: Vec<SocketAddr>,
    keys: &'a [Wanted],
    own: &'a Own,
    until: Instant,
    /// When an address was asked last.
    last: HashMap<IpAddr, Instant>,
}

impl<'a> Round<'a> {
    fn new(ways: &'a Ways, keys: &'a [Wanted], (own, until): (&'a Own, Instant)) -> Self {
        Self {
            ways,
            places: places(&ways.listens),
            keys,
            own,
            until,
            last: HashMap::new(),
        }
    }

    async fn all(mut self) -> Answer {
        let mut answer = Answer {
            trouble: self.ways.trouble.clone(),
            tries: self.ways.tries,
            ..Answer::default()
        };
        if self.places.is_empty() && answer.trouble.is_none() {
            let why = "sshd's configuration names no place where it listens";
            answer.trouble = Some(why.to_owned());
        }
        for way in &self.ways.accounts {
            let (mut doors, is_whole) = match answer.doors.len() + self.each() <= MOST_DOORS {
                true => self.account(way).await,
                false => (Vec::new(), false),
            };
            if !is_whole && !answer.doors.is_empty() {
                answer.left.push(way.account.clone());
                continue;
            }
            if !is_whole {
                // It had all the time there is, and would not have more if it were asked again.
                self.miss(way, &mut doors);
            }
            answer.doors.extend(doors);
        }
        lend(&mut answer.doors);
        answer
    }

    /// How many doors each account has.
    fn each(&self) -> usize {
        self.places.len() * self.keys.len()
    }

    /// What an account's doors say, and whether there was time for all of them.
    async fn account(&mut self, way: &Way) -> (Vec<Door>, bool) {
        let mut all = Vec::new();
        for at in self.places.clone() {
            let mut doors = Vec::new();
            while let Some(keys @ [_, ..]) = self.keys.get(doors.len()..) {
                let heard = timeout_at(self.until, self.call(way, at, keys)).await;
                self.last.insert(at.ip(), Instant::now());
                let Ok(heard) = heard else {
                    all.extend(doors);
                    return (all, false);
                };
                doors.extend(judge(way, at, (doors.len(), heard)));
            }
            all.extend(doors);
        }
        (all, true)
    }

    /// Says of an account's doors that are not among these that nobody knows.
    fn miss(&self, way: &Way, doors: &mut Vec<Door>) {
        let keys = || (0..).zip(self.keys).map(|(key, _)| key);
        for (at, key) in self
            .places
            .iter()
            .flat_map(|at| keys().map(move |key| (*at, key)))
        {
            if !doors.iter().any(|door| (door.at, door.key) == (at, key)) {
                doors.push(Door {
                    key,
                    account: way.account.clone(),
                    at,
                    said: Said::Unknown,
                    control: Control::None,
                    note: "sshd answers too slowly to be asked".to_owned(),
                });
            }
        }
    }

    /// One connection.
    async fn call(&self, way: &Way, at: SocketAddr, keys: &[Wanted]) -> Heard {
        let source = source(at.ip());
        if let Some(from) = source.is_none().then(|| self.last.get(&at.ip())).flatten() {
            sleep(PACE.saturating_sub(from.elapsed())).await;
        }
        let asking = Asking {
            at,
            source: source.map(|from| (from, 0).into()),
            own: self.own,
            host_keys: &self.ways.host_keys,
            tries: self.ways.tries.unwrap_or(TRIES),
            whose: "this host's",
        };
        asking.ask(&way.account, (&way.controls, keys), None).await
    }
}

/// Where to ask: on a host's own way for what listens everywhere.
fn places(listens: &[SocketAddr]) -> Vec<SocketAddr> {
    let four = |it: &SocketAddr| it.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut places = Vec::new();
    for listen in listens {
        let port = listen.port();
        let place = match listen.ip() {
            IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            // The same sshd with the same rules: it is asked once.
            IpAddr::V6(any) if any.is_unspecified() => {
                if listens.iter().any(|it| four(it) && it.port() == port) {
                    continue;
                }
                Ipv6Addr::LOCALHOST.into()
            }
            one @ (IpAddr::V4(_) | IpAddr::V6(_)) => one,
        };
        places.push(SocketAddr::new(place, port));
    }
    places
}

/// From where: each time from another address of the host's own for IPv4, so that none of them is
/// penalised for asking often.
fn source(to: IpAddr) -> Option<IpAddr> {
    let [a, b, c] = rand::random::<[u8; 3]>();
    let last = c.clamp(1, 254);
    to.is_ipv4().then(|| Ipv4Addr::new(127, a, b, last).into())
}

/// What a door said to the keys from the one with this number on, and what is to be known besides.
fn judge(way: &Way, at: SocketAddr, (first, heard): (usize, Heard)) -> Vec<Door> {
    let is_controlled = heard.control.is_some();
    let control = heard.control.map_or(Control::None, Control::Own);
    let numbers = (0..).skip(first);
    let door = |(key, said): (u32, Result<Said, String>)| {
        let stands = way.stands(key);
        let (said, note) = match said {
            Ok(Said::Refused) => refusal(way, stands, is_controlled),
            Ok(said) => {
                let text = stands.map(|it| it.text.clone());
                (said, text.unwrap_or_default())
            }
            Err(why) => (Said::Unknown, why),
        };
        Door {
            key,
            account: way.account.clone(),
            at,
            said,
            control: control.clone(),
            note,
        }
    };
    numbers.zip(heard.said).map(door).collect()
}

/// What a refusal is worth: sshd may refuse everybody who comes from this host (`AllowUsers`,
/// `StrictModes`), and take the key from elsewhere.
fn refusal(way: &Way, stands: Option<&Stands>, is_controlled: bool) -> (Said, String) {
    let no_other =
        "sshd took no other key of this account either: it may refuse it only from here".to_owned();
    match stands {
        Some(stands) if stands.conditional => {
            (Said::Unknown, format!("refused here, but {}", stands.text))
        }
        _ if !is_controlled && !way.controls.is_empty() => (Said::Unknown, no_other),
        Some(stands) if is_controlled => {
            let note = format!("{}, but is revoked or passed over", stands.text);
            (Said::Refused, note)
        }
        Some(stands) => {
            let note = format!(
                "refused here, but {}, and the account has no other key to compare with",
                stands.text
            );
            (Said::Unknown, note)
        }
        None => (Said::Refused, String::new()),
    }
}

/// Where an account has no key that could be shown to open, another account's shows that sshd takes any.
fn lend(doors: &mut [Door]) {
    let mut shown: HashMap<SocketAddr, Foreign> = HashMap::new();
    for door in doors.iter() {
        if matches!(door.control, Control::Own(_)) {
            shown.insert(door.at, door.account.clone());
        }
    }
    for door in doors.iter_mut().filter(|it| it.said == Said::Refused) {
        if let (Control::None, Some(account)) = (&door.control, shown.get(&door.at)) {
            door.control = Control::Other(account.clone());
        }
    }
}
