//! Whether an account could get in to a host from an address, beside what the policy says, as JSON.

use std::net::IpAddr;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::question;
use watchward_protocol::reach::{Answer, Could, Question, Step, Verdict};
use watchward_protocol::restriction::{Mode, Transport};

use super::policy::{Place, Policy, Table};
use crate::intake::Questions;
use crate::web::Problem;

const SSH: &str = "ssh";

/// `GET /v1/reach`.
pub fn routes(questions: Questions, policy: Live<Policy>) -> Router {
    Router::new()
        .route("/v1/reach", get(reach))
        .with_state(Room { questions, policy })
}

#[derive(Clone)]
struct Room {
    questions: Questions,
    policy: Live<Policy>,
}

/// What is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    host: String,
    account: String,
    address: IpAddr,
    port: Option<u16>,
}

/// Whether somebody could get in, and why. Safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Shown {
    host: String,
    account: String,
    address: String,
    port: u16,
    could: Could,
    steps: Vec<ShownStep>,
    /// What the policy says, in one sentence.
    policy: String,
    /// Where both differ: who reaches what, and why, in one sentence.
    counterexample: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ShownStep {
    subject: String,
    verdict: Verdict,
    text: String,
}

async fn reach(
    State(room): State<Room>,
    Query(asked): Query<Asked>,
) -> Result<Json<Shown>, Problem> {
    let Asked {
        host,
        account,
        address,
        port,
    } = asked;
    let policy = room.policy.now();
    let port = port.unwrap_or_else(|| usual(&policy.table));
    if port == 0 {
        return Err(Problem::refused("a port is a number from 1 to 65535"));
    }
    let address = address.to_canonical();
    let question = Question {
        account: account.as_str().into(),
        address,
        transport: Transport::Tcp,
        port: Some(port),
    };
    let question = question::Question::Reach(question);
    let answer = room.questions.ask(&host, question).await;
    let answer = answer.map_err(|why| Problem::refused(format!("{host} {why}")))?;
    let question::Answer::Reach(answer) = answer else {
        return Err(Problem::refused(format!("{host} answers something else")));
    };
    let service = service(&policy.table, port);
    let place = service.map(|service| policy.table.place((&host, service), address, clock::now()));
    let rules = |service| policy.table.about(&host, service).next();
    let mode = service
        .and_then(rules)
        .map_or(Mode::Enforce, |rule| rule.mode);
    let counterexample = place
        .as_ref()
        .and_then(|place| differs((place, mode), &answer, (address, port, &host)));
    let said = words(place.as_ref(), service);
    let steps = answer.steps.into_iter().map(|step| ShownStep {
        subject: step.subject.escape_debug().to_string(),
        verdict: step.verdict,
        text: plain(&step.text),
    });
    Ok(Json(Shown {
        host,
        account,
        address: address.to_string(),
        port,
        could: answer.could,
        steps: steps.collect(),
        policy: said,
        counterexample,
    }))
}

/// What a host says is not to move anybody's cursor.
fn plain(text: &str) -> String {
    let shown = |one: char| {
        if one.is_control() { '\u{fffd}' } else { one }
    };
    text.chars().map(shown).collect()
}

/// The port of SSH, as the policy has it.
fn usual(table: &Table) -> u16 {
    let mut names = table.services.names();
    let ssh = names.find(|name| name.as_str() == SSH);
    let ports = ssh.map(|name| table.services.ports(name));
    ports
        .and_then(|ports| ports.first().map(|ports| ports.first))
        .unwrap_or(22)
}

/// The service at a port.
fn service(table: &Table, port: u16) -> Option<&str> {
    let at = |name: &&crate::policy::networks::Name| {
        let ports = table.services.ports(name);
        let mut own = ports.iter().filter(|one| one.transport == Transport::Tcp);
        own.any(|one| one.first <= port && port <= one.last)
    };
    let found = table.services.names().find(at);
    let ssh = (port == 22).then_some(SSH);
    found.map(|name| name.as_str()).or(ssh)
}

fn words(place: Option<&Place<'_>>, service: Option<&str>) -> String {
    let service = service.unwrap_or("this port");
    match place {
        None => "no rule speaks of this port".to_owned(),
        Some(Place::Open) => format!("no rule speaks of {service} of this host"),
        Some(Place::Inside) => format!("{service} may be reached from there"),
        Some(Place::Outside(names)) => {
            format!("{service} may be reached only from {}", listed(names))
        }
    }
}

fn listed(names: &[&crate::policy::networks::Name]) -> String {
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

/// The sentence that can be read aloud, where the host does something else than the policy says.
fn differs(
    (place, mode): (&Place<'_>, Mode),
    answer: &Answer,
    (from, port, host): (IpAddr, u16, &str),
) -> Option<String> {
    let way = |step: &&Step| step.subject == "nftables" && step.verdict != Verdict::Notes;
    let step = answer.steps.iter().find(way)?;
    let why = plain(&step.text);
    let is_deaf = |step: &Step| step.subject == "sockets" && step.verdict == Verdict::Refuses;
    match (place, step.verdict) {
        // It would come through, to nobody.
        (Place::Outside(_), Verdict::Permits) if answer.steps.iter().any(is_deaf) => None,
        (Place::Outside(names), Verdict::Permits) => {
            let (names, only) = (
                listed(names),
                match mode {
                    Mode::Enforce => "",
                    Mode::Watch => ", and only watches who else comes",
                },
            );
            Some(format!(
                "{from} reaches port {port} of {host}, because {why}; policy permits: {names}{only}."
            ))
        }
        (Place::Inside, Verdict::Refuses) => Some(format!(
            "{from} does not reach port {port} of {host}, though policy permits it, because {why}."
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_can_be_read_aloud() {
        let name = crate::policy::networks::Name::try_from("office".to_owned()).unwrap();
        let outside = Place::Outside(vec![&name]);
        let answer = |verdict, text: &str| Answer::of(vec![Step::new("nftables", verdict, text)]);
        let where_ = ("203.0.113.7".parse().unwrap(), 22, "db-3");
        let rule = "rule 14 (handle 31) of chain input of table inet filter accepts it";
        assert_eq!(
            differs(
                (&outside, Mode::Enforce),
                &answer(Verdict::Permits, rule),
                where_
            )
            .unwrap(),
            "203.0.113.7 reaches port 22 of db-3, because rule 14 (handle 31) of chain input of \
             table inet filter accepts it; policy permits: office."
        );
        let mut deaf = answer(Verdict::Permits, rule);
        let nobody = Step::new("sockets", Verdict::Refuses, "nothing listens there");
        deaf.steps.push(nobody);
        assert_eq!(differs((&outside, Mode::Enforce), &deaf, where_), None);
        let watched = differs(
            (&outside, Mode::Watch),
            &answer(Verdict::Permits, rule),
            where_,
        );
        let watched = watched.unwrap();
        let end = "accepts it; policy permits: office, and only watches who else comes.";
        assert!(watched.ends_with(end), "{watched}");
        assert_eq!(
            differs(
                (&outside, Mode::Enforce),
                &answer(Verdict::Refuses, rule),
                where_
            ),
            None
        );
        assert_eq!(
            differs(
                (&Place::Inside, Mode::Enforce),
                &answer(Verdict::Permits, rule),
                where_
            ),
            None
        );
        assert!(
            differs(
                (&Place::Inside, Mode::Enforce),
                &answer(Verdict::Refuses, rule),
                where_
            )
            .is_some()
        );
        assert_eq!(
            differs(
                (&Place::Open, Mode::Enforce),
                &answer(Verdict::Permits, rule),
                where_
            ),
            None
        );
    }
}
