//! The way of a connection to a socket: through nftables, to who listens.

use std::net::IpAddr;

use watchward_protocol::reach::{Question, Step, Verdict};
use watchward_protocol::restriction::Transport;

use super::host;
use super::sockets;
use super::walk::{End, Packet, Walked, walk};

const SUBJECT: &str = "nftables";
/// How many of the host's addresses are looked at.
const MOST: usize = 16;

/// What becomes of a connection on its way, and who listens.
pub(super) async fn steps(question: &Question) -> Vec<Step> {
    let (transport, port) = (question.transport, question.port.unwrap_or(0));
    match looked(question).await {
        Ok((packet, walked)) => {
            let mut steps = words(&walked, &packet);
            if let End::Arrives(port) = walked.end {
                steps.push(sockets::step(transport, packet.destination, port));
            }
            steps
        }
        Err(why) => {
            let mut steps = vec![unknown(format!("{why:#}"))];
            if let Ok((_, own)) = host::route(question.address).await {
                steps.push(sockets::step(transport, own, port));
            }
            steps
        }
    }
}

fn unknown(text: String) -> Step {
    Step::new(SUBJECT, Verdict::Unknown, text)
}

/// Of all addresses of the host the one that it would answer with, unless only another lets in.
async fn looked(question: &Question) -> anyhow::Result<(Packet, Walked)> {
    let (interface, usual) = host::route(question.address).await?;
    let own = host::addresses().await?;
    let ruleset = host::ruleset(question.address).await?;
    let moment = host::moment();
    let same = |it: &&IpAddr| it.is_ipv4() == usual.is_ipv4() && !it.is_loopback();
    let others = own.iter().filter(same).copied().filter(|it| *it != usual);
    let mut best: Option<(Packet, Walked)> = None;
    for destination in std::iter::once(usual).chain(others).take(MOST) {
        let packet = Packet {
            source: question.address,
            destination,
            transport: question.transport,
            port: question.port.unwrap_or(0),
            interface: Some(interface.clone()),
            own: own.clone(),
            moment,
        };
        let walked = walk(&ruleset, &packet);
        let better = |(_, before): &(Packet, Walked)| rank(&walked.end) < rank(&before.end);
        if best.as_ref().is_none_or(better) {
            best = Some((packet, walked));
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("the host has no address"))
}

fn rank(end: &End) -> u8 {
    match end {
        End::Arrives(_) => 0,
        End::Unknown(_) | End::Elsewhere(_) => 1,
        End::Refused => 2,
    }
}

fn words(walked: &Walked, packet: &Packet) -> Vec<Step> {
    let passed = walked.passed.iter().map(ToString::to_string);
    let passed: Vec<_> = passed.collect();
    let asked = packet.port;
    let first = match &walked.end {
        End::Arrives(port) => {
            // Without this one it would have been turned away; else what a rule of its own lets in
            // says more than what a policy does.
            let saved = walked.passed.iter().find(|it| it.saves);
            let by_rule = saved.or_else(|| walked.passed.iter().rfind(|it| it.by.is_some()));
            let mut text = match (by_rule, walked.passed.last()) {
                (Some(rule), _) => rule.to_string(),
                (None, Some(policy)) => format!("no rule turns it away: {policy}"),
                (None, None) => "nothing looks at it".to_owned(),
            };
            if *port != asked {
                text.push_str(&format!("; it arrives at port {port}"));
            }
            Step::new(SUBJECT, Verdict::Permits, text)
        }
        End::Refused => {
            let text = passed.last().cloned().unwrap_or_default();
            Step::new(SUBJECT, Verdict::Refuses, text)
        }
        End::Elsewhere(to) => unknown(format!("it is sent on to {to}, which is not this host")),
        End::Unknown(why) => unknown(why.clone()),
    };
    let mut steps = vec![first];
    let notes = walked.notes.iter().take(8);
    steps.extend(notes.map(|note| Step::new(SUBJECT, Verdict::Notes, note.clone())));
    if packet.transport == Transport::Udp {
        let text = "by UDP an address can be anybody's";
        steps.push(Step::new(SUBJECT, Verdict::Notes, text));
    }
    steps
}
