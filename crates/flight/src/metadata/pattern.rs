//! Search patterns of metadata commands: `%` is any text, `_` any one character, `\` takes the next one literally.

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    Any,
    One,
    Just(char),
}

impl Pattern {
    /// Every text is a pattern; a `\` at the end means itself.
    pub(super) fn parse(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                '%' => Token::Any,
                '_' => Token::One,
                '\\' => Token::Just(characters.next().unwrap_or('\\')),
                other => Token::Just(other),
            };
            if token != Token::Any || tokens.last() != Some(&Token::Any) {
                tokens.push(token);
            }
        }
        Self(tokens)
    }

    /// Whether a name matches; takes time proportional to the product of the lengths at worst.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut token) = (0, 0);
        // Where to go on if what was tried after the last `%` does not match.
        let mut retry: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.0.get(token) {
                Some(Token::Any) => {
                    retry = Some((token + 1, at));
                    token += 1;
                }
                Some(Token::One) => (at, token) = (at + 1, token + 1),
                Some(Token::Just(character)) if *character == name[at] => (at, token) = (at + 1, token + 1),
                _ => match retry {
                    Some((after, from)) => {
                        retry = Some((after, from + 1));
                        (at, token) = (from + 1, after);
                    }
                    None => return false,
                },
            }
        }
        self.0[token..].iter().all(|token| *token == Token::Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Pattern;

    #[test]
    fn matches_as_specified() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("%", "anything", true),
            ("_", "a", true),
            ("_", "ä", true),
            ("_", "", false),
            ("_", "ab", false),
            ("order_lines", "order_lines", true),
            ("order_lines", "orderXlines", true),
            (r"order\_lines", "order_lines", true),
            (r"order\_lines", "orderXlines", false),
            (r"100\%", "100%", true),
            (r"100\%", "100x", false),
            (r"a\\b", r"a\b", true),
            (r"a\", r"a\", true),
            ("a%b%c", "a-b-b-c", true),
            ("a%b%c", "a-b-c-d", false),
            ("%lines", "lineslines", true),
            ("Orders", "orders", false),
            ("%%%%%%%%%%%%%%%%%%%%b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(Pattern::parse(pattern).matches(name), expected, "{pattern:?} on {name:?}");
        }
    }

    /// The definition, as short as it gets.
    fn slow(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['%', rest @ ..], _) => slow(rest, name) || (!name.is_empty() && slow(pattern, &name[1..])),
            (['_', rest @ ..], [_, tail @ ..]) => slow(rest, tail),
            (['\\', just, rest @ ..], [first, tail @ ..]) => just == first && slow(rest, tail),
            ([just, rest @ ..], [first, tail @ ..]) => just == first && slow(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn equals_its_definition(pattern in r"([ab%_]|\\[ab%_\\]){0,8}", name in r"[ab%_\\]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::parse(&pattern).matches(&name), slow(&characters(&pattern), &characters(&name)));
        }
    }
}
