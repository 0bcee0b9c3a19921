//! Avro files of strangers: looked through before the library reads them, as it makes room for whatever a file says it
//! holds, and unpacks without end.

use std::collections::HashMap;
use std::io::Read;

use meshgate_table::Error;
use serde_json::Value;

/// The most bytes that all blocks of a file hold once they are unpacked.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

/// The most elements of one list, and the longest text, that the library makes room for.
const LENGTH_MAX: usize = 32 << 20;

/// How deep a schema may nest; Iceberg's are six deep.
const SCHEMA_DEPTH_MAX: usize = 64;

const MAGIC: &[u8] = b"Obj\x01";
const MARKER_LEN: usize = 16;

/// Refuses what would take more memory to read than its size justifies.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Error> {
    // SECURITY: the library keeps the first limit that it is told, for all of the process; nothing else here reads Avro.
    apache_avro::util::max_allocation_bytes(LENGTH_MAX);
    check_within(bytes, BYTES_MAX)
}

fn check_within(bytes: &[u8], bytes_max: u64) -> Result<(), Error> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(|| broken("it does not begin like one"))?;
    let mut codec = &b"null"[..];
    loop {
        let mut entries = number(&mut rest)?;
        if entries < 0 {
            number(&mut rest)?;
            entries = entries.saturating_neg();
        }
        if entries == 0 {
            break;
        }
        for _ in 0..entries {
            let (key, value) = (sized(&mut rest)?, sized(&mut rest)?);
            match key {
                b"avro.codec" => codec = value,
                b"avro.schema" => check_schema(value)?,
                _ => {}
            }
        }
    }
    take(&mut rest, MARKER_LEN)?;
    let mut unpacked = 0;
    while !rest.is_empty() {
        let objects = number(&mut rest)?;
        let size = unpacked_size(codec, sized(&mut rest)?, bytes_max - unpacked)?;
        // What takes no bytes could be there any number of times.
        if u64::try_from(objects).map_or(true, |objects| objects > size) {
            return Err(broken("a block says that it holds more than it can"));
        }
        unpacked += size;
        take(&mut rest, MARKER_LEN)?;
    }
    Ok(())
}

/// How much a block holds, at most `most`.
fn unpacked_size(codec: &[u8], block: &[u8], most: u64) -> Result<u64, Error> {
    let counted = |reader: &mut dyn Read| {
        let read = std::io::copy(&mut reader.take(most.saturating_add(1)), &mut std::io::sink());
        read.map_err(|error| Error::format("unpacking an Avro file", error))
    };
    let size = match codec {
        b"null" => u64::try_from(block.len()).unwrap_or(u64::MAX),
        b"deflate" => counted(&mut flate2::read::DeflateDecoder::new(block))?,
        b"zstandard" => {
            let mut decoder =
                zstd::Decoder::new(block).map_err(|error| Error::format("unpacking an Avro file", error))?;
            counted(&mut decoder)?
        }
        // It begins with its own size, and the library makes room for that much once.
        b"snappy" => snappy_size(block)?,
        _ => return Err(Error::unsupported("this compression of manifests")),
    };
    if size > most {
        return Err(broken("it holds more than is read"));
    }
    Ok(size)
}

fn snappy_size(block: &[u8]) -> Result<u64, Error> {
    let mut size = 0_u64;
    for (byte, shift) in block.iter().zip((0..35).step_by(7)) {
        size |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(size);
        }
    }
    Err(broken("a block without a size"))
}

/// SECURITY: the library does not end on schemas that are odd: types without a kind, types that hold themselves, lists of
/// what takes no bytes, of which there can be any number.
fn check_schema(text: &[u8]) -> Result<(), Error> {
    let schema: Value = serde_json::from_slice(text).map_err(|error| Error::format("reading an Avro schema", error))?;
    Schema { named: HashMap::new() }.takes_nothing(&schema, 0).map(drop)
}

/// A schema as far as it was walked through.
struct Schema<'a> {
    /// Whether types with names take no bytes. Those that are not finished are not there.
    named: HashMap<&'a str, bool>,
}

impl<'a> Schema<'a> {
    /// Whether a value of this type takes no bytes.
    fn takes_nothing(&mut self, schema: &'a Value, depth: usize) -> Result<bool, Error> {
        let odd = || broken("its schema is odd");
        if depth > SCHEMA_DEPTH_MAX {
            return Err(odd());
        }
        let parts = match schema {
            Value::String(name) => return self.known(name).ok_or_else(odd),
            Value::Array(branches) => {
                // The number of the branch takes a byte.
                return branches
                    .iter()
                    .try_for_each(|one| self.takes_nothing(one, depth + 1).map(drop))
                    .map(|()| false);
            }
            Value::Object(parts) => parts,
            _ => return Err(odd()),
        };
        let kind = parts.get("type").ok_or_else(odd)?;
        let nothing = match kind.as_str() {
            Some("array" | "map") => {
                let elements = parts.get("items").or_else(|| parts.get("values")).ok_or_else(odd)?;
                return if self.takes_nothing(elements, depth + 1)? { Err(odd()) } else { Ok(false) };
            }
            Some("record") => {
                let fields = parts.get("fields").and_then(Value::as_array).ok_or_else(odd)?;
                let mut nothing = true;
                for field in fields {
                    let field = field.get("type").ok_or_else(odd)?;
                    nothing &= self.takes_nothing(field, depth + 1)?;
                }
                nothing
            }
            Some("fixed") => parts.get("size").and_then(Value::as_u64).ok_or_else(odd)? == 0,
            Some("enum") => false,
            // `{"type": "string", ..}` and `{"type": {..}}`.
            _ => return self.takes_nothing(kind, depth + 1),
        };
        let name = parts.get("name").and_then(Value::as_str).ok_or_else(odd)?;
        self.named.insert(last_part(name), nothing);
        Ok(nothing)
    }

    fn known(&self, name: &str) -> Option<bool> {
        match name {
            "null" => Some(true),
            "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string" => Some(false),
            name => self.named.get(last_part(name)).copied(),
        }
    }
}

/// A name without its namespace.
fn last_part(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

/// Avro's number: zigzag, seven bits at a time.
fn number(rest: &mut &[u8]) -> Result<i64, Error> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    Err(broken("a number without an end"))
}

fn sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let length = usize::try_from(number(rest)?).map_err(|_| broken("a negative size"))?;
    take(rest, length)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Error> {
    let (taken, after) = rest.split_at_checked(length).ok_or_else(|| broken("it ends too early"))?;
    *rest = after;
    Ok(taken)
}

fn broken(reason: &str) -> Error {
    Error::malformed(format!("Avro file: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::check_within;

    const BYTES_MAX: u64 = 1 << 20;

    /// A file with one block: its codec, how many objects it says it holds, and its bytes.
    fn file(schema: &str, codec: &str, objects: i64, block: &[u8]) -> Vec<u8> {
        let mut out = b"Obj\x01".to_vec();
        let number = |out: &mut Vec<u8>, number: i64| {
            let mut number = ((number << 1) ^ (number >> 63)).cast_unsigned();
            while number >= 0x80 {
                out.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
                number >>= 7;
            }
            out.push(u8::try_from(number).expect("seven bits"));
        };
        number(&mut out, 2);
        for text in ["avro.codec", codec, "avro.schema", schema] {
            number(&mut out, i64::try_from(text.len()).expect("short"));
            out.extend(text.bytes());
        }
        number(&mut out, 0);
        out.extend([7; 16]);
        number(&mut out, objects);
        number(&mut out, i64::try_from(block.len()).expect("short"));
        out.extend(block);
        out.extend([7; 16]);
        out
    }

    #[test]
    fn what_is_larger_than_it_looks_is_refused() {
        let rows = r#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"array","items":"long"}}]}"#;
        let zeros = vec![0; usize::try_from(BYTES_MAX).expect("fits") + 1];
        let deflated = |bytes: &[u8]| {
            let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            packed.write_all(bytes).expect("in memory");
            packed.finish().expect("in memory")
        };
        let packed = |bytes: &[u8]| zstd::encode_all(bytes, 3).expect("in memory");
        let nulls = rows.replace("long", "null");
        let empty = r#"{"type":"record","name":"e","fields":[]}"#;
        let inside = format!(r#"{{"type":"record","name":"r","fields":[{{"name":"a","type":{empty}}}]}}"#);
        let later = format!(r#"[{empty}, {{"type":"array","items":"x.e"}}]"#);
        for (name, file, good) in [
            ("plain", file(rows, "null", 2, &[0, 0]), true),
            ("deflate", file(rows, "deflate", 2, &deflated(&[0, 0])), true),
            ("zstandard", file(rows, "zstandard", 2, &packed(&[0, 0])), true),
            ("snappy", file(rows, "snappy", 2, &[2, 4, 0, 0]), true),
            ("more objects than bytes", file(rows, "null", 3, &[0, 0]), false),
            ("less than none", file(rows, "null", -1, &[0, 0]), false),
            ("a deflate bomb", file(rows, "deflate", 2, &deflated(&zeros)), false),
            ("a zstandard bomb", file(rows, "zstandard", 2, &packed(&zeros)), false),
            ("a snappy bomb", file(rows, "snappy", 2, &[0xff, 0xff, 0xff, 0xff, 0x0f]), false),
            ("an unknown codec", file(rows, "xz", 2, &[0, 0]), false),
            ("a list of nulls", file(&nulls, "null", 1, &[0, 0]), false),
            (
                "a type without a kind",
                file(&rows.replace("\"type\":\"array\"", "\"uype\":\"array\""), "null", 2, &[0, 0]),
                false,
            ),
            ("a type that holds itself", file(&rows.replace("long", "r"), "null", 2, &[0, 0]), false),
            ("a list of nothing, by name", file(&later, "null", 1, &[0]), false),
            ("a record of nothing", file(&inside, "null", 1, &[0]), true),
            ("objects of nothing", file(empty, "null", 1, &[]), false),
        ] {
            let check = |file: &[u8]| check_within(file, BYTES_MAX);
            assert_eq!(check(&file).is_ok(), good, "{name}: {:?}", check(&file));
            if good {
                let block = file.len() - 40..file.len();
                assert!(block.filter(|length| check(&file[..*length]).is_ok()).count() <= 1, "{name}: cut");
            }
        }
    }
}
