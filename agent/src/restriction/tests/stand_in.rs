//! A stand-in for the enforcer, which speaks its language over a real socket.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use ipnet::IpNet;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{accept, bind, listen, recv, send, socket_with};
use tokio::sync::mpsc;
use watchward_enforcer as said;
use watchward_enforcer::{Answer, Change, Framed, Limits, Request, Trial, Verdict, Veto};

/// An enforcer that holds what it is asked to hold, but for these addresses.
pub(super) struct StandIn {
    pub(super) holding: said::Holding,
    gates: Option<said::Gates>,
    pub(super) bans: BTreeSet<IpNet>,
    pub(super) never: Vec<IpNet>,
    /// How many it does not let anybody vouch for.
    pub(super) refuses: usize,
    /// What it says after its first answer.
    pub(super) unasked: Vec<Change>,
    asked: mpsc::UnboundedSender<Request>,
}

impl StandIn {
    pub(super) fn new(asked: mpsc::UnboundedSender<Request>) -> Self {
        let limits = Limits {
            longest_ban: 86_400,
            longest_trial: 600,
        };
        let holding = said::Holding {
            version: "1.2.3".to_owned(),
            whole: true,
            limits,
            ..said::Holding::default()
        };
        Self {
            holding,
            gates: None,
            bans: BTreeSet::new(),
            never: Vec::new(),
            refuses: 0,
            unasked: Vec::new(),
            asked,
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        match request {
            Request::Hello => Answer::Holding(self.holding.clone()),
            Request::Ban(bans) => {
                let verdicts = bans.iter().map(|ban| {
                    if self.never.iter().any(|never| ban.net.contains(never)) {
                        return Verdict::Vetoed(Veto::Guard);
                    }
                    self.bans.insert(ban.net);
                    Verdict::Done
                });
                Answer::Verdicts(verdicts.collect())
            }
            Request::Unban(nets) => {
                self.bans.retain(|net| !nets.contains(net));
                Answer::Done
            }
            Request::Held { after } => {
                let rest = self.bans.iter().filter(|net| Some(**net) > *after);
                let ban = |net: &IpNet| said::request::Ban {
                    net: *net,
                    seconds: 600,
                    own: false,
                };
                Answer::Held(rest.take(2).map(ban).collect())
            }
            Request::Try { gates, seconds } => {
                self.holding.trial = Some(Trial {
                    generation: gates.generation,
                    digest: gates.digest(),
                    seconds: *seconds,
                });
                self.gates = Some(gates.clone());
                Answer::Done
            }
            Request::Confirm { .. } => {
                let trial = self.holding.trial.take().unwrap();
                (self.holding.generation, self.holding.digest) = (trial.generation, trial.digest);
                Answer::Done
            }
            Request::Back => {
                self.holding.trial = None;
                Answer::Done
            }
            Request::Vouch { .. } if self.refuses > 0 => {
                self.refuses -= 1;
                Answer::Refused("not now".to_owned())
            }
            Request::Turned => Answer::Turned(Vec::new()),
            Request::Vouch { .. } | Request::Ruleset | Request::Peers | Request::Expel(_) => {
                Answer::Done
            }
        }
    }

    /// Serves one connection until whoever is there goes.
    pub(super) fn serve(mut self, socket: &OwnedFd) {
        let line = accept(socket).unwrap();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let (length, _) = recv(&line, &mut buffer[..], RecvFlags::empty()).unwrap();
            if length == 0 {
                return;
            }
            let request = Request::decode(&buffer[..length]).unwrap();
            let answer = self.answer(&request).encode().unwrap();
            // The test may be over.
            let _ = self.asked.send(request.clone());
            send(&line, &answer, SendFlags::NOSIGNAL).unwrap();
            for change in self.unasked.drain(..) {
                let change = Answer::Changed(change).encode().unwrap();
                send(&line, &change, SendFlags::NOSIGNAL).unwrap();
            }
        }
    }
}

/// A socket that it can be reached at.
pub(super) fn listens(path: &Path) -> OwnedFd {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&socket, 4).unwrap();
    socket
}
