//! What is said of an input that fails: made as small as it can be, in a form that can be put into a test.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

const TRIES_MAX: usize = 3_000;
const TIME_MAX: Duration = Duration::from_secs(30);

/// A smaller input that fails as well: parts are taken out, large ones first.
pub(crate) fn smallest(input: &[u8], mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let (started, mut tries) = (Instant::now(), 0);
    let mut smallest = input.to_vec();
    let mut size = smallest.len() / 2;
    while size > 0 {
        let (mut at, before) = (0, smallest.len());
        while at < smallest.len() {
            tries += 1;
            if tries > TRIES_MAX || started.elapsed() > TIME_MAX {
                return smallest;
            }
            let mut shorter = smallest.clone();
            shorter.drain(at..(at + size).min(smallest.len()));
            if fails(&shorter) {
                smallest = shorter;
            } else {
                at += size;
            }
        }
        if size > 1 || smallest.len() == before {
            size /= 2;
        }
    }
    smallest
}

/// An input as text and as hexadecimal digits.
pub(crate) fn shown(input: &[u8]) -> String {
    const BYTES_MAX: usize = 4_096;
    let part = &input[..input.len().min(BYTES_MAX)];
    let mut out = format!("{} bytes", input.len());
    if part.len() < input.len() {
        write!(out, ", the first {BYTES_MAX} of them").ok();
    }
    write!(out, "\n  text: \"{}\"\n  hex:  ", part.escape_ascii()).ok();
    for byte in part {
        write!(out, "{byte:02x}").ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{shown, smallest};

    #[test]
    fn everything_that_is_not_needed_goes() {
        let input = b"some words, a X and then a Y, and more";
        let fails = |input: &[u8]| input.contains(&b'X') && input.contains(&b'Y');
        assert_eq!(smallest(input, fails), b"XY");
        assert_eq!(shown(b"a\n"), "2 bytes\n  text: \"a\\n\"\n  hex:  610a");
    }
}
