//! The loop that hears whoever asks, and the kernel.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::answer::Answer;
use crate::clients::{Client, MOST_CLIENTS, greet, open, ready};
use crate::clock;
use crate::hand::Hand;
use crate::service::{notify, say, watchdog};

/// How often it is looked around where nothing is to do, and whether the guard file is another.
const ROUND: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_secs(3);

/// Serves whoever may ask, for ever.
pub(crate) fn serve(mut hand: Hand, socket: &Path, agent: Option<u32>) -> io::Result<()> {
    let listener = open(socket)?;
    let (beat, mut clients) = (watchdog(), Vec::<Client>::new());
    let mut round = clock::now();
    notify("READY=1");
    say(format_args!("listens at {}", socket.display()));
    loop {
        let now = clock::now();
        if now >= round {
            hand.look_around();
            round = now + ROUND;
        }
        hand.look_at_guard();
        hand.end_trial();
        let changes: Vec<_> = hand.changes.drain(..).collect();
        for change in changes {
            let answer = Answer::Changed(change);
            clients.retain_mut(|client| client.tell(&answer));
        }
        if beat.is_some() {
            notify("WATCHDOG=1");
        }
        let until = hand.due().map_or(round, |due| due.min(round));
        let mut patience = until.saturating_sub(clock::now()).min(GLANCE);
        patience = beat.map_or(patience, |beat| patience.min(beat));
        if hand.to_cut {
            patience = Duration::ZERO;
        }
        let ready = wait(&hand, &listener, &clients, patience)?;
        let [came, noticed, routed, asked @ ..] = &ready[..] else {
            continue;
        };
        if *noticed {
            hand.meddling();
        }
        if *routed {
            hand.look_at_addresses();
        }
        let mut asked = asked.iter();
        clients.retain_mut(|client| {
            asked.next() != Some(&true) || client.serve(|request| hand.answer(request))
        });
        if *came {
            let client = greet(&listener, agent);
            clients.extend(client.filter(|_| clients.len() < MOST_CLIENTS));
        }
        // When nobody waits for an answer.
        if hand.to_cut && !ready.contains(&true) {
            hand.cut_banned();
        }
    }
}

/// Which of them all have something: the listener, the notices, the routes, the clients.
fn wait(
    hand: &Hand,
    listener: &OwnedFd,
    clients: &[Client],
    patience: Duration,
) -> io::Result<Vec<bool>> {
    let mut all = vec![
        PollFd::new(listener, PollFlags::IN),
        PollFd::new(hand.kernel.notices(), PollFlags::IN),
        PollFd::new(hand.protected.routes(), PollFlags::IN),
    ];
    all.extend(clients.iter().map(Client::wish));
    ready(all, patience)
}
