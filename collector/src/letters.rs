//! What carries invitations to people: the page's address, and the emails of the room that tells people.

use std::path::PathBuf;

use askama::Template;
use futures_util::future::BoxFuture;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::secret::Secret;

use crate::alerting::{self, Posted};
use crate::people::{Carried, Letter, Post};
use crate::web;

/// Carries letters as the configuration says.
#[derive(Debug)]
pub(crate) struct Postman {
    pub(crate) alerting: Live<alerting::Config>,
    pub(crate) web: Live<web::Config>,
}

#[derive(Template)]
#[template(path = "invitation.txt")]
struct Invitation<'a> {
    name: &'a str,
    until: String,
    link: String,
}

/// The name of the file that the letter to this account lies in.
fn file(name: &str) -> String {
    format!("000-letter-{name}.eml")
}

impl Post for Postman {
    fn link(&self, token: &Secret) -> String {
        let page = self.web.now().address();
        format!("{page}/welcome?token={}", token.reveal())
    }

    fn place(&self, name: &str) -> Option<PathBuf> {
        alerting::letter_file(&self.alerting.now(), &file(name))
    }

    fn carry(&self, letter: Letter) -> BoxFuture<'_, Carried> {
        Box::pin(async move {
            let invitation = Invitation {
                name: &letter.name,
                until: letter.until.to_string(),
                link: self.link(&letter.token),
            };
            let text = match invitation.render() {
                Ok(text) => text,
                Err(error) => return Carried::Refused(error.to_string()),
            };
            let letter = alerting::Letter {
                to: letter.to,
                subject: "Your account on Watchward".to_owned(),
                text,
                file: file(&letter.name),
            };
            let config = self.alerting.now();
            match alerting::send_letter(&config, &letter, clock::now()).await {
                Posted::Taken(note) => Carried::Taken(note),
                Posted::Later(note) => Carried::Later(note),
                Posted::Refused(note) => Carried::Refused(note),
            }
        })
    }
}
