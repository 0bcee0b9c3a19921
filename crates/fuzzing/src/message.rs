//! Protobuf messages, changed field by field: what is around a changed field keeps fitting lengths, so that decoders get
//! as far as the change.

use crate::mutate::change_bytes;
use crate::random::Random;

/// One field as it stands in a message.
#[derive(Clone, Debug)]
struct Field {
    key: u64,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
}

/// Numbers at which decoders make mistakes.
pub(crate) const NUMBERS: [u64; 14] = [
    0,
    1,
    127,
    128,
    255,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x4000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Changes one field of a message, or of one inside it; bytes that are no message are left to others.
pub(crate) fn change_message(bytes: &mut Vec<u8>, random: &mut Random, bytes_max: usize) -> bool {
    let Some(mut fields) = fields(bytes).filter(|fields| !fields.is_empty()) else { return false };
    let at = random.below(fields.len());
    if let Value::Bytes(inner) = &mut fields[at].value
        && !random.once_in(3)
        && change_message(inner, random, bytes_max)
    {
        *bytes = written(&fields);
        return true;
    }
    match random.below(9) {
        0 => drop(fields.remove(at)),
        1 => fields.insert(random.below(fields.len() + 1), fields[at].clone()),
        2 => {
            let to = random.below(fields.len());
            fields.swap(at, to);
        }
        // Another number, or another type of the same number.
        3 => fields[at].key = (random.next() % 20 + 1) << 3 | fields[at].key & 7,
        4 => fields[at] = Field { key: fields[at].key & !7, value: Value::Number(number(random)) },
        // As deep as fits.
        5 => {
            let mut inner = written(&fields[at..=at]);
            for _ in 0..random.few(2_000) {
                if inner.len() > bytes_max {
                    break;
                }
                inner = written(&[Field { key: fields[at].key & !7 | 2, value: Value::Bytes(inner) }]);
            }
            *bytes = inner;
            return true;
        }
        6 => {
            let mut copies = random.few(5_000);
            copies = copies.min(bytes_max / written(&fields[at..=at]).len().max(1));
            let field = fields[at].clone();
            fields.extend(std::iter::repeat_n(field, copies));
        }
        // A length that is a lie.
        7 => {
            let mut lie = written(&fields[..at]);
            put_number(fields[at].key & !7 | 2, &mut lie);
            put_number(number(random), &mut lie);
            lie.extend(written(&fields[at..]));
            *bytes = lie;
            return true;
        }
        _ => match &mut fields[at].value {
            Value::Number(value) => *value = number(random),
            Value::Fixed(inner) | Value::Bytes(inner) => change_bytes(inner, random, bytes_max),
        },
    }
    *bytes = written(&fields);
    true
}

fn number(random: &mut Random) -> u64 {
    if random.once_in(2) { random.next() >> random.below(64) } else { NUMBERS[random.below(NUMBERS.len())] }
}

fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = take_number(&mut bytes)?;
        let mut take = |length: usize| {
            let (taken, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            Some(taken.to_vec())
        };
        let value = match key & 7 {
            0 => Value::Number(take_number(&mut bytes)?),
            1 => Value::Fixed(take(8)?),
            5 => Value::Fixed(take(4)?),
            2 => {
                let length = usize::try_from(take_number(&mut bytes)?).ok()?;
                let (taken, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(taken.to_vec())
            }
            _ => return None,
        };
        fields.push(Field { key, value });
    }
    Some(fields)
}

fn written(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        // The key says how a reader reads what follows, whatever it is.
        put_number(field.key, &mut out);
        match &field.value {
            Value::Number(number) => put_number(*number, &mut out),
            Value::Fixed(bytes) => out.extend(bytes),
            Value::Bytes(bytes) => {
                put_number(u64::try_from(bytes.len()).unwrap_or_default(), &mut out);
                out.extend(bytes);
            }
        }
    }
    out
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::{change_message, fields, written};
    use crate::random::Random;

    /// `1: "abc", 2 { 1: 300, 3: <8 bytes> }, 4: <4 bytes>`
    const MESSAGE: &[u8] = b"\x0a\x03abc\x12\x0c\x08\xac\x02\x19\x01\x02\x03\x04\x05\x06\x07\x08\x25\x01\x02\x03\x04";

    #[test]
    fn fields_are_written_as_they_were_read() {
        assert_eq!(written(&fields(MESSAGE).expect("a message")), MESSAGE);
        assert!(fields(b"\x0a\x7fabc").is_none());
    }

    #[test]
    fn a_change_inside_fits_its_surroundings() {
        let mut random = Random::new(1);
        let mut whole = 0;
        for _ in 0..1_000 {
            let mut changed = MESSAGE.to_vec();
            assert!(change_message(&mut changed, &mut random, 10_000));
            whole += usize::from(changed != MESSAGE && fields(&changed).is_some());
        }
        assert!(whole > 500, "{whole}");
    }
}
