//! Codes as a phone shows them.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run::run;

/// The code of a step (RFC 6238), by the program openssl.
pub fn code(secret: &str, step: i64) -> Result<String> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bits = String::new();
    for letter in secret.chars().filter(|letter| *letter != ' ') {
        let value = LETTERS.find(letter).context("not Base32")?;
        bits += &format!("{value:05b}");
    }
    let bytes = bits.as_bytes().chunks_exact(8);
    let hex: Result<String> = bytes
        .map(|byte| {
            Ok(format!(
                "{:02x}",
                u8::from_str_radix(str::from_utf8(byte)?, 2)?
            ))
        })
        .collect();
    let counter = step
        .to_be_bytes()
        .map(|byte| format!("\\{byte:03o}"))
        .concat();
    let script = format!(
        "printf '{counter}' | openssl dgst -sha1 -mac HMAC -macopt hexkey:{}",
        hex?
    );
    let said = run(Command::new("sh").args(["-c", &script]))?;
    let tag = said.trim().rsplit(' ').next().context("no digest")?;
    let at = 2 * usize::from_str_radix(tag.get(39..).context("too short")?, 16)?;
    let four = u32::from_str_radix(tag.get(at..at + 8).context("too short")?, 16)?;
    Ok(format!("{:06}", (four & 0x7fff_ffff) % 1_000_000))
}
