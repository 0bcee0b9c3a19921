//! Where one statement ends and the next begins.

/// What a `;` or the end of the text was found in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inside {
    Code,
    /// `'...'` or `"..."`; a doubled quote is one inside.
    Quote(u8),
    LineComment,
    /// `/* ... */`, nested so deep.
    BlockComment(u32),
}

/// The statements of a text: without their `;`, without those that are empty or comments only.
pub(super) fn statements(text: &str) -> Vec<&str> {
    let (mut complete, rest) = cut(text);
    complete.extend(rest.filter(|rest| has_code(rest)));
    complete.into_iter().map(str::trim).filter(|statement| has_code(statement)).collect()
}

/// Whether what was typed so far ends where a statement ends: with a `;` outside of quotes and comments.
pub(super) fn is_complete(text: &str) -> bool {
    let (_, rest) = cut(text);
    rest.is_none_or(|rest| !has_code(rest) && !matches!(state_at_end(rest), Inside::BlockComment(_)))
}

/// The parts that end with `;`, and what follows the last one.
fn cut(text: &str) -> (Vec<&str>, Option<&str>) {
    let mut parts = Vec::new();
    let mut start = 0;
    walk(text, |at, inside| {
        if inside == Inside::Code && text.as_bytes()[at] == b';' {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    });
    let rest = &text[start..];
    (parts, (!rest.trim().is_empty()).then_some(rest))
}

fn has_code(text: &str) -> bool {
    let mut found = false;
    walk(text, |at, inside| {
        found |= matches!(inside, Inside::Code | Inside::Quote(_)) && !text.as_bytes()[at].is_ascii_whitespace();
    });
    found
}

fn state_at_end(text: &str) -> Inside {
    walk(text, |_, _| {})
}

/// Calls back for every byte with what it is in; the signs that open and close a comment belong to it.
fn walk(text: &str, mut visit: impl FnMut(usize, Inside)) -> Inside {
    let bytes = text.as_bytes();
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes[at], bytes.get(at + 1).copied());
        let (next, len) = match (inside, pair) {
            (Inside::Code, (b'-', Some(b'-'))) => (Inside::LineComment, 2),
            (Inside::Code, (b'/', Some(b'*'))) => (Inside::BlockComment(1), 2),
            (Inside::Code, (quote @ (b'\'' | b'"'), _)) => (Inside::Quote(quote), 1),
            (Inside::Quote(quote), (byte, _)) if byte == quote => {
                visit(at, inside);
                inside = Inside::Code;
                at += 1;
                continue;
            }
            (Inside::LineComment, (b'\n', _)) => (Inside::Code, 1),
            (Inside::BlockComment(depth), (b'/', Some(b'*'))) => (Inside::BlockComment(depth + 1), 2),
            (Inside::BlockComment(depth), (b'*', Some(b'/'))) => {
                (0..2).for_each(|step| visit(at + step, inside));
                inside = if depth == 1 { Inside::Code } else { Inside::BlockComment(depth - 1) };
                at += 2;
                continue;
            }
            (same, _) => (same, 1),
        };
        inside = next;
        (0..len).for_each(|step| visit(at + step, inside));
        at += len;
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::{is_complete, statements};

    #[test]
    fn splits_outside_of_quotes_and_comments_only() {
        for (text, expected) in [
            ("SELECT 1", vec!["SELECT 1"]),
            ("SELECT 1;", vec!["SELECT 1"]),
            (" SELECT 1 ;; SELECT 2 ; ", vec!["SELECT 1", "SELECT 2"]),
            ("SELECT ';'; SELECT \"a;b\"", vec!["SELECT ';'", "SELECT \"a;b\""]),
            ("SELECT 'it''s; fine'; x", vec!["SELECT 'it''s; fine'", "x"]),
            ("SELECT 1 -- a; b\n; SELECT 2", vec!["SELECT 1 -- a; b", "SELECT 2"]),
            ("SELECT 1 /* a; /* b; */ c; */; SELECT 2", vec!["SELECT 1 /* a; /* b; */ c; */", "SELECT 2"]),
            ("-- nothing\n; /* nor here */ ;", vec![]),
            ("", vec![]),
            ("SELECT 'ä;ö';SELECT 'é'", vec!["SELECT 'ä;ö'", "SELECT 'é'"]),
            ("SELECT 1 - -1; SELECT 4 / 2", vec!["SELECT 1 - -1", "SELECT 4 / 2"]),
            ("SELECT '/*'; SELECT '--'", vec!["SELECT '/*'", "SELECT '--'"]),
        ] {
            assert_eq!(statements(text), expected, "{text}");
        }
    }

    #[test]
    fn a_person_is_done_after_a_semicolon() {
        for text in ["SELECT 1;", "SELECT 1; -- done", "a; b;", "", "  ", "SELECT 1; /* done */"] {
            assert!(is_complete(text), "{text}");
        }
        for text in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT", "SELECT 1 -- ;", "SELECT 1; /* not done"] {
            assert!(!is_complete(text), "{text}");
        }
    }
}
