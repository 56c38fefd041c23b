//! Waits for a condition, with a bound, and says what was last seen when it never came true.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, bail};

/// A bound for what takes seconds when the machine is idle.
pub const SOON: Duration = Duration::from_secs(60);

/// How long to rest between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until the answer is `Some`, at most for `bound`; an error counts as "not yet".
pub fn until<T>(
    what: &str,
    bound: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut rested = Duration::ZERO;
    loop {
        let (took, answer) = timed(&mut ask);
        rested += took;
        match answer {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if rested >= bound => bail!("waited {bound:?} in vain: {what}"),
            Err(error) if rested >= bound => {
                return Err(error.context(format!("waited {bound:?} in vain: {what}")));
            }
            _ => rested += rest(),
        }
    }
}

/// Looks until what is seen satisfies `enough`, at most for `bound`; a failure shows the last sight.
pub fn until_seen<T: Debug>(
    what: &str,
    bound: Duration,
    mut look: impl FnMut() -> Result<T>,
    enough: impl Fn(&T) -> bool,
) -> Result<T> {
    let mut last = String::from("nothing yet");
    let found = until(what, bound, || {
        let sight = look()?;
        last = format!("{sight:#?}");
        Ok(enough(&sight).then_some(sight))
    });
    found.map_err(|error| error.context(format!("last seen: {last}")))
}

#[expect(
    clippy::disallowed_types,
    reason = "the bench waits for real programs in real time"
)]
fn timed<T>(ask: impl FnOnce() -> T) -> (Duration, T) {
    let start = std::time::Instant::now();
    let answer = ask();
    (start.elapsed(), answer)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a pause between two looks, never luck"
)]
fn rest() -> Duration {
    std::thread::sleep(PAUSE);
    PAUSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_first_answer() {
        let mut asked = 0;
        let answer = until("three", SOON, || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), 3);
    }

    #[test]
    fn says_what_was_last_seen() {
        let bound = Duration::from_millis(1);
        let error = until_seen("a nine", bound, || Ok(7), |seen| *seen == 9).unwrap_err();
        assert!(format!("{error:#}").contains("last seen: 7"), "{error:#}");
        assert!(format!("{error:#}").contains("a nine"), "{error:#}");
    }
}
