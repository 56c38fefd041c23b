//! Having a policy come into force: it is asked before somebody loses access, and followed what hosts
//! make of it.

use anyhow::bail;
use serde_json::Value;

use super::{Asked, follow, outlook};
use crate::args::Bring;
use crate::client::Client;
use crate::row::Row;
use crate::screen::Screen;

/// Brings it.
pub(super) async fn bring(
    collector: &Client,
    mut asked: Asked,
    how: &Bring,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let planned: Value = collector.post("/v1/policy/plan", &asked).await?;
    let all = Row::of(&planned);
    // What is objected to is refused by the collector, which shows the place.
    let is_refused = !all.text("objection").is_empty() && !asked.even_so;
    let losses = losses(all);
    let is_asked = !losses.is_empty() && !is_refused && !how.yes;
    if is_asked {
        ask(&planned, &losses, how, screen)?;
    }
    // Of another policy than this one it might take away what nobody was shown.
    if !how.yes {
        asked.upon = all.number("version");
    }
    let mut answer: Value = collector.post("/v1/policy/apply", &asked).await?;
    let is_same = answer.pointer("/outlook/same") == Some(&Value::Bool(true));
    if !screen.is_for_programs() {
        outlook::applied(&answer, is_asked, screen)?;
    }
    let hosts = match is_same || how.no_wait {
        true => Vec::new(),
        false => follow::follow(collector, screen).await?,
    };
    let refused = follow::refused(&hosts);
    if screen.is_for_programs() {
        if let Value::Object(fields) = &mut answer {
            fields.insert("hosts".to_owned(), hosts.into());
        }
        screen.json(&answer)?;
    }
    match refused {
        0 => Ok(()),
        _ => bail!(
            "{refused} of the hosts did not take their gates: why is above, and on their pages"
        ),
    }
}

/// What would be taken away from people and machines, in words; nothing, if nobody would lose anything.
fn losses(planned: Row<'_>) -> Vec<&'static str> {
    let none = Value::Null;
    let keys = Row::of(planned.value().get("keys").unwrap_or(&none));
    let is_any = |row: Row<'_>, name| {
        let list = row.value().get(name).and_then(Value::as_array);
        list.is_some_and(|list| !list.is_empty())
    };
    [
        (is_any(planned, "losing"), GATES),
        (
            is_any(keys, "ungranted"),
            "somebody would be given no certificate any more",
        ),
        (
            is_any(keys, "closed"),
            "accounts would no longer open to keys or certificates",
        ),
        (is_any(keys, "ended"), "machines' keys would be destroyed"),
    ]
    .into_iter()
    .filter_map(|(is_so, what)| is_so.then_some(what))
    .collect()
}

/// What `--even-so` speaks of.
const GATES: &str = "somebody would be turned away by a gate";

/// Shows who would lose access, and asks whether that is meant.
fn ask(planned: &Value, losses: &[&str], how: &Bring, screen: &mut Screen) -> anyhow::Result<()> {
    let nobody_answers = !screen.can_ask();
    // Who says so has seen what is worse of gates; of keys it says nothing.
    if nobody_answers && how.even_so && losses == [GATES] {
        return Ok(());
    }
    outlook::show(planned, screen)?;
    if nobody_answers {
        let what = losses.join(" and ");
        bail!("{what}, as shown; it comes into force only with --yes");
    }
    screen.line("")?;
    screen.agree("Apply?")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::answered;

    #[test]
    fn whatever_is_taken_away_from_somebody_is_a_loss() {
        let way =
            json!([{"account": "deploy", "by": "certificates of role:operator", "hosts": ["web"]}]);
        for (planned, words) in [
            (json!({"losing": [{"host": "web"}]}), "by a gate"),
            (json!({"keys": {"ungranted": ["zoe"]}}), "no certificate"),
            (json!({"keys": {"closed": way}}), "no longer open"),
            (json!({"keys": {"ended": ["backup"]}}), "be destroyed"),
        ] {
            let losses = losses(Row::of(&planned));
            let is_said = losses.iter().all(|it| it.contains(words));
            assert!(losses.len() == 1 && is_said, "{planned}: {losses:?}");
        }
        let gains = json!({"losing": [], "keys": {
            "opened": way, "closed": [], "begun": ["backup"], "ended": [], "aged": ["peer ada"],
            "ungranted": []}});
        assert!(losses(Row::of(&gains)).is_empty());
    }

    #[tokio::test]
    async fn without_a_word_no_certificate_is_taken_away() {
        for even_so in [false, true] {
            // It answers what is planned alone: whoever went on would get another error.
            let (_socket, collector) = answered(
                "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{\"keys\":{\"ungranted\":[\"zoe\"]}}",
            )
            .await;
            let how = Bring {
                even_so,
                ..Bring::default()
            };
            let mut screen = Screen::new(true);
            let ended = bring(&collector, Asked::default(), &how, &mut screen).await;
            let said = ended.unwrap_err().to_string();
            assert!(said.contains("no certificate any more, as shown"), "{said}");
            assert!(said.ends_with("only with --yes"), "{said}");
        }
    }
}
