//! From text to tokens: limits, parameters and time travel, before anything is parsed.
//!
//! `t FOR VERSION AS OF 3` parses in no dialect, and `t VERSION AS OF 3` parses in some and is then ignored by the
//! planner. So the clause is taken out of the tokens, and the table's name carries the pin from there on.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::twins::TWIN_MARK;
use crate::{Error, Options};

/// Stands between a table's name and its pin. No statement may contain it.
pub(crate) const PIN_MARK: char = '\u{1}';

/// The tokens of one statement, how many parameters it has, and how many names carry a pin.
pub(crate) struct Tokens {
    pub(crate) tokens: Vec<TokenWithSpan>,
    pub(crate) parameters: usize,
    pub(crate) pins: usize,
}

/// Reads the text, within limits.
pub(crate) fn tokens(sql: &str, options: &Options) -> Result<Tokens, Error> {
    if sql.len() > options.sql_bytes_max {
        return Err(limit(format!("the statement is longer than {} bytes", options.sql_bytes_max)));
    }
    if sql.contains([PIN_MARK, TWIN_MARK]) {
        return Err(Error::invalid("the statement contains a control character"));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| Error::invalid(format!("the statement cannot be read: {error}")))?;
    if tokens.len() > options.sql_tokens_max {
        return Err(limit(format!("the statement has more than {} words and signs", options.sql_tokens_max)));
    }
    // Chains of operators nest on the left, one level for each: what copies and frees such a tree needs as much stack.
    if tokens.iter().filter(|token| deepens(&token.token)).count() > options.sql_operators_max {
        let text = format!("the statement has more than {} operators", options.sql_operators_max);
        return Err(Error::Limited {
            text: meshgate_model::PublicText::new(text).hint("write `IN (...)` or join VALUES instead of long chains"),
        });
    }
    let (tokens, pins) = pin_tables(tokens)?;
    let (tokens, parameters) = number_parameters(tokens)?;
    Ok(Tokens { tokens, parameters, pins })
}

/// Whether a token may put what stands before it one level deeper.
fn deepens(token: &Token) -> bool {
    const WORDS: [&str; 13] =
        ["AND", "OR", "XOR", "UNION", "INTERSECT", "EXCEPT", "MINUS", "JOIN", "IS", "LIKE", "IN", "BETWEEN", "COLLATE"];
    match token {
        Token::Word(_) => WORDS.iter().any(|word| is_word(token, word)),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::RBrace
        | Token::Period
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    }
}

fn limit(text: String) -> Error {
    Error::Limited { text: meshgate_model::PublicText::new(text) }
}

/// Moves `[FOR] (VERSION | TIMESTAMP) AS OF <literal>` into the name before it.
fn pin_tables(tokens: Vec<TokenWithSpan>) -> Result<(Vec<TokenWithSpan>, usize), Error> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let (mut at, mut pins) = (0, 0);
    while at < tokens.len() {
        match clause(&tokens, at) {
            Some((literal, version)) => {
                pin(&mut out, tokens.get(literal).map(|token| &token.token), version)?;
                pins += 1;
                at = literal + 1;
            }
            None => {
                out.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    Ok((out, pins))
}

/// Whether a clause starts here: where its literal stands (perhaps behind the last token), and whether it is a version.
fn clause(tokens: &[TokenWithSpan], start: usize) -> Option<(usize, bool)> {
    let word = |at: usize, words: &[&str]| {
        let token = tokens.get(at)?;
        words.iter().any(|word| is_word(&token.token, word)).then_some(at)
    };
    let after = |at: usize| {
        let blanks = tokens[at + 1..].iter().take_while(|token| matches!(token.token, Token::Whitespace(_)));
        at + 1 + blanks.count()
    };
    let kinds = ["VERSION", "TIMESTAMP", "SYSTEM_VERSION", "SYSTEM_TIME"];
    let kind = match word(start, &["FOR"]) {
        Some(at) => word(after(at), &kinds)?,
        None => word(start, &kinds)?,
    };
    let of = word(after(word(after(kind), &["AS"])?), &["OF"])?;
    let literal = after(of);
    // `AS OF TIMESTAMP '...'`
    let literal = word(literal, &["TIMESTAMP"]).map_or(literal, after);
    Some((literal, word(kind, &["VERSION", "SYSTEM_VERSION"]).is_some()))
}

/// Writes the pin into the name that the tokens end with.
fn pin(out: &mut [TokenWithSpan], literal: Option<&Token>, version: bool) -> Result<(), Error> {
    let value = match literal {
        Some(Token::Number(text, _)) if version => text.clone(),
        Some(Token::SingleQuotedString(text)) => text.clone(),
        Some(other) => {
            let wanted = if version { "a number or a quoted name" } else { "a quoted timestamp" };
            return Err(Error::invalid(format!("AS OF needs {wanted}, not `{other}`")));
        }
        None => return Err(Error::invalid("AS OF needs a version or a timestamp")),
    };
    let name = out.iter_mut().rev().find(|token| !matches!(token.token, Token::Whitespace(_)));
    let Some(TokenWithSpan { token: Token::Word(word), .. }) = name else {
        return Err(Error::invalid("AS OF must follow a table's name"));
    };
    let kind = if version { 'V' } else { 'T' };
    let plain = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
    *word = Word {
        value: format!("{plain}{PIN_MARK}{kind}{value}"),
        quote_style: Some('"'),
        keyword: datafusion::sql::sqlparser::keywords::Keyword::NoKeyword,
    };
    Ok(())
}

/// `?` and `$name` become `$1..$n` by position; `$n` stays.
fn number_parameters(mut tokens: Vec<TokenWithSpan>) -> Result<(Vec<TokenWithSpan>, usize), Error> {
    let mut marks = 0;
    let mut highest = 0;
    let mut names: Vec<String> = Vec::new();
    for token in &mut tokens {
        let Token::Placeholder(text) = &mut token.token else { continue };
        if text == "?" {
            marks += 1;
            *text = format!("${marks}");
        } else if let Ok(number) = text[1..].parse::<usize>() {
            if number == 0 || number > 10_000 {
                return Err(Error::invalid(format!("`{text}` is no parameter: they are `$1` to `$10000`")));
            }
            highest = highest.max(number);
        } else {
            let position = names.iter().position(|known| known == text).unwrap_or_else(|| {
                names.push(text.clone());
                names.len() - 1
            });
            *text = format!("${}", position + 1);
        }
    }
    match (marks, highest, names.len()) {
        (count, 0, 0) | (0, count, 0) | (0, 0, count) => Ok((tokens, count)),
        _ => Err(Error::invalid("a statement takes parameters as `?`, as `$1` or as `$name`, not mixed")),
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::{PIN_MARK, tokens};
    use crate::Options;

    fn rewritten(sql: &str) -> Result<(String, usize), String> {
        let tokens = tokens(sql, &Options::default()).map_err(|error| error.to_string())?;
        let text = tokens.tokens.iter().map(|token| token.token.to_string()).collect::<String>();
        Ok((text.replace(PIN_MARK, "@"), tokens.parameters))
    }

    #[test]
    fn pins_move_into_names() {
        for (sql, expected) in [
            ("SELECT * FROM a.b.T FOR VERSION AS OF 3 x", "SELECT * FROM a.b.\"t@V3\"  x"),
            ("SELECT * FROM t VERSION AS OF 'tag'", "SELECT * FROM \"t@Vtag\" "),
            ("SELECT * FROM \"T\" FOR TIMESTAMP AS OF '2026-01-01'", "SELECT * FROM \"T@T2026-01-01\" "),
            ("SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01'", "SELECT * FROM \"t@T2026-01-01\" "),
            ("SELECT version AS of_it FROM t", "SELECT version AS of_it FROM t"),
            ("SELECT CAST(x AS timestamp) FROM t", "SELECT CAST(x AS timestamp) FROM t"),
            ("SELECT substring(a FOR 3) FROM t VERSION AS OF 1", "SELECT substring(a FOR 3) FROM \"t@V1\" "),
            ("SELECT 'FOR VERSION AS OF 3'", "SELECT 'FOR VERSION AS OF 3'"),
        ] {
            assert_eq!(rewritten(sql).map(|(text, _)| text).as_deref(), Ok(expected), "{sql}");
        }
        for bad in
            ["SELECT 1 FOR VERSION AS OF 3", "SELECT * FROM t VERSION AS OF", "SELECT * FROM t TIMESTAMP AS OF 3"]
        {
            assert!(rewritten(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_chains_are_refused_before_they_are_parsed() {
        let options = Options { sql_operators_max: 10, ..Options::default() };
        for link in [" + 1", " OR true", " UNION ALL SELECT 1", "::INT", " JOIN t"] {
            assert!(tokens(&format!("SELECT 1{}", link.repeat(10)), &options).is_ok(), "{link}");
            assert!(tokens(&format!("SELECT 1{}", link.repeat(11)), &options).is_err(), "{link}");
        }
        let list = format!("SELECT x IN ({})", vec!["1"; 1_000].join(", "));
        assert!(tokens(&list, &options).is_ok(), "lists are flat");
    }

    #[test]
    fn parameters_are_numbered() {
        for (sql, expected) in [
            ("SELECT ?, ?", Ok(("SELECT $1, $2", 2))),
            ("SELECT $2, $1", Ok(("SELECT $2, $1", 2))),
            ("SELECT $a, $b, $a", Ok(("SELECT $1, $2, $1", 2))),
            ("SELECT '?'", Ok(("SELECT '?'", 0))),
            ("SELECT ?, $1", Err(())),
            ("SELECT $0", Err(())),
        ] {
            let found = rewritten(sql).map_err(drop);
            assert_eq!(found, expected.map(|(text, count)| (text.to_owned(), count)), "{sql}");
        }
    }
}
