//! Changes to bytes and to text.

use crate::message::{NUMBERS, change_message};
use crate::random::Random;

/// What an input is made of, which decides how it is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Bytes,
    Text,
    Message,
}

/// Makes inputs from valid ones.
#[derive(Debug)]
pub(crate) struct Mutator {
    pub(crate) kind: Kind,
    pub(crate) random: Random,
    pub(crate) corpus: Vec<Vec<u8>>,
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) bytes_max: usize,
}

impl Mutator {
    /// The next input: one of the corpus with one change or several.
    pub(crate) fn input(&mut self) -> Vec<u8> {
        let mut input = self.another();
        for _ in 0..=self.random.few(8) {
            self.change(&mut input);
        }
        input.truncate(self.bytes_max);
        if self.kind == Kind::Text { String::from_utf8_lossy(&input).into_owned().into_bytes() } else { input }
    }

    fn another(&mut self) -> Vec<u8> {
        self.random.pick(&self.corpus).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let general = self.random.once_in(match self.kind {
            Kind::Bytes => 1,
            Kind::Text | Kind::Message => 4,
        });
        match self.random.below(8) {
            0 => self.splice(input),
            1 if !self.words.is_empty() => self.insert_word(input),
            _ if general => change_bytes(input, &mut self.random, self.bytes_max),
            _ if self.kind == Kind::Message => {
                if !change_message(input, &mut self.random, self.bytes_max) {
                    change_bytes(input, &mut self.random, self.bytes_max);
                }
            }
            _ => {
                let other = self.another();
                change_text(input, &other, &mut self.random, self.bytes_max);
            }
        }
    }

    /// The beginning of one with the end of another.
    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.another();
        let from = self.random.below(other.len() + 1);
        input.truncate(self.random.below(input.len() + 1));
        input.extend(&other[from..]);
    }

    fn insert_word(&mut self, input: &mut Vec<u8>) {
        let word = self.random.pick(&self.words).cloned().unwrap_or_default();
        let at = self.random.below(input.len() + 1);
        let replaced = if self.random.once_in(2) { word.len().min(input.len() - at) } else { 0 };
        input.splice(at..at + replaced, word);
    }
}

/// A range of bytes, of which short ones are likely.
fn range(length: usize, random: &mut Random) -> std::ops::Range<usize> {
    let start = random.below(length);
    start..(start + 1 + random.few(length)).min(length)
}

/// One change that knows nothing of what the bytes mean.
pub(crate) fn change_bytes(input: &mut Vec<u8>, random: &mut Random, bytes_max: usize) {
    if input.is_empty() {
        input.push(u8::try_from(random.below(256)).unwrap_or_default());
        return;
    }
    let at = random.below(input.len());
    match random.below(10) {
        0 | 1 => input[at] ^= 1 << random.below(8),
        2 => input[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff, b'0', b'"', b'/', b'.']).unwrap_or(&0),
        3 => input[at] = u8::try_from(random.below(256)).unwrap_or_default(),
        4 => drop(input.drain(range(input.len(), random))),
        5 => input.truncate(at),
        6 => {
            let range = range(input.len(), random);
            let copy = input[range.clone()].to_vec();
            let copies = if random.once_in(8) { 1 + random.few(1_000) } else { 1 };
            let copies = copies.min(bytes_max / copy.len().max(1));
            input.splice(range.end..range.end, copy.repeat(copies));
        }
        7 => {
            let (from, to) = (range(input.len(), random), random.below(input.len()));
            let copy = input[from].to_vec();
            let end = (to + copy.len()).min(input.len());
            input[to..end].copy_from_slice(&copy[..end - to]);
        }
        // Lengths and offsets, of either order of bytes.
        _ => {
            let number = NUMBERS[random.below(NUMBERS.len())];
            let little =
                if random.once_in(2) { number } else { number.wrapping_add(random.next() % 16).wrapping_sub(8) };
            let width = (1 << random.below(4)).min(input.len() - at);
            let bytes = if random.once_in(3) {
                little.to_be_bytes()[8 - width..].to_vec()
            } else {
                little.to_le_bytes()[..width].to_vec()
            };
            input[at..at + width].copy_from_slice(&bytes);
        }
    }
}

/// One change to words, signs or lines.
fn change_text(input: &mut Vec<u8>, other: &[u8], random: &mut Random, bytes_max: usize) {
    let tokens = tokens(input);
    if tokens.is_empty() {
        return input.extend(other);
    }
    let at = tokens[random.below(tokens.len())].clone();
    let token = input[at.clone()].to_vec();
    let fits = |size: usize| bytes_max / size.max(1);
    match random.below(11) {
        0 => drop(input.drain(at)),
        1 => drop(input.splice(at.end..at.end, token)),
        2 => {
            let second = tokens[random.below(tokens.len())].clone();
            let copy = input[second].to_vec();
            input.splice(at, copy);
        }
        3 | 4 => {
            let others = self::tokens(other);
            let foreign = random.pick(&others).map(|range| other[range.clone()].to_vec()).unwrap_or_default();
            input.splice(at, foreign);
        }
        5 => {
            let copies = random.few(5_000).min(fits(token.len()));
            input.splice(at, token.repeat(copies));
        }
        // Brackets as deep as fits.
        6 => {
            let pairs = [
                ("(", ")"),
                ("[", "]"),
                ("{", "}"),
                ("((", "))"),
                ("\"", "\""),
                ("'", "'"),
                ("/*", "*/"),
                ("NOT ", ""),
                ("- ", ""),
            ];
            let (open, close) = pairs[random.below(pairs.len())];
            let depth = (1 + random.few(3_000)).min(fits(open.len() + close.len()));
            let nested = [open.repeat(depth).as_bytes(), &token, close.repeat(depth).as_bytes()].concat();
            input.splice(at, nested);
        }
        7 => {
            let number = NUMBERS[random.below(NUMBERS.len())];
            let text = match random.below(4) {
                0 => format!("-{number}"),
                1 => format!("{number}.5e{}", random.below(400)),
                _ => number.to_string(),
            };
            input.splice(at, text.into_bytes());
        }
        8 => {
            let odd = [
                "\0", "\u{1}", "\u{feff}", "\u{202e}", "é", "🦀", "\r\n", "\t", "%2e%2e", "..", "\\", "\u{ffff}",
                "e\u{301}",
            ];
            input.splice(at.start..at.start, odd[random.below(odd.len())].bytes());
        }
        _ => change_lines(input, random),
    }
}

fn change_lines(input: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<Vec<u8>> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (at, to) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(5) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(to, lines[at].clone()),
        2 => lines.swap(at, to),
        3 => drop(lines[at].splice(0..0, *b"  ")),
        _ => {
            let blank = lines[at].first() == Some(&b' ');
            lines[at].drain(..usize::from(blank));
        }
    }
    *input = lines.concat();
}

/// Words, blanks, and every sign on its own.
fn tokens(input: &[u8]) -> Vec<std::ops::Range<usize>> {
    let class = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | 0x80.. => 1,
        b' ' | b'\t' | b'\n' | b'\r' => 2,
        _ => 0,
    };
    let mut tokens: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, byte) in input.iter().enumerate() {
        match tokens.last_mut() {
            Some(last) if class(*byte) != 0 && class(*byte) == class(input[last.start]) => last.end = at + 1,
            _ => tokens.push(at..at + 1),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::{Kind, Mutator, tokens};
    use crate::random::Random;

    fn mutator(kind: Kind) -> Mutator {
        let corpus = vec![b"SELECT a FROM t\nWHERE (b = 1)".to_vec(), b"\x0a\x03abc".to_vec()];
        Mutator { kind, random: Random::new(7), corpus, words: vec![b"NULL".to_vec()], bytes_max: 10_000 }
    }

    #[test]
    fn inputs_differ_stay_in_bounds_and_repeat() {
        for kind in [Kind::Bytes, Kind::Text, Kind::Message] {
            let inputs = || {
                let mut mutator = mutator(kind);
                (0..3_000).map(|_| mutator.input()).collect::<Vec<_>>()
            };
            let first = inputs();
            assert_eq!(first, inputs());
            let different: std::collections::HashSet<_> = first.iter().collect();
            assert!(different.len() > 2_000, "{kind:?}: {}", different.len());
            // Bytes that are no text take up to three times as many as text.
            assert!(first.iter().all(|input| input.len() <= 30_000), "{kind:?}");
            assert!(kind != Kind::Text || first.iter().all(|input| std::str::from_utf8(input).is_ok()));
        }
    }

    #[test]
    fn tokens_are_words_blanks_and_signs() {
        let text = b"a1 <=  b.c";
        let found: Vec<_> =
            tokens(text).into_iter().map(|range| String::from_utf8_lossy(&text[range]).into_owned()).collect();
        assert_eq!(found, ["a1", " ", "<", "=", "  ", "b", ".", "c"]);
    }
}
