//! Spans and dates as the details of checks say them.

use std::time::Duration;

use watchward_protocol::time::Timestamp;

/// Roughly how long: `6 days`, `5 hours`, `1 minute`.
pub(super) fn roughly(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "day"),
        7200.. => (seconds / 3600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// The day of a moment in UTC: `2026-11-28`.
pub(super) fn day(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate(text.find('T').unwrap_or(text.len()));
    text
}

/// The start of what a stranger wrote, for a detail. Whoever shows a detail escapes it.
pub(super) fn shortened(text: &[u8], characters: usize) -> String {
    let text = String::from_utf8_lossy(text);
    if text.chars().nth(characters).is_none() {
        return text.into_owned();
    }
    let start = text.chars().take(characters.saturating_sub(1));
    start.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_roughly() {
        for (seconds, text) in [
            (1, "1 second"),
            (119, "1 minute"),
            (7199, "119 minutes"),
            (86_400, "24 hours"),
            (6 * 86_400 + 5, "6 days"),
        ] {
            assert_eq!(roughly(Duration::from_secs(seconds)), text);
        }
    }
}
