//! Rust text without what is not code: comments, strings and characters become blanks, lines stay where they are.

/// The code of a Rust file; every other character but line ends is a blank.
pub(super) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped_until(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts here ends; `at` itself if none does.
fn skipped_until(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next == Some('/') => position(chars, at, |c| c == '\n'),
        '/' if next == Some('*') => block_comment(chars, at),
        '"' => string(chars, at + 1),
        'r' | 'b' | 'c' if !after_word => prefixed(chars, at),
        '\'' => character(chars, at),
        _ => at,
    }
}

fn position(chars: &[char], from: usize, hit: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|c| hit(*c)).map_or(chars.len(), |offset| from + offset)
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// After the opening quote.
fn string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// `r"`, `r#"`, `b"`, `br#"`, `c"`, `b'`; anything else is code.
fn prefixed(chars: &[char], at: usize) -> usize {
    let letters = position(chars, at, |c| !matches!(c, 'r' | 'b' | 'c'));
    let quote = position(chars, letters, |c| c != '#');
    let hashes = quote - letters;
    match chars.get(quote) {
        Some('"') if letters - at <= 2 && chars[at..letters].contains(&'r') => raw_string(chars, quote + 1, hashes),
        Some('"') if letters - at <= 2 && hashes == 0 => string(chars, quote + 1),
        Some('\'') if letters - at == 1 && chars[at] == 'b' && hashes == 0 => character(chars, quote),
        _ => at,
    }
}

fn raw_string(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes =
        |at: usize| chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (from..chars.len()).find(|at| closes(*at)).map_or(chars.len(), |at| at + 1 + hashes)
}

/// A character literal; a lifetime is code.
fn character(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), Some(_)) => (position(chars, at + 3, |c| c == '\'') + 1).min(chars.len()),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn only_code_stays() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y", 1)"#, "f(      , 1)"),
            ("r#\"a\"b\"# z", "         z"),
            ("br\"a\" + b'\\'' + b\"x\"", "      +       +     "),
            ("'a' '\\n' &'a str", "         &'a str"),
            ("r#type + rb + bar\"s\"", "r#type + rb + bar   "),
            ("\"a\nb\" c", "  \n   c"),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
