//! When a refusal says little of a key, as far as files tell.

use watchward_protocol::keys::{Effect, Holder, PublicKey, Trouble};

use super::*;
use crate::keys::holding::{Holding, opening};

const KEY: &str = "SHA256:eo9cAVHBV5SVR3cbdzfctJLz381pX3dfxMCNLqSSUJg";

fn line(number: u32, fingerprint: &str, options: &str) -> Opening {
    let mut one = opening(Means::AuthorizedKey, Path::new("/root/keys"), Some(number));
    one.key = Some(PublicKey {
        kind: "ssh-ed25519".to_owned(),
        bits: 256,
        fingerprint: fingerprint.to_owned(),
        wire: Vec::new(),
    });
    one.options = options.into();
    one
}

fn keys(openings: impl IntoIterator<Item = Opening>) -> Keys {
    let mut holding = Holding::default();
    openings.into_iter().for_each(|it| holding.add(it));
    holding.told(Holder::Account("root".into()), Timestamp::default())
}

fn of(keys: &Keys, is_certificate: bool) -> Option<Stands> {
    let asked = Asked {
        number: 0,
        fingerprint: KEY.to_owned(),
        is_certificate,
    };
    stands(keys, &asked, Timestamp::default())
}

/// Why a refusal would say little.
fn doubt(keys: &Keys) -> String {
    let stands = of(keys, false).expect("something is to be known");
    assert!(stands.conditional, "{stands:?}");
    stands.text
}

#[test]
fn a_key_below_more_lines_than_are_looked_at_is_not_called_gone() {
    let many = (0..2000).map(|at| line(at, &format!("SHA256:{at:043}"), ""));
    let hidden = line(2000, KEY, "from=\"10.0.0.0/8\"");
    let keys = keys(many.chain([hidden]));
    assert_eq!(keys.omitted, 1);
    assert_eq!(doubt(&keys), "not all its keys were looked at");
    let trouble = Trouble {
        effect: Effect::Unread,
        file: None,
        text: String::new(),
    };
    let unread = Keys {
        omitted: 0,
        openings: Vec::new(),
        troubles: vec![trouble],
        ..keys
    };
    assert!(hides(&unread));
    assert_eq!(doubt(&unread), "not all its keys were looked at");
}

#[test]
fn options_that_were_cut_are_not_taken_for_the_whole() {
    assert_eq!(of(&keys([]), false), None);
    let open = of(&keys([line(1, KEY, "restrict")]), false).unwrap();
    assert!(!open.conditional);
    let command = format!("command=\"{}\"", "x".repeat(1013));
    let long = format!("{command},from=\"10.0.0.0/8\"");
    let cut = keys([line(1, KEY, "restrict"), line(2, KEY, &long)]);
    assert!(doubt(&cut).contains("line 2, with more options than"));
}

#[test]
fn a_program_may_know_more_than_files() {
    let program = |means| keys([opening(means, Path::new("/bin/keys"), None)]);
    assert!(doubt(&program(Means::Command)).contains("a program decides"));
    let names = program(Means::PrincipalsCommand);
    assert_eq!(of(&names, false), None, "it knows of certificates only");
    assert!(of(&names, true).unwrap().conditional);
}
