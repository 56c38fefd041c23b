//! `watchward audit`: what people did.

use serde_json::{Value, json};

use crate::args::Audit;
use crate::client::Client;
use crate::row::Row;
use crate::screen::Screen;

pub(crate) async fn run(
    collector: &Client,
    filter: &Audit,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let filter = json!(filter);
    let asked = Row::of(&filter).query(&["who", "kind", "since", "limit"]);
    let answer: Value = collector.fetch("/v1/audit", &asked).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let cells = |deed: Row<'_>| {
        let what = format!("{} {}", deed.text("what"), deed.text("whom"));
        [
            deed.moment("at"),
            deed.cell("who"),
            deed.cell("address"),
            deed.cell("kind"),
            what.trim_end().to_owned(),
            deed.cell("detail"),
        ]
    };
    let rows: Vec<_> = Row::all(&answer).map(cells).collect();
    let heads = ["WHEN (UTC)", "WHO", "FROM", "ABOUT", "WHAT", "DETAIL"];
    Ok(screen.list(heads, &rows, "Nobody did anything like this.")?)
}
