//! Values planted in everything hidden, and the search for them in received bytes.

/// Begins every text that is planted.
pub const TEXT: &str = "CNRY";

/// The upper six bytes of every number that is planted.
pub const NUMBER: i64 = 0x5EC3_E7C0_FFEE_0000;

/// A text to plant, unlike any other of the same area; long enough to need a buffer of its own.
pub fn text(area: &str, number: u64) -> String {
    format!("{TEXT}-{area}-{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A number to plant.
pub fn number(number: u64) -> i64 {
    NUMBER | i64::try_from(number & 0xFFFF).unwrap_or_default()
}

/// Whether a number is planted.
pub fn is_number(number: i64) -> bool {
    number & !0xFFFF == NUMBER
}

/// What of the planted stands in the bytes, in any form that it could travel in.
pub fn find(bytes: &[u8]) -> Option<&'static str> {
    let forms: [(&'static str, Vec<u8>); 10] = [
        ("text", TEXT.as_bytes().to_vec()),
        ("text as UTF-16", TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("text as hexadecimal digits", hex(TEXT.as_bytes()).into_bytes()),
        // Wherever in a group of three bytes it begins.
        ("text as base64", b"Q05SW".to_vec()),
        ("text as base64", b"NOUlk".to_vec()),
        ("text as base64", b"DTlJZ".to_vec()),
        ("number, little end first", NUMBER.to_le_bytes()[2..].to_vec()),
        ("number, big end first", NUMBER.to_be_bytes()[..6].to_vec()),
        ("number as hexadecimal digits", b"5ec3e7c0ffee".to_vec()),
        // All numbers from NUMBER to NUMBER | 0xFFFF begin so.
        ("number as decimal digits", b"68285562761373".to_vec()),
    ];
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
    forms.into_iter().find(|(_, needle)| holds(needle)).map(|(form, _)| form)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{find, number, text};

    #[test]
    fn finds_what_is_planted_in_every_form() {
        let planted = text("row", 7);
        let decimal = number(9).to_string();
        assert!(find(format!("before {planted} after").as_bytes()).is_some());
        assert!(find(super::hex(planted.as_bytes()).as_bytes()).is_some());
        assert!(find(&number(9).to_le_bytes()).is_some());
        assert!(find(&number(0xFFFF).to_be_bytes()).is_some());
        assert!(find(decimal.as_bytes()).is_some(), "{decimal}");
        assert!(find(number(0xFFFF).to_string().as_bytes()).is_some());
        for base64 in ["Q05SWS0=", "eENOUlkt", "eHhDTlJZLQ=="] {
            assert!(find(base64.as_bytes()).is_some(), "{base64}");
        }
        assert!(find(b"nothing of it, and 12345678901234567").is_none());
    }
}
