//! Each mask on each type it applies to, with slices, nulls and nothing at all.

use std::sync::Arc;

use arrow::array::{
    ArrayData, AsArray, BinaryArray, BinaryViewArray, Date32Array, Date64Array, DictionaryArray, FixedSizeBinaryArray,
    Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, ListArray, StringArray,
    StringViewArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array, make_array, new_empty_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Fields, Int8Type, Int32Type, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};

use super::*;

fn keys() -> MaskKeys {
    MaskKeys { query_salt: [7; 32], mesh_key: [9; 32] }
}

fn call(mask: &Mask, value: ColumnarValue, rows: usize) -> ColumnarValue {
    let function = mask_function(mask, &keys()).expect("no sql mask");
    let field = Arc::new(Field::new("x", value.data_type(), true));
    let asked = ReturnFieldArgs { arg_fields: &[Arc::clone(&field)], scalar_arguments: &[None] };
    let return_field = function.return_field_from_args(asked).expect("the mask applies");
    assert_eq!(return_field.data_type(), field.data_type(), "{mask}");
    let args = ScalarFunctionArgs {
        args: vec![value],
        arg_fields: vec![field],
        number_rows: rows,
        return_field,
        config_options: Arc::new(ConfigOptions::default()),
    };
    function.invoke_with_args(args).expect("masks do not fail on data")
}

fn masked(mask: &Mask, array: &ArrayRef) -> ArrayRef {
    let ColumnarValue::Array(masked) = call(mask, ColumnarValue::Array(Arc::clone(array)), array.len()) else {
        panic!("{mask}: an array gives an array");
    };
    assert_eq!(masked.data_type(), array.data_type(), "{mask}");
    masked.to_data().validate_full().expect("a valid array");
    let ours = addresses(&masked.to_data());
    let shared = addresses(&array.to_data()).into_iter().find(|theirs| ours.contains(theirs));
    assert_eq!(shared, None, "{mask} on {} shares a buffer", array.data_type());
    masked
}

/// Where the bytes of an array lie.
fn addresses(data: &ArrayData) -> Vec<usize> {
    let nulls = data.nulls().map(|nulls| nulls.buffer().clone());
    let own = data.buffers().iter().cloned().chain(nulls).filter(|buffer| !buffer.is_empty());
    own.map(|buffer| buffer.data_ptr().as_ptr() as usize).chain(data.child_data().iter().flat_map(addresses)).collect()
}

/// The mask on the array, on a slice of a longer one, on nothing, on one value, with nulls.
fn check(mask: &Mask, array: ArrayRef, expected: ArrayRef) {
    assert_eq!(&masked(mask, &array), &expected, "{mask}");
    let null = new_null_array(array.data_type(), 2);
    let longer = concat(&[&*null, &*array, &*null, &*array]).expect("one type");
    let sliced = masked(mask, &longer.slice(1, array.len() + 2));
    let nulls = null.slice(0, 1);
    assert_eq!(&sliced, &concat(&[&*nulls, &*expected, &*nulls]).unwrap(), "{mask} on a slice");
    assert_eq!(masked(mask, &array.slice(0, 0)).len(), 0, "{mask} on nothing");
    for row in 0..array.len() {
        let value = ScalarValue::try_from_array(&array, row).unwrap();
        let ColumnarValue::Scalar(value) = call(mask, ColumnarValue::Scalar(value), 1) else { panic!("a scalar") };
        assert_eq!(value, ScalarValue::try_from_array(&expected, row).unwrap(), "{mask} on a scalar");
    }
}

#[test]
fn text_masks() {
    let cases = [
        (Mask::MaskAlphanum, "prashant010696@gmail.com", "xxxxxxxxnnnnnn@xxxxx.xxx"),
        (Mask::MaskAlphanum, "(030) 12,5-7", "(nnn)xnn,n-n"),
        (Mask::MaskAlphanum, "äß😀٣ _", "xxxxxx"),
        (Mask::MaskAlphanum, "", ""),
        (Mask::ShowLast4, "4111-1111-1111-4444", "nnnn-nnnn-nnnn-4444"),
        (Mask::ShowLast4, "abcd", "abcd"),
        (Mask::ShowLast4, "a9äöü😀", "xnäöü😀"),
        (Mask::ShowLast4, "", ""),
        (Mask::ShowFirst4, "4111-1111-1111-4444", "4111-nnnn-nnnn-nnnn"),
        (Mask::ShowFirst4, "äöü😀9a", "äöü😀nx"),
        (Mask::ShowFirst4, "abc", "abc"),
        (Mask::Sha256Global, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (Mask::Sha256Global, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (
            Mask::Sha256Global,
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (Mask::Sha256QueryLocal, "abc", "77525b4491b1cdd015078c4a11afdb1106eccba29b32262bd4f3d8873dc3c3d0"),
        (Mask::HmacSha256, "abc", "5fbc0c76069c22125dab1238eeb04a0b82afbd73b8139df1dbf078a05a4bdc23"),
        (Mask::MaskToFixedValue, "abc", "XXXXXXXX"),
    ];
    for (mask, text, expected) in cases {
        let (texts, expecteds) = (vec![Some(text), None, Some(text)], vec![Some(expected), None, Some(expected)]);
        check(&mask, Arc::new(StringArray::from(texts.clone())), Arc::new(StringArray::from(expecteds.clone())));
        let large: ArrayRef = Arc::new(LargeStringArray::from(texts.clone()));
        check(&mask, large, Arc::new(LargeStringArray::from(expecteds.clone())));
        let view: ArrayRef = Arc::new(StringViewArray::from(texts.clone()));
        check(&mask, view, Arc::new(StringViewArray::from(expecteds.clone())));
        let encoded: DictionaryArray<Int8Type> = texts.into_iter().collect();
        let expected = masked(&mask, &(Arc::new(encoded) as ArrayRef));
        assert_eq!(cast(&expected, &DataType::Utf8).unwrap().as_string::<i32>(), &StringArray::from(expecteds));
    }
}

#[test]
fn hmac_agrees_with_rfc_4231() {
    // Keys of the first two cases, filled up with zeros as HMAC itself does.
    let cases = [
        (&[0x0b; 20][..], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ];
    for (key, data, expected) in cases {
        let mut mesh_key = [0; 32];
        mesh_key[..key.len()].copy_from_slice(key);
        let transform = Transform::of(&Mask::HmacSha256, &MaskKeys { query_salt: [0; 32], mesh_key }).unwrap();
        let masked = transform.apply(&(Arc::new(StringArray::from(vec![data])) as ArrayRef)).unwrap();
        assert_eq!(masked.as_string::<i32>().value(0), expected);
    }
}

#[test]
fn digests_of_integers_and_bytes() {
    macro_rules! integers {
        ($($mask:ident $array:ident $value:literal $digest:literal;)*) => {$(
            check(
                &Mask::$mask,
                Arc::new($array::from(vec![Some($value), None])),
                Arc::new($array::from(vec![Some($digest), None])),
            );
        )*};
    }
    integers! {
        Sha256Global Int32Array 34 -30_108_901;
        Sha256Global Int32Array -1 454_268_333;
        Sha256Global Int64Array 34 -4_280_289_564_294_970_840;
        Sha256Global Int64Array -1 6_759_447_113_877_070_610;
        Sha256Global Int8Array -1 -83;
        Sha256Global Int16Array -1 -27_219;
        Sha256Global UInt8Array 255 129;
        Sha256Global UInt16Array 34 37_659;
        Sha256Global UInt32Array 4_294_967_295 454_268_333;
        Sha256Global UInt64Array 18_446_744_073_709_551_615 6_759_447_113_877_070_610;
        Sha256QueryLocal Int32Array 34 -1_994_001_744;
        HmacSha256 Int64Array 34 9_206_296_299_028_222_116;
    }
    let digest = hex::decode("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad").unwrap();
    let (bytes, digests) = (vec![Some(&b"abc"[..]), None], vec![Some(&digest[..]), None]);
    let mask = Mask::Sha256Global;
    check(&mask, Arc::new(BinaryArray::from(bytes.clone())), Arc::new(BinaryArray::from(digests.clone())));
    check(&mask, Arc::new(LargeBinaryArray::from(bytes.clone())), Arc::new(LargeBinaryArray::from(digests.clone())));
    check(&mask, Arc::new(BinaryViewArray::from(bytes)), Arc::new(BinaryViewArray::from(digests)));
    let uuid = |bytes: Vec<u8>| -> ArrayRef {
        Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from_vec(bytes), None).unwrap())
    };
    check(&mask, uuid((0..16).collect()), uuid(hex::decode("be45cb2605bf36bebde684841a28f0fd").unwrap()));
}

#[test]
fn truncation() {
    // 2024-02-29T12:34:56 and 1969-12-31T23:59:59, to the year and to the month.
    let cases = [(1_709_210_096, 1_704_067_200, 1_706_745_600), (-1, -31_536_000, -2_678_400)];
    for (second, year, month) in cases {
        for (mask, expected) in [(Mask::TruncateToYear, year), (Mask::TruncateToMonth, month)] {
            for zone in [None, Some("UTC"), Some("+05:30"), Some("America/New_York")] {
                macro_rules! timestamps {
                    ($($array:ident $per_second:literal $rest:literal;)*) => {$(
                        let zoned = |value: i64| -> ArrayRef {
                            Arc::new($array::from(vec![Some(value), None]).with_timezone_opt(zone))
                        };
                        check(&mask, zoned(second * $per_second + $rest), zoned(expected * $per_second));
                    )*};
                }
                timestamps! {
                    TimestampSecondArray 1 0;
                    TimestampMillisecondArray 1_000 999;
                    TimestampMicrosecondArray 1_000_000 999_999;
                    TimestampNanosecondArray 1_000_000_000 999_999_999;
                }
            }
            let date32 = |second: i64| -> ArrayRef {
                Arc::new(Date32Array::from(vec![Some(i32::try_from(second.div_euclid(86_400)).unwrap()), None]))
            };
            check(&mask, date32(second), date32(expected));
            let date64 = |second: i64| -> ArrayRef { Arc::new(Date64Array::from(vec![Some(second * 1_000), None])) };
            check(&mask, date64(second), date64(expected));
        }
    }
}

#[test]
fn null_and_fixed_value_on_every_type() {
    let item = || Arc::new(Field::new("item", DataType::Utf8, true));
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int32, true)]);
    let fields =
        Fields::from(vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::List(item()), true)]);
    let cases: Vec<(DataType, &str)> = vec![
        (DataType::Boolean, "false"),
        (DataType::Int8, "0"),
        (DataType::UInt64, "0"),
        (DataType::Float16, "0"),
        (DataType::Float64, "0.0"),
        (DataType::Decimal32(5, 2), "0.00"),
        (DataType::Decimal128(38, 2), "0.00"),
        (DataType::Decimal256(76, 0), "0"),
        (DataType::Date32, "9999-12-31"),
        (DataType::Date64, "9999-12-31T00:00:00"),
        (DataType::Time32(TimeUnit::Millisecond), "00:00:00"),
        (DataType::Time64(TimeUnit::Nanosecond), "00:00:00"),
        (DataType::Timestamp(TimeUnit::Second, None), "9999-12-31T00:00:00"),
        (DataType::Timestamp(TimeUnit::Millisecond, None), "9999-12-31T00:00:00"),
        (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "9999-12-31T00:00:00Z"),
        (DataType::Timestamp(TimeUnit::Nanosecond, None), "2261-12-31T00:00:00"),
        (DataType::Duration(TimeUnit::Second), "P0D"),
        (DataType::Interval(IntervalUnit::MonthDayNano), ""),
        (DataType::Utf8, "XXXXXXXX"),
        (DataType::LargeUtf8, "XXXXXXXX"),
        (DataType::Utf8View, "XXXXXXXX"),
        (DataType::Binary, ""),
        (DataType::LargeBinary, ""),
        (DataType::BinaryView, ""),
        (DataType::FixedSizeBinary(4), "00000000"),
        (DataType::List(item()), "[]"),
        (DataType::LargeList(item()), "[]"),
        (DataType::ListView(item()), "[]"),
        (DataType::FixedSizeList(item(), 2), "[XXXXXXXX, XXXXXXXX]"),
        (DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false), "{}"),
        (DataType::Struct(fields), "{a: 0, b: []}"),
        (DataType::Struct(Fields::empty()), "{}"),
        (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), "XXXXXXXX"),
    ];
    for (data_type, expected) in cases {
        mask_applies(&Mask::MaskToFixedValue, &data_type).expect("it applies");
        mask_applies(&Mask::ReplaceWithNull, &data_type).expect("it applies");
        let value = valid(&data_type);
        let array = concat(&[&*value, &*new_null_array(&data_type, 1), &*value]).unwrap();
        let masked_array = masked(&Mask::MaskToFixedValue, &array);
        for row in [0, 2] {
            let shown = arrow::util::display::array_value_to_string(&masked_array, row).unwrap();
            assert!(masked_array.is_valid(row) && shown.starts_with(expected), "{data_type}: {shown}");
        }
        assert!(masked_array.is_null(1), "{data_type}");
        let nulled = masked(&Mask::ReplaceWithNull, &array);
        assert_eq!(nulled.logical_null_count(), 3, "{data_type}");
        assert_eq!(masked(&Mask::MaskToFixedValue, &array.slice(3, 0)).len(), 0);
    }
}

/// A value of a type, from the bytes of its kind.
fn valid(data_type: &DataType) -> ArrayRef {
    // Any array without nulls has the type's shape; what is in it is no matter to a fixed value.
    let null = new_null_array(data_type, 1);
    match data_type {
        DataType::Dictionary(..) => cast(&StringArray::from(vec!["secret"]), data_type).unwrap(),
        _ => make_array(null.to_data().into_builder().nulls(None).build().unwrap_or_else(|_| nested(data_type))),
    }
}

/// A struct with a value that may not be NULL.
fn nested(data_type: &DataType) -> ArrayData {
    let DataType::Struct(fields) = data_type else { panic!("{data_type}") };
    let children = fields.iter().map(|field| valid(field.data_type())).collect();
    StructArray::new(fields.clone(), children, None).into_data()
}

#[test]
fn a_fixed_value_tells_nothing_of_what_is_inside() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, None]));
    let sizes: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(5), None]));
    let fields = Fields::from(vec![Field::new("n", DataType::Utf8, true), Field::new("s", DataType::Int32, true)]);
    let structs = StructArray::new(fields.clone(), vec![names, sizes], Some(NullBuffer::from(vec![true, true, false])));
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("XXXXXXXX"), Some("XXXXXXXX"), None]));
    let sizes: ArrayRef = Arc::new(Int32Array::from(vec![Some(0), Some(0), None]));
    let fixed = StructArray::new(fields, vec![names, sizes], Some(NullBuffer::from(vec![true, true, false])));
    check(&Mask::MaskToFixedValue, Arc::new(structs), Arc::new(fixed));

    let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let list = |lengths, values| -> ArrayRef {
        let nulls = Some(NullBuffer::from(vec![true, false]));
        Arc::new(ListArray::new(Arc::clone(&item), OffsetBuffer::from_lengths(lengths), values, nulls))
    };
    check(&Mask::MaskToFixedValue, list([2, 1], words), list([0, 0], new_empty_array(&DataType::Utf8)));
}

#[test]
fn a_masked_dictionary_does_not_tell_values_apart() {
    let encoded: DictionaryArray<Int32Type> = ["x", "y", "x", "z"].into_iter().collect();
    let masked = masked(&Mask::MaskToFixedValue, &(Arc::new(encoded) as ArrayRef));
    assert_eq!(masked.as_dictionary::<Int32Type>().keys(), &Int32Array::from(vec![0; 4]));
    assert_eq!(masked.as_dictionary::<Int32Type>().values().len(), 1);
}

#[test]
fn masks_are_refused_where_they_do_not_apply() {
    let cases = [
        (Mask::ShowLast4, DataType::Int32, "`show-last-4` applies to strings"),
        (Mask::MaskAlphanum, DataType::Binary, "`mask-alphanum` applies to strings"),
        (Mask::TruncateToYear, DataType::Utf8, "`truncate-to-year` applies to dates and timestamps"),
        (Mask::TruncateToMonth, DataType::Time64(TimeUnit::Microsecond), "dates"),
        (Mask::Sha256Global, DataType::Float64, "applies to strings, integers and binary"),
        (Mask::HmacSha256, DataType::FixedSizeBinary(33), "of up to 32 bytes"),
        (Mask::Sha256QueryLocal, DataType::Boolean, "applies to"),
    ];
    for (mask, data_type, expected) in cases {
        let reason = mask_applies(&mask, &data_type).expect_err("it does not apply");
        assert!(reason.contains(expected), "{reason}");
        let function = mask_function(&mask, &keys()).unwrap();
        function.return_type(&[data_type]).expect_err("nor can it be planned");
    }
    assert!(mask_applies(&Mask::ShowLast4, &DataType::Utf8View).is_ok());
}

#[test]
fn keys_make_functions_different_and_are_not_shown() {
    let other = MaskKeys { query_salt: [8; 32], mesh_key: [10; 32] };
    for mask in [Mask::Sha256QueryLocal, Mask::HmacSha256] {
        let (a, b) = (mask_function(&mask, &keys()).unwrap(), mask_function(&mask, &other).unwrap());
        assert_ne!(a, b);
        assert_eq!(a, mask_function(&mask, &keys()).unwrap());
        let shown = format!("{a:?} {:?}", keys());
        assert!(!shown.contains("7, 7") && !shown.contains("9, 9") && !shown.contains("0707"), "{shown}");
    }
    assert_eq!(mask_function(&Mask::Sha256Global, &keys()), mask_function(&Mask::Sha256Global, &other));
}
