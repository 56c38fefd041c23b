//! Six digits that change every half a minute (RFC 6238: SHA-1, 30 s, six digits). Pure.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use url::form_urlencoded::byte_serialize;
use watchward_protocol::time::Timestamp;
use zeroize::Zeroizing;

/// How long a code counts, in seconds: a step.
const STEP: i64 = 30;

/// How many bytes a secret has: as many as the hash (RFC 4226, section 4).
pub(super) const SECRET: usize = 20;

/// A secret that nobody has yet.
pub(super) fn secret() -> Zeroizing<[u8; SECRET]> {
    Zeroizing::new(rand::random())
}

/// The step whose code this is, if it counts now and none from this step on has been used. A phone's
/// clock may be a step behind or ahead.
pub(super) fn step(secret: &[u8], typed: &str, last: i64, now: Timestamp) -> Option<i64> {
    let typed: Vec<u8> = typed.bytes().filter(|byte| *byte != b' ').collect();
    if typed.len() != 6 || !typed.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let here = now.as_micros().div_euclid(1_000_000).div_euclid(STEP);
    let fits = |step: &i64| {
        let code = format!("{:06}", code(secret, *step));
        verify_slices_are_equal(code.as_bytes(), &typed).is_ok()
    };
    (here - 1..=here + 1).find(|step| *step > last && fits(step))
}

/// The code of a step, below a million.
pub(super) fn code(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag.last().map_or(0, |last| last & 0x0f));
    let four = tag.iter().skip(at).take(4);
    let number = four.fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    (number & 0x7fff_ffff) % 1_000_000
}

/// A secret as people type it (RFC 4648, Base32), in groups of four.
pub(super) fn words(secret: &[u8]) -> Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = Zeroizing::new(String::with_capacity(40));
    for (place, five) in secret.chunks(5).enumerate() {
        let bits = five
            .iter()
            .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        for letter in 0..8 {
            if letter == 4 || (letter == 0 && place > 0) {
                text.push(' ');
            }
            let index = usize::try_from((bits >> (35 - 5 * letter)) & 31).unwrap_or(0);
            text.push(LETTERS.get(index).copied().map_or('A', char::from));
        }
    }
    text
}

/// What a QR code says to an app.
pub(super) fn uri(secret: &[u8], name: &str) -> Zeroizing<String> {
    let name: String = byte_serialize(name.as_bytes()).collect();
    let secret = words(secret).replace(' ', "");
    Zeroizing::new(format!(
        "otpauth://totp/Watchward:{name}?secret={secret}&issuer=Watchward"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B; the last six of its eight digits.
    const VECTORS: [(i64, u32); 6] = [
        (59, 287_082),
        (1_111_111_109, 81_804),
        (1_111_111_111, 50_471),
        (1_234_567_890, 5_924),
        (2_000_000_000, 279_037),
        (20_000_000_000, 353_130),
    ];
    const KEY: &[u8] = b"12345678901234567890";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        for (second, expected) in VECTORS {
            assert_eq!(code(KEY, second / STEP), expected, "{second}");
            let typed = format!("{expected:06}");
            assert_eq!(step(KEY, &typed, 0, at(second)), Some(second / STEP));
        }
    }

    #[test]
    fn a_code_counts_a_step_before_and_after_and_each_step_once() {
        let typed = format!("{:06}", code(KEY, 100));
        for (second, last, expected) in [
            (100 * 30, 0, Some(100)),
            (99 * 30, 0, Some(100)),
            (101 * 30 + 29, 0, Some(100)),
            (102 * 30, 0, None),
            (98 * 30 + 29, 0, None),
            (100 * 30, 100, None),
            (100 * 30, 99, Some(100)),
            (99 * 30, 101, None),
        ] {
            assert_eq!(
                step(KEY, &typed, last, at(second)),
                expected,
                "{second} {last}"
            );
        }
    }

    #[test]
    fn only_six_digits_are_a_code() {
        let typed = format!("{:06}", code(KEY, 100));
        let now = at(100 * 30);
        let spaced = format!(" {} {} ", &typed[..3], &typed[3..]);
        assert_eq!(step(KEY, &spaced, 0, now), Some(100));
        let arabic: String = typed
            .chars()
            .map(|it| char::from_u32(0x0660 + it.to_digit(10).unwrap()).unwrap())
            .collect();
        for wrong in [
            arabic,
            format!("0{typed}"),
            format!("+{}", &typed[1..]),
            String::new(),
        ] {
            assert_eq!(step(KEY, &wrong, 0, now), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_app_is_told_what_it_needs() {
        assert_eq!(*words(KEY), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert_eq!(
            *uri(KEY, "ada@example.org"),
            "otpauth://totp/Watchward:ada%40example.org\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Watchward"
        );
    }
}
