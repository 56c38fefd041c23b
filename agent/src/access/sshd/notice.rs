//! The many lines that sshd writes besides those about access: known, so that an unknown one stands out.
//!
//! Nothing is taken from them. Their texts are in `notices.txt`.

use std::sync::LazyLock;

use super::Parsed;
use super::cursor::first;
use super::message::{Level, Message};

/// A text with gaps, in which anything may stand.
struct Template {
    level: Level,
    /// sshd puts the name of a function in front.
    function: bool,
    releases: &'static str,
    start: &'static [u8],
    /// What follows each gap; the last one ends the line.
    parts: Vec<&'static [u8]>,
}

/// The templates by the byte they start with.
static TEMPLATES: LazyLock<Vec<Vec<Template>>> = LazyLock::new(|| {
    let mut by_byte: Vec<Vec<Template>> = (0..256).map(|_| Vec::new()).collect();
    for template in include_str!("notices.txt")
        .lines()
        .filter_map(Template::read)
    {
        let byte = template.start.first().copied().unwrap_or_default();
        if let Some(same) = by_byte.get_mut(usize::from(byte)) {
            same.push(template);
        }
    }
    by_byte
});

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let template = find(message, message.body, false).or_else(|| {
        let (function, rest) = first(message.body, b": ")?;
        let name = function
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        find(message, rest, true).filter(|_| name)
    })?;
    Some(Parsed::notice("notice", template.releases))
}

fn find(message: &Message<'_>, text: &[u8], function: bool) -> Option<&'static Template> {
    let same = TEMPLATES.get(usize::from(*text.first()?))?;
    same.iter().find(|template| {
        message.may_be(template.level)
            && template.function == function
            && template.matches(text, message.cut)
    })
}

impl Template {
    /// A line of the table: level, releases and text.
    fn read(line: &'static str) -> Option<Self> {
        let mut columns = line.splitn(3, '\t');
        let (level, releases) = (columns.next()?, columns.next()?);
        let (level, function) = match level.strip_suffix('@') {
            Some(level) => (level, true),
            None => (level, false),
        };
        let level = match level {
            "plain" => Level::Plain,
            "error" => Level::Error,
            "fatal" => Level::Fatal,
            _ => return None,
        };
        let mut parts = columns.next()?.split('%').map(str::as_bytes);
        let start = parts.next()?;
        Some(Self {
            level,
            function,
            releases,
            start,
            parts: parts.collect(),
        })
    }

    fn matches(&self, text: &[u8], cut: bool) -> bool {
        let Some(mut rest) = text.strip_prefix(self.start) else {
            return false;
        };
        let Some((end, middle)) = self.parts.split_last() else {
            return rest.is_empty();
        };
        for part in middle {
            let Some(at) = rest
                .windows(part.len().max(1))
                .position(|window| window == *part)
            else {
                return cut;
            };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        cut || rest.ends_with(end)
    }
}
